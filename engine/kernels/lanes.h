// Sixteen lanes of floats or integers: what every variant computes with, whatever its registers' width.
//
// The compiler spreads the lanes over one, two or four registers. Every operation here is exact or rounds once as
// IEEE 754 says, and a sum over lanes has one order, so results have the same bits on every CPU. Contraction of a * b +
// c is off (-ffp-contract=off): `fma` alone fuses.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layer.h"

#define SIMCSE_INLINE inline __attribute__((always_inline))
// Of what takes little of a run's time, the size matters.
#define SIMCSE_SMALL __attribute__((noinline, minsize))

namespace simcse {
namespace SIMCSE_VARIANT {

typedef float Floats __attribute__((ext_vector_type(16)));
typedef int32_t Ints __attribute__((ext_vector_type(16)));
typedef float UnalignedFloats __attribute__((ext_vector_type(16), aligned(4)));
typedef int32_t UnalignedInts __attribute__((ext_vector_type(16), aligned(4)));
typedef int8_t UnalignedBytes __attribute__((ext_vector_type(16), aligned(1)));

SIMCSE_INLINE Floats load(const float* from) { return *(const UnalignedFloats*)from; }
SIMCSE_INLINE Ints load(const int32_t* from) { return *(const UnalignedInts*)from; }
SIMCSE_INLINE void store(float* to, Floats x) { *(UnalignedFloats*)to = x; }
SIMCSE_INLINE void store(int32_t* to, Ints x) { *(UnalignedInts*)to = x; }
SIMCSE_INLINE Floats load_bytes(const int8_t* from) {
  return __builtin_convertvector(*(const UnalignedBytes*)from, Floats);
}

SIMCSE_INLINE Floats all(float x) { return (Floats)(x); }
SIMCSE_INLINE Ints all(int32_t x) { return (Ints)(x); }
SIMCSE_INLINE Floats fma(Floats a, Floats b, Floats c) { return __builtin_elementwise_fma(a, b, c); }
// The second where either is NaN: one instruction on x86.
SIMCSE_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }
SIMCSE_INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
SIMCSE_INLINE Floats to_floats(Ints x) { return __builtin_convertvector(x, Floats); }
SIMCSE_INLINE Ints bits(Floats x) { return (Ints)x; }
SIMCSE_INLINE Floats from_bits(Ints x) { return (Floats)x; }
SIMCSE_INLINE Floats magnitude(Floats x) { return from_bits(bits(x) & all(0x7fffffff)); }
SIMCSE_INLINE Floats root(Floats x) { return __builtin_elementwise_sqrt(x); }

// The first `count` lanes of x, and `other` in the rest.
SIMCSE_INLINE Floats first_lanes(Floats x, int count, Floats other) {
  const Ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return lane < all(int32_t(count)) ? x : other;
}

#define SIMCSE_HALVES(x, combine)                                                    \
  auto eight = combine(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7),        \
                       __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)); \
  auto four = combine(__builtin_shufflevector(eight, eight, 0, 1, 2, 3),             \
                      __builtin_shufflevector(eight, eight, 4, 5, 6, 7));            \
  auto two = combine(__builtin_shufflevector(four, four, 0, 1), __builtin_shufflevector(four, four, 2, 3));

// The sum of all lanes: halves are added until one lane is left.
SIMCSE_INLINE float sum(Floats x) {
  auto add = [](auto a, auto b) __attribute__((always_inline)) { return a + b; };
  SIMCSE_HALVES(x, add)
  return two[0] + two[1];
}

SIMCSE_INLINE float largest(Floats x) {
  auto max = [](auto a, auto b) __attribute__((always_inline)) { return a > b ? a : b; };
  SIMCSE_HALVES(x, max)
  return two[0] > two[1] ? two[0] : two[1];
}

#undef SIMCSE_HALVES

// Integers of four bytes per lane, 16 x 16: rows become columns.
SIMCSE_INLINE void transpose(Ints* rows) {
  Ints t[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++) {  // neighbours: lanes 0, 1 of each four
    Ints a = rows[2 * i], b = rows[2 * i + 1];
    t[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    t[2 * i + 1] = __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
#pragma clang loop unroll(full)
    for (int j = 0; j < 2; j++) {
      Ints a = t[4 * i + j], b = t[4 * i + 2 + j];
      rows[4 * i + 2 * j] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      rows[4 * i + 2 * j + 1] =
          __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  }
  // Now row 4i + j holds, in each four lanes q, column 4q + j of the rows 4i … 4i + 3.
#pragma clang loop unroll(full)
  for (int j = 0; j < 4; j++) {
    Ints a = rows[j], b = rows[4 + j], c = rows[8 + j], d = rows[12 + j];
    Ints ab0 = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    Ints ab1 = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    Ints cd0 = __builtin_shufflevector(c, d, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    Ints cd1 = __builtin_shufflevector(c, d, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    t[j] = __builtin_shufflevector(ab0, cd0, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    t[8 + j] = __builtin_shufflevector(ab0, cd0, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    t[4 + j] = __builtin_shufflevector(ab1, cd1, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    t[12 + j] = __builtin_shufflevector(ab1, cd1, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++) rows[i] = t[i];
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
