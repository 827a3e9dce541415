// One kind of CPU: this file is compiled once for each, with its instructions and its name (SIMCSE_VARIANT).
#include "variant.h"

#include "embeddings.h"
#include "pass.h"
#include "pooling.h"
#include "scan.h"
#ifdef SIMCSE_TESTING
#include "trials.h"
#endif

#define SIMCSE_TEXT(x) #x
#define SIMCSE_NAME(x) SIMCSE_TEXT(x)

namespace simcse {
namespace SIMCSE_VARIANT {

namespace {

bool run(const Layer& layer, const Sentences& run, const float* states, float* output, int threads) {
  switch (layer.precision) {
    case Precision::int8:
      if (layer.first_only) return run_layer<Bytes, Singles>(layer, run, states, output, threads);
      return run_layer<Bytes, Bytes>(layer, run, states, output, threads);
    case Precision::bf16: return run_layer<Pairs, Pairs>(layer, run, states, output, threads);
    default: return run_layer<Singles, Singles>(layer, run, states, output, threads);
  }
}

}  // namespace

extern const Variant variant;
const Variant variant = {SIMCSE_NAME(SIMCSE_VARIANT), run, run_embeddings, run_pooling, scan_blocks, cosines,
                         search_graph
#ifdef SIMCSE_TESTING
                         , &trials
#endif
};

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
