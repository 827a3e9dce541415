// LayerNorm (Ba et al. 2016, arXiv:1607.06450) over rows of floats, and its result as the next product's numbers.
#pragma once

#include "memory.h"
#include "numbers.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// Four sums take turns, which hides the latency of additions; they are added in one order.
template <class Term>
SIMCSE_INLINE float total(int size, const Term& term) {
  Floats s[4] = {all(0.f), all(0.f), all(0.f), all(0.f)};
  int i = 0;
  for (; i + 4 * kLanes <= size; i += 4 * kLanes)
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) s[j] = term(s[j], i + kLanes * j);
#pragma clang loop unroll(full)
  for (int j = 0; j < 4; j++, i += kLanes)
    if (i < size) s[j] = term(s[j], i);
  return sum((s[0] + s[1]) + (s[2] + s[3]));
}

// Normalize a row in place: (x - mean) / sqrt(variance + epsilon) * gamma + beta.
SIMCSE_INLINE void normalize(float* x, const Norm& norm) {
  const int size = norm.size;
  const float whole = total(size, [&](Floats s, int i) __attribute__((always_inline)) { return s + load(x + i); });
  const Floats m = all(whole / size);
  const float squares = total(size, [&](Floats s, int i) __attribute__((always_inline)) {
    Floats d = load(x + i) - m;
    if (size - i < kLanes) d = first_lanes(d, size - i, all(0.f));
    return fma(d, d, s);
  });
  const Floats deviation = root(all(squares / size + norm.epsilon));
  const Floats inverse = all(1.f) / deviation;
  for (int i = 0; i < size; i += kLanes)
    store(x + i, fma((load(x + i) - m) * inverse, load(norm.gamma + i), load(norm.beta + i)));
}

// A row of floats as the numbers of a product. `channels` are for bytes alone.
template <class Number>
SIMCSE_INLINE void to_numbers(const float* x, int size, const Channels& channels, uint8_t* to) {
  if constexpr (Number::kInteger) {
    int i = 0;
    for (; i + 4 * kLanes <= size; i += 4 * kLanes) {
      Floats y[4];
#pragma clang loop unroll(full)
      for (int j = 0; j < 4; j++) {
        const int at = i + kLanes * j;
        y[j] = fma(load(x + at), load(channels.factor + at), load(channels.offset + at));
      }
      store_bytes<4>(to + i, y);
    }
    for (; i < size; i += kLanes) {
      Floats y[1] = {fma(load(x + i), load(channels.factor + i), load(channels.offset + i))};
      store_bytes<1>(to + i, y);
    }
  } else {
    for (int i = 0; i < size; i += kLanes) {
      Floats y[1] = {load(x + i)};
      Number::template store<1>(to + (size_t)i * Number::kSize, y, Step{});
    }
    // Matrix tiles read whole 64 bytes.
    for (size_t i = round_up(size, kLanes) * Number::kSize; i % kLine; i += kLanes * Number::kSize)
      memset(to + i, 0, kLanes * Number::kSize);
  }
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
