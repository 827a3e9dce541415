#include "packing.h"

#include <string.h>

namespace simcse {

namespace {

typedef int8_t Bytes __attribute__((vector_size(16)));
typedef int16_t Halves __attribute__((vector_size(16)));
typedef int32_t Words __attribute__((vector_size(16)));

template <class T>
T load(const void* from) {
  T result;
  memcpy(&result, from, sizeof result);
  return result;
}

// Sixteen columns of a four: inputs side by side, from one row of sixteen columns each.
void interleave(const Number& number, const uint8_t* const* rows, uint8_t* to) {
  if (number.bytes == 4) {
    memcpy(to, rows[0], 64);
  } else if (number.bytes == 2) {
    for (int i = 0; i < 2; i++) {
      const Halves a = load<Halves>(rows[0] + 16 * i), b = load<Halves>(rows[1] + 16 * i);
      const Halves low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
      const Halves high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
      memcpy(to + 32 * i, &low, 16);
      memcpy(to + 32 * i + 16, &high, 16);
    }
  } else {
    Halves low[2], high[2];
    for (int i = 0; i < 2; i++) {
      const Bytes a = load<Bytes>(rows[2 * i]), b = load<Bytes>(rows[2 * i + 1]);
      low[i] = (Halves)__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      high[i] = (Halves)__builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    const Halves fours[4] = {__builtin_shufflevector(low[0], low[1], 0, 8, 1, 9, 2, 10, 3, 11),
                             __builtin_shufflevector(low[0], low[1], 4, 12, 5, 13, 6, 14, 7, 15),
                             __builtin_shufflevector(high[0], high[1], 0, 8, 1, 9, 2, 10, 3, 11),
                             __builtin_shufflevector(high[0], high[1], 4, 12, 5, 13, 6, 14, 7, 15)};
    memcpy(to, fours, 64);
  }
}

// Whether the panel's columns lie side by side where they come from.
bool side_by_side(const uint8_t* const* columns, int width, int bytes) {
  if (width != kPanel) return false;
  for (int c = 0; c < width; c++)
    if (!columns[c] || columns[c] != columns[0] + c * bytes) return false;
  return true;
}

void fill_panel(const Linear& linear, const Number& number, const Origin& origin, int p, uint8_t* panel) {
  const uint8_t* const* from = origin.columns + p * kPanel;
  const int width = linear.outputs - p * kPanel < kPanel ? linear.outputs - p * kPanel : kPanel;
  const bool fast = side_by_side(from, width, number.bytes);
  static const uint8_t zeros[256] = {};
  for (size_t f = 0; f < linear.fours; f++) {
    const uint8_t* rows[4];
    size_t offsets[4];
    for (int t = 0; t < number.per_four; t++) {
      const int k = (int)f * number.per_four + t;
      const int row = k >= linear.inputs ? -1 : origin.rows ? origin.rows[k] : k;
      offsets[t] = row < 0 ? (size_t)-1 : row * origin.row_bytes;
      rows[t] = row < 0 || !fast ? zeros : from[0] + offsets[t];
    }
    uint8_t* to = panel + f * kPanel * 4;
    if (fast) {
      for (int c = 0; c < kPanel; c += 16) {
        interleave(number, rows, to + 4 * c);
        for (int t = 0; t < number.per_four; t++)
          if (rows[t] != zeros) rows[t] += 16 * number.bytes;
      }
      continue;
    }
    for (int t = 0; t < number.per_four; t++)
      for (int c = 0; c < width && offsets[t] != (size_t)-1; c++)
        if (from[c]) memcpy(to + 4 * c + t * number.bytes, from[c] + offsets[t], number.bytes);
  }
}

// Adds up the bytes of each column of a panel. False if two neighbours exceed what CPUs without VNNI, which add their
// products in 16 bits, multiply exactly (docs/decisions/004-int8-exact-on-every-cpu.md).
bool add_up(const Linear& linear, const uint8_t* panel, int32_t* totals) {
  Halves most = {}, least = {};
  for (size_t f = 0; f < linear.fours; f++)
    for (int c = 0; c < kPanel; c += 4) {
      const Halves x = load<Halves>(panel + (f * kPanel + c) * 4);
      const Halves pairs = ((x << 8) >> 8) + (x >> 8);
      most = pairs > most ? pairs : most;
      least = pairs < least ? pairs : least;
      const Words both = (Words)pairs, sums = ((both << 16) >> 16) + (both >> 16);
      const Words total = load<Words>(totals + c) + sums;
      memcpy(totals + c, &total, sizeof total);
    }
  for (int i = 0; i < 8; i++)
    if (most[i] > 128 || least[i] < -128) return false;
  return true;
}

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
  for (int p = 0; p < panels; p++) {
    uint8_t* panel = linear.panels + p * linear.panel_bytes;
    fill_panel(linear, number, origin, p, panel);
    if (number.bytes == 1 && !add_up(linear, panel, linear.start + p * kPanel))
      return "two neighbouring weights do not multiply exactly on every CPU";
  }
  return nullptr;
}

void finish_bytes(Linear& linear, int column, float scale, float bias, float input_scale, int zero) {
  linear.start[column] *= kByteShift - zero;
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
