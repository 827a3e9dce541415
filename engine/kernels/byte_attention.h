// Attention in bytes, for layers of bytes: softmax(Q Kᵀ / √d + bias) V of one sentence and one head, with exact products.
//
// Each query and each key has a step of its own, each feature of the values one for the sentence. Weights are in
// 65,280ths of the row's largest, two bytes each: in one, the many small weights of a long text would be lost. So a
// sentence's result depends on nothing beside it, and its bits on no CPU (docs/decisions/032-byte-attention.md).
#pragma once

#include "functions.h"
#include "memory.h"
#include "tile.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// The working space of one sentence and head.
struct ByteAttentionSpace {
  uint8_t* queries;       // [tokens][head], plus 128
  float* query_scales;    // [tokens], times alpha
  int32_t* keys;          // [fours of a head][padded tokens]
  float* key_scales;      // [padded tokens]
  int32_t* key_starts;    // [padded tokens], of the sums of scores
  int32_t* values;        // [fours of tokens, an even number][head]
  float* value_scales;    // [head]
  int32_t* value_starts;  // [head], of the sums of the context
  int32_t* scores;        // [rows of a tile][padded tokens]
  uint8_t* weights;       // [upper and lower bytes][rows of a tile][padded tokens]
  int32_t* context;       // [of upper and lower bytes][rows of a tile][head]

  ByteAttentionSpace(Pieces& pieces, size_t tokens, size_t head) {
    const size_t padded = round_up(tokens, kLanes);
    queries = pieces.take<uint8_t>((tokens + 1) * head);  // tiles may read a row more
    query_scales = pieces.take<float>(padded);  // whole vectors
    keys = pieces.take<int32_t>(round_up(head / 4, kLanes) * padded);
    key_scales = pieces.take<float>(padded);
    key_starts = pieces.take<int32_t>(padded);
    values = pieces.take<int32_t>(padded / 4 * head);
    value_scales = pieces.take<float>(head);
    value_starts = pieces.take<int32_t>(head);
    scores = pieces.take<int32_t>(kTileRows * padded);
    weights = pieces.take<uint8_t>(2 * kTileRows * padded);
    context = pieces.take<int32_t>(2 * kTileRows * head);
  }
};

// The step of numbers whose largest magnitude is `most`, and its inverse; zeros stay zero.
SIMCSE_INLINE Floats step_of(Floats most, Floats& inverse) {
  inverse = most > all(1e-30f) ? all(127.f) / most : all(0.f);
  return most * all(1.f / 127.f);
}

// Up to sixteen rows of a head as bytes around 128, one row after the other; each one's step is in its lane.
SIMCSE_INLINE Floats rows_to_bytes(const float* x, size_t stride, int rows, int head, uint8_t* to) {
  Ints most[kLanes];
#pragma clang loop unroll(full)
  for (int t = 0; t < kLanes; t++) most[t] = all(int32_t(0));
  for (int t = 0; t < rows; t++) {
    Floats m = magnitude(load(x + t * stride));
    for (int d = kLanes; d < head; d += kLanes) m = larger(magnitude(load(x + t * stride + d)), m);
    most[t] = bits(m);
  }
  // Floats that are not negative compare as integers do.
  transpose(most);
#pragma clang loop unroll(full)
  for (int half = kLanes / 2; half; half /= 2)
#pragma clang loop unroll(full)
    for (int i = 0; i < half; i++) most[i] = most[i] > most[i + half] ? most[i] : most[i + half];
  Floats inverse;
  const Floats steps = step_of(from_bits(most[0]), inverse);
  float inverses[kLanes];
  store(inverses, inverse);
  Floats y[4];
  int filled = 0;
  for (int t = 0; t < rows; t++)
    for (int d = 0; d < head; d += kLanes) {
      y[filled++] = fma(load(x + t * stride + d), all(inverses[t]), all(128.f));
      if (filled < 4) continue;
      store_bytes<4>(to, y);
      to += 4 * kLanes;
      filled = 0;
    }
  for (int i = 0; i < filled; i++, to += kLanes) store_bytes<1>(to, y + i);
  return steps;
}

__attribute__((noinline)) inline void bytes_of_queries(const float* q, size_t stride, int queries, int head,
                                                       float alpha, const ByteAttentionSpace& space) {
  for (int i = 0; i < queries; i += kLanes) {
    const int rows = queries - i < kLanes ? queries - i : kLanes;
    const Floats steps = rows_to_bytes(q + i * stride, stride, rows, head, space.queries + (size_t)i * head);
    // Of queries that are zero the scale is not, so that scores of padding stay far below.
    store(space.query_scales + i, larger(steps, all(1e-20f)) * all(alpha));
  }
}

__attribute__((noinline)) inline void bytes_of_keys(const float* k, size_t stride, int tokens, int head,
                                                       const ByteAttentionSpace& space) {
  const int padded = round_up(tokens, kLanes), fours = head / 4;
  // Stored bytes are x + 128 - kByteShift; a key's own are signed.
  constexpr int32_t kSigned = kByteShift ? 0 : (int32_t)0x80808080;
  alignas(kLine) uint8_t bytes[kLanes * kMostHead];
  for (int j = 0; j < padded; j += kLanes) {
    const int rows = tokens - j < kLanes ? tokens - j : kLanes;
    store(space.key_scales + j, rows_to_bytes(k + j * stride, stride, rows, head, bytes));
    Ints sums = all(int32_t(0));
    for (int f = 0; f < fours; f += kLanes) {
      Ints block[kLanes];
#pragma clang loop unroll(full)
      for (int t = 0; t < kLanes; t++)
        block[t] = t < rows ? load((const int32_t*)(bytes + t * head + 4 * f)) ^ all(kSigned) : all(int32_t(0));
      transpose(block);
      const int count = fours - f < kLanes ? fours - f : kLanes;
      for (int i = 0; i < count; i++) {
        store(space.keys + (size_t)(f + i) * padded + j, block[i]);
        if constexpr (kByteShift != 128) sums = AnyBytes::step(sums, 0x01010101, block[i]);
      }
    }
    store(space.key_starts + j, sums * all(kByteShift - 128));
  }
}

__attribute__((noinline)) inline void bytes_of_values(const float* v, size_t stride, int tokens, int head,
                                                         const ByteAttentionSpace& space) {
  for (int d = 0; d < head; d += kLanes) {
    Floats most = all(0.f);
    for (int t = 0; t < tokens; t++) most = larger(magnitude(load(v + t * stride + d)), most);
    Floats inverse;
    store(space.value_scales + d, step_of(most, inverse));
    Ints sums = all(int32_t(0));
    for (int t = 0; t < (int)round_up(tokens, 8); t += 4) {
      Ints four = all(int32_t(0));
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) {
        if (t + i >= tokens) continue;
        const Ints x = bits(fma(load(v + (t + i) * stride + d), inverse, all(kRounder))) - all(kRounderBits);
        four = four | ((x & all(0xff)) << (8 * i));
        if constexpr (kByteShift != 0) sums = sums + x;
      }
      store(space.values + (size_t)(t / 4) * head + d, four);
    }
    store(space.value_starts + d, sums * all(kByteShift));
  }
}

// What the largest weight is: 255 in the upper byte.
constexpr float kLargestWeight = 65280.f;

// The largest weight x 2^(x * factor), rounded to even, in the low 16 bits of each lane, for products of -20 … 0; with
// a relative error of 1.1e-4.
SIMCSE_INLINE Ints weights_of(Floats x, Floats factor) {
  const Floats shifted = fma(x, factor, all(kRounder)), part = fma(x, factor, all(kRounder) - shifted);
  Floats p = all(0.0550089314f);
  p = fma(p, part, all(0.242210962f));
  p = fma(p, part, all(0.693282927f));
  p = fma(p, part, all(1.f));
  // Of the rounder's own bits none is left after the shift.
  const Floats power = from_bits(bits(p) + (bits(shifted) << 23));
  return bits(fma(power, all(kLargestWeight), all(kRounder))) & all(0xffff);
}

// One row of scores to weights, their upper and their lower bytes; their sum. `bias` [padded tokens] times its scale is
// added to the scores, unless it is null.
__attribute__((noinline)) inline float weigh_bytes(int32_t* scores, const float* key_scales, const float* bias,
                                                   float bias_scale, int tokens, int padded, float alpha,
                                                   uint8_t* upper, uint8_t* lower) {
  float* x = (float*)scores;
  Floats most = all(-1e30f);
  for (int j = 0; j < padded; j += kLanes) {
    Floats score = to_floats(load(scores + j)) * load(key_scales + j);
    if (bias) score = fma(load(bias + j), all(bias_scale), score);
    if (j + kLanes > tokens) score = first_lanes(score, tokens - j, all(-1e30f));
    most = larger(score, most);
    store(x + j, score);
  }
  const Floats a = all(alpha), top = all(largest(most)), least = all(-20.f / alpha);
  Ints total = all(int32_t(0));
  int j = 0;
  for (; j + 4 * kLanes <= padded; j += 4 * kLanes) {
    Ints high[4], low[4];
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
      const Ints w = weights_of(larger(load(x + j + kLanes * i) - top, least), a);
      total = total + w;
      high[i] = w >> 8;
      low[i] = w & all(0xff);
    }
    store_low_bytes<4>(upper + j, high);
    store_low_bytes<4>(lower + j, low);
  }
  for (; j < padded; j += kLanes) {
    const Ints w = weights_of(larger(load(x + j) - top, least), a);
    total = total + w;
    const Ints high[1] = {w >> 8}, low[1] = {w & all(0xff)};
    store_low_bytes<1>(upper + j, high);
    store_low_bytes<1>(lower + j, low);
  }
  return sum(to_floats(total));
}

// As for other numbers, see attention.h.
template <class Number, class Result>
void attend(const float* q, size_t q_stride, int queries, const float* k, const float* v, size_t stride, int tokens,
            int head, float alpha, const float* bias, const ByteAttentionSpace& space, uint8_t* to, size_t to_bytes,
            Step step) {
  bytes_of_queries(q, q_stride, queries, head, alpha, space);
  bytes_of_keys(k, stride, tokens, head, space);
  bytes_of_values(v, stride, tokens, head, space);
  const int padded = round_up(tokens, kLanes), groups = padded / kLanes, vectors = head / kLanes;
  uint8_t* weights[] = {space.weights, space.weights + (size_t)kTileRows * padded};
  Ints* context[] = {(Ints*)space.context, (Ints*)space.context + kTileRows * vectors};
  for (int i = 0; i < queries; i += kTileRows) {
    const int rows = queries - i < kTileRows ? queries - i : kTileRows;
    for (int g = 0; g < groups; g += 4)
      wide_tile<AnyBytes>(rows, groups - g < 4 ? groups - g : 4, space.queries + (size_t)i * head, head,
                          (const uint8_t*)space.keys + 64 * g, (size_t)padded * 4, head / 4,
                          (const Ints*)space.key_starts + g, (Ints*)space.scores + g, groups);
    float sums[kTileRows];
    for (int r = 0; r < rows; r++) {
      const float scale = space.query_scales[i + r];
      sums[r] = weigh_bytes(space.scores + r * padded, space.key_scales, bias ? bias - (i + r) : nullptr,
                            alpha / scale, tokens, padded, scale, weights[0] + r * padded, weights[1] + r * padded);
    }
    for (int half = 0; half < 2; half++)
      for (int d = 0; d < vectors; d += 4)
        wide_tile<AnyBytes>(rows, vectors - d < 4 ? vectors - d : 4, weights[half], padded,
                            (const uint8_t*)space.values + 64 * d, (size_t)head * 4, (tokens + 3) / 4,
                            (const Ints*)space.value_starts + d, context[half] + d, vectors);
    for (int r = 0; r < rows; r++) {
      const Floats share = all(1.f / sums[r]);
      for (int d = 0; d < vectors; d++) {
        const Floats scale = load(space.value_scales + d * kLanes) * share;
        const int at = r * vectors + d;
        const Floats y[1] = {fma(to_floats(context[0][at]), all(256.f), to_floats(context[1][at])) * scale};
        Result::template store<1>(to + (i + r) * to_bytes + (size_t)d * kLanes * Result::kSize, y, step);
      }
    }
  }
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
