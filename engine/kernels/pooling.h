// The last states to sentences' vectors: the first token's or an average, a head, a cut, unit length.
#pragma once

#include "making.h"

namespace simcse {
namespace SIMCSE_VARIANT {

struct Pooling {
  bool first, normalize;
  int hidden;     // of the head; 0 without one
  Linear head;
};

// torch.nn.functional.normalize divides by at least this much, so that a zero vector stays zero.
constexpr float kLeastNorm = 1e-12f;

inline void free_pooling(void* pointer) {
  release(((Pooling*)pointer)->head);
  simcse::release(pointer);
}

inline void* make_pooling(const PoolingSource& source, const char** reason) {
  Maker maker;
  auto* pooling = (Pooling*)allocate(sizeof(Pooling));
  if (!pooling) {
    *reason = "out of memory";
    return nullptr;
  }
  pooling->first = source.first;
  pooling->normalize = source.normalize;
  if (source.head.weight.data) {
    const int64_t hidden = source.head.weight.rows;
    if (hidden > 0 && hidden <= 1 << 20 && maker.fits(source.head, hidden, hidden, false)) {
      const LinearSource* head[] = {&source.head};
      pooling->hidden = (int)hidden;
      maker.linear<Singles>(pooling->head, head, (int)hidden, (int)hidden, (int)hidden, nullptr, InputSource{},
                            [](int n) { return n; });
    }
  }
  if (!maker.reason) return pooling;
  *reason = maker.reason;
  free_pooling(pooling);
  return nullptr;
}

// The average of a sentence's rows; of two tensors, of their mean.
inline void average(const float* states, const float* other, int tokens, size_t width, int size, float* to) {
  const Floats count = all((float)tokens);
  for (int i = 0; i < size; i += kLanes) {
    Floats s = all(0.f);
    for (int t = 0; t < tokens; t++) {
      Floats x = load(states + t * width + i);
      if (other) x = (x + load(other + t * width + i)) * all(0.5f);
      s = s + x;
    }
    store(to + i, s / count);
  }
}

inline bool run_pooling(const void* pointer, const Sentences& run, const float* states, const float* other, int width,
                        int hidden, float* vectors, int dimension) {
  const Pooling& pooling = *(const Pooling*)pointer;
  Space space((size_t)run.count * width * 2 * sizeof(float) + 2 * kLine);
  if (!space.memory()) return false;
  Pieces pieces(space.memory());
  float* pooled = pieces.take<float>((size_t)run.count * width);
  for (int s = 0, token = 0; s < run.count; token += (int)run.lengths[s++]) {
    float* to = pooled + (size_t)s * width;
    if (pooling.first) memcpy(to, states + (size_t)s * width, width * sizeof(float));
    else average(states + (size_t)token * width, other ? other + (size_t)token * width : nullptr, (int)run.lengths[s], width, hidden, to);
  }
  if (pooling.hidden) {
    float* activated = pieces.take<float>((size_t)run.count * width);
    const size_t row_bytes = width * sizeof(float);
    const Rows rows = {(const uint8_t*)pooled, row_bytes, run.count};
    multiply<Singles>(rows, pooling.head, 0, pooling.head.panel_count(),
                      ToActivated<Activation::tanh, Singles>{(uint8_t*)activated, row_bytes, Step{}});
    pooled = activated;
  }
  for (int s = 0; s < run.count; s++) {
    float* x = pooled + (size_t)s * width;
    float norm = 1.f;
    if (pooling.normalize) {
      const float squares = total(dimension, [&](Floats sum, int i) __attribute__((always_inline)) {
        Floats each = load(x + i);
        if (dimension - i < kLanes) each = first_lanes(each, dimension - i, all(0.f));
        return fma(each, each, sum);
      });
      norm = root(all(squares))[0];
      if (norm < kLeastNorm) norm = kLeastNorm;
    }
    for (int i = 0; i < dimension; i++) vectors[(size_t)s * dimension + i] = x[i] / norm;
  }
  return true;
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
