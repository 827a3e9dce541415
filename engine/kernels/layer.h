// The constants of a transformer layer as kernels read them: packed once, the same for every variant.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kinds.h"
#include "memory.h"

namespace simcse {

constexpr int kLanes = 16;  // floats of a vector, see lanes.h
constexpr int kPanel = 64;  // columns of a panel
constexpr int kMostHead = 4096;  // features of a head

constexpr float kLog2E = 1.44269504f;

// ARM's dot product of signed bytes takes x - 128 for x; the sums' start makes up for that.
#if defined(__aarch64__)
constexpr int kByteShift = 128;
#else
constexpr int kByteShift = 0;
#endif

// A linear layer y = x W + b, laid out for tiles: panels of 64 columns, [inputs / four bytes][64 columns][four bytes].
// Columns are padded to whole panels and inputs to sixteen fours, all with zeros.
struct Linear {
  int inputs;
  int outputs;
  size_t fours;        // steps of a product
  size_t panel_bytes;
  uint8_t* panels;
  int32_t* start;      // of each column's sum: four bytes, int32 or float32
  float* scale;        // bytes only: of a sum
  float* bias;         // bytes only; else it is the start

  int panel_count() const { return (outputs + kPanel - 1) / kPanel; }
  int vectors() const { return (outputs + kLanes - 1) / kLanes; }
};

// How floats become bytes: round(x * factor) + zero, clipped to 0 … 255.
struct Step {
  float factor;
  float zero;
};

// The same with a factor for each channel: round(x * factor[c] + offset[c]), clipped.
struct Channels {
  float* factor;
  float* offset;
};

struct Norm {
  int size;
  float epsilon;
  float* gamma;  // padded to whole panels with zeros, as beta
  float* beta;
};

// How a layer's heads lie: padded to whole vectors, and joined in groups that fill a panel.
struct Heads {
  int count;   // of the layer
  int size;    // features of one
  int padded;  // the same in whole vectors
  int group;   // heads whose products run together
  int groups;

  Heads(int heads, int hidden) : count(heads), size(hidden / heads) {
    padded = (int)round_up(size, kLanes);
    group = padded < kPanel ? kPanel / padded : 1;
    groups = (count + group - 1) / group;
  }

  int group_width() const { return group * padded; }  // features of a group, padding included
  int width() const { return groups * group_width(); }

  // The feature that lies at place `at` of the padded ones; -1 for padding.
  int feature(int at) const {
    const int head = at / padded, within = at % padded;
    return head < count && within < size ? head * size + within : -1;
  }
};

// What is added to scores of attention, before these are scaled: by head, and by how far a key lies behind the query.
struct DistanceBias {
  int longest = 0;   // tokens of a sentence
  size_t stride = 0;  // floats of a head: whole vectors may be read at the last distance
  float* data = nullptr;

  // A head's, at distance 0; null where there are none.
  const float* head(int h) const { return data ? data + h * stride + longest - 1 : nullptr; }
};

struct Layer {
  Precision precision;
  bool first_only;  // output for the sentences' first tokens alone; of bytes, with late products in float32
  Heads heads;
  int hidden, features;
  Activation activation;
  float alpha;        // of scores, to base 2
  DistanceBias bias;
  Linear* query;      // one a group of heads
  Linear* key_value;  // the same, keys and then values
  Linear output, up, down;
  Norm attention_norm, norm;
  Channels attention_input, up_input;  // bytes only, as the steps
  Step output_step, down_step;

  size_t width() const { return round_up(hidden, kPanel); }  // floats of a row of states
};

struct Pooling {
  Pooler pooler;
  bool normalize;
  int hidden;  // of the head; 0 without one
  Linear head;
};

}  // namespace simcse
