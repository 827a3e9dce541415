// The innermost product: a few rows by up to 64 columns, with all sums in registers.
//
// Columns come in panels of 64: [inputs / four bytes][64 columns][four bytes], so one load is sixteen columns of one
// step. The results go through a small buffer that stays in the first cache: where what follows is inlined here, its
// constants take registers away from the sums (docs/decisions/027-tile.md).
#pragma once

#include "pair_tile.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// The shape of a tile: as many sums as there are registers for.
#if defined(__AVX512F__)
constexpr int kTileRows = 6, kTileVectors = 4;
#elif defined(__AVX2__) && !defined(__AVXVNNI__)
constexpr int kTileRows = 4, kTileVectors = 1;
#else
constexpr int kTileRows = 6, kTileVectors = 1;
#endif

// sums[i][16 v …] = start + rows i … by the columns 16 v … of the panel; `columns_bytes` is the panel's stride.
template <class Number, int rows, int vectors>
__attribute__((noinline)) void tile(const uint8_t* a, size_t row_bytes, const uint8_t* columns, size_t columns_bytes,
                                    size_t fours, const typename Number::Sum* start, typename Number::Sum* sums,
                                    size_t sums_stride) {
  typename Number::Sum s[rows][vectors];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    typename Number::Sum first = start[v];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) s[i][v] = first;
  }
#pragma clang loop unroll(disable)
  for (size_t k = 0; k < fours; k++) {
    Ints b[vectors];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) b[v] = load((const int32_t*)(columns + 64 * v));
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      uint32_t four = four_bytes(a + i * row_bytes);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) s[i][v] = Number::step(s[i][v], four, b[v]);
    }
    a += 4;
    columns += columns_bytes;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sums[i * sums_stride + v] = s[i][v];
  }
}

// The same for any number of rows up to kTileRows and of vectors up to kTileVectors.
template <class Number, int vectors>
SIMCSE_INLINE void rows_tile(int rows, const uint8_t* a, size_t row_bytes, const uint8_t* columns, size_t columns_bytes,
                             size_t fours, const typename Number::Sum* start, typename Number::Sum* sums,
                             size_t sums_stride) {
#define SIMCSE_ROWS(n)                                                                                        \
  case n:                                                                                                     \
    if constexpr (kInPairs<Number, n>)                                                                        \
      return pair_tile<(n + 1) / 2>(a, row_bytes, columns, columns_bytes, fours, start, sums, sums_stride);   \
    else                                                                                                      \
      return tile<Number, n, vectors>(a, row_bytes, columns, columns_bytes, fours, start, sums, sums_stride);
  switch (rows) {
    SIMCSE_ROWS(1) SIMCSE_ROWS(2) SIMCSE_ROWS(3) SIMCSE_ROWS(4)
#if !defined(__AVX2__) || defined(__AVXVNNI__) || defined(__AVX512F__)
    SIMCSE_ROWS(5) SIMCSE_ROWS(6)
#endif
  }
#undef SIMCSE_ROWS
}

// Up to kTileRows rows by `vectors` groups of sixteen columns, at most four.
template <class Number>
__attribute__((noinline)) void wide_tile(int rows, int vectors, const uint8_t* a, size_t row_bytes,
                                         const uint8_t* columns, size_t columns_bytes, size_t fours,
                                         const typename Number::Sum* start, typename Number::Sum* sums,
                                         size_t sums_stride) {
  int v = 0;
  if constexpr (kTileVectors == 4) {
    if (vectors == 4)
      return rows_tile<Number, 4>(rows, a, row_bytes, columns, columns_bytes, fours, start, sums, sums_stride);
    if (vectors >= 2) {
      rows_tile<Number, 2>(rows, a, row_bytes, columns, columns_bytes, fours, start, sums, sums_stride);
      v = 2;
    }
  }
  for (; v < vectors; v++)
    rows_tile<Number, 1>(rows, a, row_bytes, columns + 64 * v, columns_bytes, fours, start + v, sums + v, sums_stride);
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
