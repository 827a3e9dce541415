// The innermost product on CPUs with AMX: sixteen rows by the 64 columns of a panel, in the tile registers.
//
// A step takes 64 bytes of each row and the panel's next sixteen fours, so panels need no layout of their own. It reads
// sixteen rows whatever their count, and whole 64 bytes of a row: what lies there beyond the row's end must be finite,
// and the weights for it are zero.
#pragma once

#include "numbers.h"

namespace simcse {
namespace SIMCSE_VARIANT {

#if defined(__AMX_TILE__)

constexpr int kMatrixRows = 16;

// The tile registers' shapes, for the time of its life: 0-3 are sums, 4 rows, 5 columns; all 16 x 64 bytes.
class MatrixRegisters {
 public:
  MatrixRegisters() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
    } shapes;
    _tile_loadconfig(&shapes);
  }
  ~MatrixRegisters() { _tile_release(); }
};

template <class Number>
SIMCSE_INLINE void matrix_tile(const uint8_t* a, size_t row_bytes, const uint8_t* panel, size_t fours,
                               const typename Number::Sum* start, typename Number::Sum* sums) {
  constexpr size_t kStride = kPanel * 4;
  // A stride of zero repeats the start in every row.
  _tile_loadd(0, start, 0);
  _tile_loadd(1, start + 1, 0);
  _tile_loadd(2, start + 2, 0);
  _tile_loadd(3, start + 3, 0);
#define SIMCSE_STEP(v)                                   \
  _tile_loadd(5, panel + 64 * v, kStride);               \
  if constexpr (Number::kInteger) _tile_dpbusd(v, 4, 5); \
  else _tile_dpbf16ps(v, 4, 5);
  for (size_t k = 0; k < fours; k += 16, a += 64, panel += 16 * kStride) {
    _tile_loadd(4, a, row_bytes);
    SIMCSE_STEP(0) SIMCSE_STEP(1) SIMCSE_STEP(2) SIMCSE_STEP(3)
  }
#undef SIMCSE_STEP
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 1, kStride);
  _tile_stored(2, sums + 2, kStride);
  _tile_stored(3, sums + 3, kStride);
}

// Whether products of these numbers go through the tile registers.
template <class Number>
constexpr bool kHasMatrixTile = Number::kPerFour > 1;

#else

constexpr int kMatrixRows = 0;

template <class Number>
constexpr bool kHasMatrixTile = false;

#endif

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
