// Products of rows by a linear layer, tile by tile, each tile handed on while it is hot.
#pragma once

#include "functions.h"
#include "packing.h"

namespace simcse {
namespace SIMCSE_VARIANT {

struct Rows {
  const uint8_t* data;
  size_t bytes;  // from one row to the next
  int count;
};

// The layer's value, of a sum.
template <class Number, int vectors>
SIMCSE_INLINE void values(const Linear& linear, int column, const typename Number::Sum* sums, Floats* x) {
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    if constexpr (Number::kInteger) {
      const int at = column + kLanes * v;
      x[v] = fma(to_floats(sums[v]), load(linear.scale + at), load(linear.bias + at));
    } else {
      x[v] = sums[v];
    }
  }
}

// What follows a product, row by row: `row<n>` takes n vectors of values from `column` on.

// Into floats.
struct ToFloats {
  float* to;
  size_t stride;

  template <int n>
  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
#pragma clang loop unroll(full)
    for (int v = 0; v < n; v++) store(to + row * stride + column + kLanes * v, x[v]);
  }
};

// Added to the rows of `from`, into `to`.
struct ToSum {
  const float* from;
  const int* from_rows;  // which row of `from` each is; null: its own
  size_t stride;         // of both
  float* to;

  template <int n>
  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
    const float* other = from + (from_rows ? from_rows[row] : row) * stride + column;
    float* sum = to + row * stride + column;
#pragma clang loop unroll(full)
    for (int v = 0; v < n; v++) store(sum + kLanes * v, x[v] + load(other + kLanes * v));
  }
};

// Through an activation, into numbers of the next product.
template <Activation kind, class Number>
struct ToActivated {
  uint8_t* to;
  size_t row_bytes;
  Step step;

  template <int n>
  SIMCSE_INLINE void row(int row, int column, const Floats* x) const {
    Floats y[n];
#pragma clang loop unroll(full)
    for (int v = 0; v < n; v++) y[v] = activate<kind, Number::kInteger>(x[v]);
    Number::template store<n>(to + row * row_bytes + (size_t)column * Number::kBytes, y, step);
  }
};

template <class Number, class Next>
__attribute__((noinline)) void hand_on(const Linear& linear, const Next& next, const typename Number::Sum* sums,
                                       int row, int rows, int column, int vectors) {
  for (int i = 0; i < rows; i++, sums += kPanel / kLanes) {
    Floats x[4];
    if (vectors == 4) {
      values<Number, 4>(linear, column, sums, x);
      next.template row<4>(row + i, column, x);
      continue;
    }
    for (int v = 0; v < vectors; v++) {
      values<Number, 1>(linear, column + kLanes * v, sums + v, x);
      next.template row<1>(row + i, column + kLanes * v, x);
    }
  }
}

// Multiply all rows by the layer's panels first … last - 1.
template <class Number, class Next>
void multiply(const Rows& rows, const Linear& linear, int first, int last, const Next& next) {
  using Sum = typename Number::Sum;
  alignas(kLine) Sum sums[kTileRows * (kPanel / kLanes)];
  for (int p = first; p < last; p++) {
    const uint8_t* panel = linear.panels + p * linear.panel_bytes;
    const Sum* start = (const Sum*)(linear.start + p * kPanel);
    const int left = linear.vectors() - p * (kPanel / kLanes);
    const int vectors = left < kPanel / kLanes ? left : kPanel / kLanes;
    for (int r = 0; r < rows.count; r += kTileRows) {
      const int count = rows.count - r < kTileRows ? rows.count - r : kTileRows;
      wide_tile<Number>(count, vectors, rows.data + r * rows.bytes, rows.bytes, panel, kPanel * 4, linear.fours, start,
                        sums, kPanel / kLanes);
      hand_on<Number>(linear, next, sums, r, count, p * kPanel, vectors);
    }
  }
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
