// The last states to sentences' vectors: the first token's or an average, a head, a cut, unit length.
#pragma once

#include "norm.h"
#include "product.h"
#include "sentences.h"
#include "timing.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// torch.nn.functional.normalize divides by at least this much, so that a zero vector stays zero.
constexpr float kLeastNorm = 1e-12f;

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

// states and, unless null, other [rows, width] → vectors [sentences, dimension]; `hidden` floats of a row count. False
// if there is no memory.
SIMCSE_SMALL inline bool run_pooling(const Pooling& pooling, const Sentences& run, const float* states,
                                     const float* other, size_t width, int hidden, float* vectors, int dimension) {
  SIMCSE_TIMED(pooling);
  Space space((size_t)run.count * width * 2 * sizeof(float) + 2 * kLine);
  if (!space.memory()) return false;
  Pieces pieces(space.memory());
  float* pooled = pieces.take<float>((size_t)run.count * width);
  for (int s = 0, token = 0; s < run.count; token += (int)run.lengths[s++]) {
    float* to = pooled + (size_t)s * width;
    const size_t at = (size_t)token * width;
    if (pooling.first) memcpy(to, states + (size_t)s * width, width * sizeof(float));
    else average(states + at, other ? other + at : nullptr, (int)run.lengths[s], width, hidden, to);
  }
  if (pooling.hidden) {
    float* activated = pieces.take<float>((size_t)run.count * width);
    const size_t row_bytes = width * sizeof(float);
    const Rows rows = {(const uint8_t*)pooled, row_bytes, run.count};
    multiply<Singles>(rows, pooling.head, 0, pooling.head.panel_count(),
                      ToActivated<Singles>{Activation::tanh, (uint8_t*)activated, row_bytes, Step{}});
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
