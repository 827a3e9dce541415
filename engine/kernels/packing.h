// The weights of a linear layer, laid out for tiles: panels of 64 columns, four bytes of inputs at a time.
#pragma once

#include "memory.h"
#include "tile.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// A linear layer y = x W + b. Columns are padded to whole panels and inputs to sixteen fours, all with zeros.
struct Linear {
  int inputs = 0;
  int outputs = 0;
  size_t fours = 0;         // steps of a product
  size_t panel_bytes = 0;
  uint8_t* panels = nullptr;
  int32_t* start = nullptr;  // of each column's sum: four bytes, int32 or float32
  float* scale = nullptr;    // bytes only: of a sum
  float* bias = nullptr;     // bytes only; else it is the start

  int vectors() const { return (outputs + kLanes - 1) / kLanes; }
  int panel_count() const { return (outputs + kPanel - 1) / kPanel; }
};

// Where the weights come from: column n, row k lies at columns[n] + rows[k] * row_bytes. A null column is zero, and so is
// a negative row; without `rows`, row k is k.
struct Origin {
  const uint8_t* const* columns;
  size_t row_bytes;
  const int* rows;
};

// Whether pairs of neighbours multiply exactly where they are added in 16 bits.
SIMCSE_INLINE bool pair_fits(int a, int b) {
  return a * b <= 0 || (a + b <= 128 && a + b >= -128);
}

// Lay weights out; false if there is no memory, or if a pair of bytes would not be exact on every CPU.
template <class Number>
bool pack(Linear& linear, int inputs, int outputs, const Origin& origin) {
  linear.inputs = inputs;
  linear.outputs = outputs;
  linear.fours = (inputs + Number::kPerFour - 1) / Number::kPerFour;
  linear.panel_bytes = round_up(linear.fours, 16) * kPanel * 4;
  const int panels = linear.panel_count();
  const size_t columns = (size_t)panels * kPanel;
  linear.panels = (uint8_t*)allocate(panels * linear.panel_bytes);
  linear.start = (int32_t*)allocate(columns * 4);
  linear.scale = (float*)allocate(columns * 4);
  linear.bias = (float*)allocate(columns * 4);
  if (!linear.panels || !linear.start || !linear.scale || !linear.bias) return false;
  bool fits = true;
  for (int p = 0; p < panels; p++) {
    uint8_t* panel = linear.panels + p * linear.panel_bytes;
    const int width = outputs - p * kPanel < kPanel ? outputs - p * kPanel : kPanel;
    for (int k = 0; k < inputs; k++) {
      const int row = origin.rows ? origin.rows[k] : k;
      if (row < 0) continue;
      uint8_t* to = panel + (size_t)(k / Number::kPerFour) * kPanel * 4 + (k % Number::kPerFour) * Number::kBytes;
      const uint8_t* const* from = origin.columns + p * kPanel;
      for (int c = 0; c < width; c++)
        if (from[c]) memcpy(to + 4 * c, from[c] + row * origin.row_bytes, Number::kBytes);
    }
    if constexpr (Number::kInteger)
      for (size_t i = 0; i < linear.panel_bytes; i += 2) fits &= pair_fits((int8_t)panel[i], (int8_t)panel[i + 1]);
  }
  return fits;
}

// The scales and biases of a layer of bytes, whose input's zero is `zero` and step 1 / factor. Arrays [outputs].
inline void finish_bytes(Linear& linear, int column, float scale, float bias, float input_scale, int zero) {
  int32_t total = 0;
  const uint8_t* panel = linear.panels + column / kPanel * linear.panel_bytes + column % kPanel * 4;
  for (size_t k = 0; k < linear.fours; k++)
    for (int i = 0; i < 4; i++) total += (int8_t)panel[k * kPanel * 4 + i];
  linear.start[column] = (kByteShift - zero) * total;
  linear.scale[column] = input_scale * scale;
  linear.bias[column] = bias;
}

inline void release(Linear& linear) {
  simcse::release(linear.panels);
  simcse::release(linear.start);
  simcse::release(linear.scale);
  simcse::release(linear.bias);
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
