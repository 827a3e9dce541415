// The last states to sentences' vectors: one token's or all joined, a head, a cut, unit length.
#pragma once

#include "norm.h"
#include "product.h"
#include "sentences.h"
#include "timing.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// torch.nn.functional.normalize divides by at least this much, so that a zero vector stays zero.
constexpr float kLeastNorm = 1e-12f;

// The rows of a sentence as one, by a pooler of all tokens; of two tensors, those of their mean. Each token of
// weightedmean weighs as much as its place, counted from 1.
inline void join(Pooler pooler, const float* states, const float* other, int tokens, size_t width, int size,
                 float* to) {
  if (pooler == Pooler::lasttoken) {
    memcpy(to, states + (tokens - 1) * width, width * sizeof(float));
    return;
  }
  const bool weighted = pooler == Pooler::weightedmean, by_largest = pooler == Pooler::max;
  Floats parts = all(1.f);
  if (pooler == Pooler::mean) parts = all((float)tokens);
  if (pooler == Pooler::mean_sqrt_len) parts = root(all((float)tokens));
  if (weighted) parts = all((float)((int64_t)tokens * (tokens + 1) / 2));
  for (int i = 0; i < size; i += kLanes) {
    Floats s = by_largest ? load(states + i) : all(0.f);
    for (int t = 0; t < tokens; t++) {
      Floats x = load(states + t * width + i);
      if (other) x = (x + load(other + t * width + i)) * all(0.5f);
      if (weighted) x = x * all((float)(t + 1));
      s = by_largest ? larger(s, x) : s + x;
    }
    store(to + i, s / parts);
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
    if (pooling.pooler == Pooler::first) memcpy(to, states + (size_t)s * width, width * sizeof(float));
    else join(pooling.pooler, states + at, other ? other + at : nullptr, (int)run.lengths[s], width, hidden, to);
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
