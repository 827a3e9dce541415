#include "packing.h"

#include <string.h>

namespace simcse {

namespace {

// CPUs without VNNI add two neighbours' products in 16 bits (docs/decisions/004-int8-exact-on-every-cpu.md).
bool pair_fits(int a, int b) { return a * b <= 0 || (a + b <= 128 && a + b >= -128); }

}  // namespace

const char* pack(Linear& linear, Number number, int inputs, int outputs, const Origin& origin) {
  linear.inputs = inputs;
  linear.outputs = outputs;
  linear.fours = (inputs + number.per_four - 1) / number.per_four;
  linear.panel_bytes = round_up(linear.fours, 16) * kPanel * 4;
  const int panels = linear.panel_count();
  const size_t columns = (size_t)panels * kPanel;
  linear.panels = (uint8_t*)allocate(panels * linear.panel_bytes);
  linear.start = (int32_t*)allocate(columns * 4);
  linear.scale = (float*)allocate(columns * 4);
  linear.bias = (float*)allocate(columns * 4);
  if (!linear.panels || !linear.start || !linear.scale || !linear.bias) return "out of memory";
  bool fits = true;
  for (int p = 0; p < panels; p++) {
    uint8_t* panel = linear.panels + p * linear.panel_bytes;
    const int width = outputs - p * kPanel < kPanel ? outputs - p * kPanel : kPanel;
    for (int k = 0; k < inputs; k++) {
      const int row = origin.rows ? origin.rows[k] : k;
      if (row < 0) continue;
      uint8_t* to = panel + (size_t)(k / number.per_four) * kPanel * 4 + (k % number.per_four) * number.bytes;
      const uint8_t* const* from = origin.columns + p * kPanel;
      const size_t at = row * origin.row_bytes;
      for (int c = 0; c < width; c++) {
        if (!from[c]) continue;
        if (number.bytes == 1) to[4 * c] = from[c][at];
        else memcpy(to + 4 * c, from[c] + at, number.bytes == 2 ? 2 : 4);
      }
    }
    if (number.bytes == 1)
      for (size_t i = 0; i < linear.panel_bytes; i += 2) fits &= pair_fits((int8_t)panel[i], (int8_t)panel[i + 1]);
  }
  return fits ? nullptr : "two neighbouring weights do not multiply exactly on every CPU";
}

void finish_bytes(Linear& linear, int column, float scale, float bias, float input_scale, int zero) {
  int32_t total = 0;
  const uint8_t* panel = linear.panels + column / kPanel * linear.panel_bytes + column % kPanel * 4;
  for (size_t k = 0; k < linear.fours; k++)
    for (int i = 0; i < 4; i++) total += (int8_t)panel[k * kPanel * 4 + i];
  linear.start[column] = (kByteShift - zero) * total;
  linear.scale[column] = input_scale * scale;
  linear.bias[column] = bias;
}

void release(Linear& linear) {
  release((void*)linear.panels);
  release((void*)linear.start);
  release((void*)linear.scale);
  release((void*)linear.bias);
}

}  // namespace simcse
