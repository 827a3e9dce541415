// One kind of CPU: this file is compiled once for each, with its instructions and its name (SIMCSE_VARIANT).
#include "variant.h"

#include "embeddings.h"
#include "layer.h"
#include "making.h"
#include "pooling.h"

#define SIMCSE_TEXT(x) #x
#define SIMCSE_NAME(x) SIMCSE_TEXT(x)

namespace simcse {
namespace SIMCSE_VARIANT {

namespace {

// A layer and its kind, which the functions below dispatch on.
struct AnyLayer {
  Precision precision;
  bool first_only;
  int hidden;
  void* layer;
};

// Calls f.operator()<Number, Late>() with the kinds of numbers of a layer.
template <class F>
auto with_kinds(Precision precision, bool first_only, F&& f) {
  switch (precision) {
    case Precision::int8:
      if (first_only) return f.template operator()<Bytes, Singles>();
      return f.template operator()<Bytes, Bytes>();
    case Precision::bf16: return f.template operator()<Pairs, Pairs>();
    default: return f.template operator()<Singles, Singles>();
  }
}

void* make(const LayerSource& source, const char** reason) {
  auto* any = (AnyLayer*)allocate(sizeof(AnyLayer));
  if (!any) {
    *reason = "out of memory";
    return nullptr;
  }
  any->precision = source.precision;
  any->first_only = source.first_only;
  any->hidden = (int)source.query.weight.rows;
  any->layer = with_kinds(source.precision, source.first_only,
                          [&]<class Number, class Late>() { return make_layer<Number, Late>(source, reason); });
  if (any->layer) return any;
  simcse::release(any);
  return nullptr;
}

void free(void* pointer) {
  auto* any = (AnyLayer*)pointer;
  with_kinds(any->precision, any->first_only, [&]<class Number, class Late>() { free_layer<Number, Late>(any->layer); });
  simcse::release(any);
}

int hidden(const void* pointer) { return ((const AnyLayer*)pointer)->hidden; }

bool run(const void* pointer, const Sentences& sentences, const float* states, float* output, int threads) {
  auto* any = (const AnyLayer*)pointer;
  return with_kinds(any->precision, any->first_only, [&]<class Number, class Late>() {
    return run_layer<Number, Late>(any->layer, sentences, states, output, threads);
  });
}

int hidden_of_embeddings(const void* pointer) { return ((const Embeddings*)pointer)->hidden; }

}  // namespace

extern const Variant variant;
const Variant variant = {
    SIMCSE_NAME(SIMCSE_VARIANT), make, free, hidden, run, make_embeddings, free_embeddings, hidden_of_embeddings,
    run_embeddings, make_pooling, free_pooling, run_pooling,
};

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
