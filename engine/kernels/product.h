// Products of rows by a linear layer, tile by tile, each tile handed on while it is hot.
#pragma once

#include "functions.h"
#include "matrix_tile.h"
#include "tile.h"

namespace simcse {
namespace SIMCSE_VARIANT {

struct Rows {
  const uint8_t* data;
  size_t bytes;  // from one row to the next
  int count;
};

// Four vectors of the layer's values, of their sums.
template <class Number>
SIMCSE_INLINE void values(const Linear& linear, int column, const typename Number::Sum* sums, Floats* x) {
#pragma clang loop unroll(full)
  for (int v = 0; v < 4; v++) {
    if constexpr (Number::kInteger) {
      const int at = column + kLanes * v;
      x[v] = fma(to_floats(sums[v]), load(linear.scale + at), load(linear.bias + at));
    } else {
      x[v] = sums[v];
    }
  }
}

// What follows a product: `row` takes 64 values of a row, from `column` on, in four vectors. Rows are padded to whole
// panels, and nothing reads what lies beyond the layer's outputs.

// Into floats.
struct ToFloats {
  float* to;
  size_t stride;

  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; v++) store(to + row * stride + column + kLanes * v, x[v]);
  }
};

// Added to the rows of `from`, into `to`.
struct ToSum {
  const float* from;
  const int* from_rows;  // which row of `from` each is; null: its own
  size_t stride;         // of both
  float* to;

  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
    const float* other = from + (from_rows ? from_rows[row] : row) * stride + column;
    float* sum = to + row * stride + column;
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; v++) store(sum + kLanes * v, x[v] + load(other + kLanes * v));
  }
};

// Through GELU, into numbers of the next product.
template <class Number>
struct ToGelu {
  uint8_t* to;
  size_t row_bytes;
  Step step;

  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
    Floats y[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; v++) y[v] = Number::kInteger ? rough_gelu(x[v]) : gelu(x[v]);
    Number::template store<4>(to + row * row_bytes + (size_t)column * Number::kSize, y, step);
  }
};

// The same through an activation that few models have.
template <class Number>
struct ToActivated {
  Activation kind;
  uint8_t* to;
  size_t row_bytes;
  Step step;

  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
    Floats y[4];
    activate(kind, x, y);
    Number::template store<4>(to + row * row_bytes + (size_t)column * Number::kSize, y, step);
  }
};

template <class Number, class Next>
__attribute__((noinline)) void hand_on(const Linear& linear, const void* next, const void* pointer, int row, int rows,
                                       int column) {
  auto* sums = (const typename Number::Sum*)pointer;
  const Next follow = *(const Next*)next;
  for (int i = 0; i < rows; i++, sums += kPanel / kLanes) {
    Floats x[4];
    values<Number>(linear, column, sums, x);
    follow.row(row + i, column, x);
  }
}

using HandOn = void (*)(const Linear&, const void*, const void*, int, int, int);

template <class Number>
void multiply(const Rows& rows, const Linear& linear, int first, int last, HandOn hand, const void* next) {
  using Sum = typename Number::Sum;
  constexpr int most = kHasMatrixTile<Number> ? kMatrixRows : kTileRows;
  alignas(kLine) Sum sums[most * (kPanel / kLanes)] = {};
#if defined(__AMX_TILE__)
  const MatrixRegisters registers;
#endif
  for (int p = first; p < last; p++) {
    const uint8_t* panel = linear.panels + p * linear.panel_bytes;
    const Sum* start = (const Sum*)(linear.start + p * kPanel);
    const int left = linear.vectors() - p * (kPanel / kLanes);
    const int vectors = left < kPanel / kLanes ? left : kPanel / kLanes;
    for (int r = 0; r < rows.count; r += most) {
      const int count = rows.count - r < most ? rows.count - r : most;
      const uint8_t* a = rows.data + r * rows.bytes;
      if constexpr (kHasMatrixTile<Number>)
        matrix_tile<Number>(a, rows.bytes, panel, linear.fours, start, sums);
      else
        wide_tile<Number>(count, vectors, a, rows.bytes, panel, kPanel * 4, linear.fours, start, sums, kPanel / kLanes);
      hand(linear, next, sums, r, count, p * kPanel);
    }
  }
}

// Multiply all rows by the layer's panels first … last - 1, each tile handed on to `next` while it is hot.
template <class Number, class Next>
SIMCSE_INLINE void multiply(const Rows& rows, const Linear& linear, int first, int last, const Next& next) {
  multiply<Number>(rows, linear, first, last, hand_on<Number, Next>, &next);
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
