// The innermost product of bytes on ARM's CPUs with SMMLA: pairs of rows by sixteen columns.
//
// One instruction takes eight bytes of two rows and of two columns, and adds four sums: twice what vdotq_s32 does.
// Panels hold a column's bytes by fours, so two fours are zipped first. Rows and fours are read in pairs: where the
// last has no other, a row's may be anything and a four's weights are zero.
#pragma once

#include "numbers.h"

namespace simcse {
namespace SIMCSE_VARIANT {

#if defined(__ARM_FEATURE_MATMUL_INT8)

// Whether so many rows go in pairs: with fewer, zipping takes the time that products save.
template <class Number, int rows>
constexpr bool kInPairs = Number::kInteger && rows >= 4;

// As `tile`; writes the sums of whole pairs of rows. Scheduled for CPUs that reorder instructions by themselves, else
// the compiler loads so far ahead that sums leave their registers.
template <int pairs>
__attribute__((noinline, target("tune=neoverse-v1"))) void pair_tile(const uint8_t* a, size_t row_bytes,
                                                                     const uint8_t* columns, size_t columns_bytes,
                                                                     size_t fours, const Ints* start, Ints* sums,
                                                                     size_t sums_stride) {
  int32x4_t s[pairs][8];  // of two rows by two columns
#pragma clang loop unroll(full)
  for (int q = 0; q < 4; q++) {
    const int32x4_t first = half_of<int32x4_t>(*start, q);
#pragma clang loop unroll(full)
    for (int i = 0; i < pairs; i++) {
      s[i][2 * q] = __builtin_shufflevector(first, first, 0, 1, 0, 1);
      s[i][2 * q + 1] = __builtin_shufflevector(first, first, 2, 3, 2, 3);
    }
  }
#pragma clang loop unroll(disable)
  for (size_t k = 0; k < fours; k += 2) {
    int8x16_t rows[pairs];
#pragma clang loop unroll(full)
    for (int i = 0; i < pairs; i++) {
      const int8_t* row = (const int8_t*)a + 2 * i * row_bytes;
      rows[i] = vcombine_s8(vld1_s8(row), vld1_s8(row + row_bytes));
    }
#pragma clang loop unroll(full)
    for (int q = 0; q < 4; q++) {
      const int32x4_t low = vld1q_s32((const int32_t*)columns + 4 * q);
      const int32x4_t high = vld1q_s32((const int32_t*)(columns + columns_bytes) + 4 * q);
      const int8x16_t b0 = vreinterpretq_s8_s32(vzip1q_s32(low, high));
      const int8x16_t b1 = vreinterpretq_s8_s32(vzip2q_s32(low, high));
#pragma clang loop unroll(full)
      for (int i = 0; i < pairs; i++) {
        s[i][2 * q] = vmmlaq_s32(s[i][2 * q], rows[i], b0);
        s[i][2 * q + 1] = vmmlaq_s32(s[i][2 * q + 1], rows[i], b1);
      }
    }
    a += 8;
    columns += 2 * columns_bytes;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < pairs; i++) {
    int32_t* to = (int32_t*)(sums + 2 * i * sums_stride);
#pragma clang loop unroll(full)
    for (int q = 0; q < 4; q++) {
      const int32x4_t left = s[i][2 * q], right = s[i][2 * q + 1];
      vst1q_s32(to + 4 * q, __builtin_shufflevector(left, right, 0, 1, 4, 5));
      vst1q_s32(to + sums_stride * kLanes + 4 * q, __builtin_shufflevector(left, right, 2, 3, 6, 7));
    }
  }
}

#else

template <class Number, int rows>
constexpr bool kInPairs = false;

#endif

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
