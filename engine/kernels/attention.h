// Softmax(Q Kᵀ / √d + bias) V of one sentence and one head, in cache: a few queries at a time.
//
// Queries, keys, values and probabilities are pairs of bfloat16, or single floats; sums and softmax are float32.
#pragma once

#include "functions.h"
#include "memory.h"
#include "tile.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// The working space of one sentence and head.
struct AttentionSpace {
  int32_t* keys;     // [fours of a head][padded tokens]
  int32_t* values;   // pairs: [tokens / 2][head]
  int32_t* queries;  // pairs: [tokens][head / 2]
  float* scores;     // [rows of a tile][padded tokens]
  uint8_t* weights;  // the same as numbers
  float* context;    // [rows of a tile][head]

  AttentionSpace(Pieces& pieces, size_t tokens, size_t head) {
    const size_t padded = round_up(tokens, kLanes);
    keys = pieces.take<int32_t>(round_up(head, 2 * kLanes) * padded);
    values = pieces.take<int32_t>((padded / 2 + 1) * head);
    queries = pieces.take<int32_t>(padded * round_up(head, 2 * kLanes) / 2);
    scores = pieces.take<float>(kTileRows * padded);
    weights = pieces.take<uint8_t>(kTileRows * padded * 4);
    context = pieces.take<float>(kTileRows * head);
  }
};

// 32 floats as sixteen pairs of neighbours.
SIMCSE_INLINE Ints neighbour_pairs(Floats a, Floats b) {
#if defined(__AVX512BF16__)
  return (Ints)(__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
#else
  return pairs_of(
      __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
      __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
#endif
}

// The operands of the two products, laid out as tiles take them.
struct Operands {
  const uint8_t* queries;
  size_t query_bytes;
  const uint8_t* values;
  size_t value_bytes;
};

template <class Number>
Operands lay_out(const float* q, size_t q_stride, int queries, const float* k, const float* v, size_t stride,
                 int tokens, int head, const AttentionSpace& space) {
  constexpr bool pairs = Number::kPerFour == 2;
  const int padded = round_up(tokens, kLanes), fours = head / Number::kPerFour;
  for (int j = 0; j < padded; j += kLanes) {
    for (int f = 0; f < fours; f += kLanes) {
      Ints rows[kLanes];
#pragma clang loop unroll(full)
      for (int t = 0; t < kLanes; t++) {
        rows[t] = all(int32_t(0));
        if (j + t < tokens) {
          const float* key = k + (j + t) * stride + f * Number::kPerFour;
          if constexpr (pairs) {
            const bool whole = (f + kLanes / 2) * 2 < head;
            rows[t] = neighbour_pairs(load(key), whole ? load(key + kLanes) : all(0.f));
          } else {
            rows[t] = bits(load(key));
          }
        }
      }
      transpose(rows);
      const int count = fours - f < kLanes ? fours - f : kLanes;
      for (int t = 0; t < count; t++) store(space.keys + (size_t)(f + t) * padded + j, rows[t]);
    }
  }
  if constexpr (!pairs) {
    return {(const uint8_t*)q, q_stride * 4, (const uint8_t*)v, stride * 4};
  } else {
    for (int i = 0; i < queries; i++)
      for (int d = 0; d < head; d += 2 * kLanes) {
        const bool whole = d + kLanes < head;
        Ints row = neighbour_pairs(load(q + i * q_stride + d), whole ? load(q + i * q_stride + d + kLanes) : all(0.f));
        store(space.queries + (size_t)i * round_up(head, 2 * kLanes) / 2 + d / 2, row);
      }
    for (int t = 0; t < tokens; t += 2)
      for (int d = 0; d < head; d += kLanes) {
        Floats first = load(v + t * stride + d), second = t + 1 < tokens ? load(v + (t + 1) * stride + d) : all(0.f);
        store(space.values + (size_t)(t / 2) * head + d, pairs_of(first, second));
      }
    return {(const uint8_t*)space.queries, round_up(head, 2 * kLanes) * 2, (const uint8_t*)space.values,
            (size_t)head * 4};
  }
}

// One row of scores to weights, not yet divided by their sum, which is the result. `bias` [padded tokens] is added to
// the scores, unless it is null.
template <class Number>
SIMCSE_INLINE float weigh(float* scores, const float* bias, int tokens, int padded, float alpha, uint8_t* weights) {
  for (int j = 0; bias && j < padded; j += kLanes) store(scores + j, load(scores + j) + load(bias + j));
  if (padded != tokens) {
    float* last = scores + padded - kLanes;
    store(last, first_lanes(load(last), tokens - (padded - kLanes), all(-1e30f)));
  }
  Floats most = load(scores);
  for (int j = kLanes; j < padded; j += kLanes) most = larger(most, load(scores + j));
  const Floats a = all(alpha), top = all(largest(most)), least = all(-125.f / alpha);
  Floats s = all(0.f);
  for (int j = 0; j < padded; j += kLanes) {
    Floats w[1] = {exp2(larger(load(scores + j) - top, least), a)};
    s = s + w[0];
    Number::template store<1>(weights + (size_t)j * Number::kSize, w, Step{});
  }
  return sum(s);
}

// Attention of `queries` rows at q on `tokens` rows at k and v, into numbers at `to`. Heads are padded to whole
// vectors. `bias` is that of a key at its query's place, with those of other distances around it; null for none.
template <class Number, class Result>
void attend(const float* q, size_t q_stride, int queries, const float* k, const float* v, size_t stride, int tokens,
            int head, float alpha, const float* bias, const AttentionSpace& space, uint8_t* to, size_t to_bytes,
            Step step) {
  const Operands operands = lay_out<Number>(q, q_stride, queries, k, v, stride, tokens, head, space);
  const int padded = round_up(tokens, kLanes), groups = padded / kLanes, vectors = head / kLanes;
  const size_t weight_bytes = (size_t)padded * Number::kSize;
  const Floats zeros[4] = {};
  for (int i = 0; i < queries; i += kTileRows) {
    const int rows = queries - i < kTileRows ? queries - i : kTileRows;
    for (int g = 0; g < groups; g += 4)
      wide_tile<Number>(rows, groups - g < 4 ? groups - g : 4, operands.queries + i * operands.query_bytes,
                        operands.query_bytes, (const uint8_t*)space.keys + 64 * g, (size_t)padded * 4,
                        head / Number::kPerFour, zeros, (Floats*)space.scores + g, groups);
    float sums[kTileRows];
    for (int r = 0; r < rows; r++)
      sums[r] = weigh<Number>(space.scores + r * padded, bias ? bias - (i + r) : nullptr, tokens, padded, alpha,
                              space.weights + r * weight_bytes);
    for (int d = 0; d < vectors; d += 4)
      wide_tile<Number>(rows, vectors - d < 4 ? vectors - d : 4, space.weights, weight_bytes,
                        operands.values + 64 * d, operands.value_bytes,
                        (tokens + Number::kPerFour - 1) / Number::kPerFour, zeros, (Floats*)space.context + d, vectors);
    for (int r = 0; r < rows; r++) {
      const Floats share = all(1.f / sums[r]);
      for (int d = 0; d < vectors; d++) {
        Floats y[1] = {((const Floats*)space.context)[r * vectors + d] * share};
        Result::template store<1>(to + (i + r) * to_bytes + (size_t)d * kLanes * Result::kSize, y, step);
      }
    }
  }
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
