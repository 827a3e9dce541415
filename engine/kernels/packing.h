// The weights of a linear layer, laid out as `Linear` says.
#pragma once

#include "layer.h"

namespace simcse {

// The numbers of a product: how many inputs four bytes hold, and the bytes of one.
struct Number {
  int per_four;
  int bytes;
};

constexpr Number kBytes = {4, 1}, kPairs = {2, 2}, kSingles = {1, 4};

// Where the weights come from: row k of column n lies at columns[n] + rows[k] * row_bytes. A null column is zero, and
// so is a negative row; without `rows`, row k is k.
struct Origin {
  const uint8_t* const* columns;
  size_t row_bytes;
  const int* rows;
};

// Lay weights out; null, or why it cannot be done. The sums of bytes start at their columns' totals.
const char* pack(Linear& linear, Number number, int inputs, int outputs, const Origin& origin);

// What a column of bytes needs beside its weights, when its input's zero and scale are these; once for each column.
void finish_bytes(Linear& linear, int column, float scale, float bias, float input_scale, int zero);

void release(Linear& linear);

}  // namespace simcse
