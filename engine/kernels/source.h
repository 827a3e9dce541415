// What a graph states for its operators: constants and attributes, as the runtime gives them.
#pragma once

#include <stdint.h>

#include "kinds.h"

namespace simcse {

// A constant of the graph: its elements in row-major order. Absent where `data` is null.
struct Constant {
  const void* data = nullptr;
  int type = 0;       // of ONNX
  int64_t rows = 1;   // a vector or scalar is one row
  int64_t columns = 1;

  const float* floats() const { return (const float*)data; }
  int64_t count() const { return rows * columns; }
};

// A linear layer's weight [inputs, outputs]; `scale` [outputs] goes with bytes.
struct LinearSource {
  Constant weight, scale, bias;
};

// How a layer's input becomes bytes.
struct InputSource {
  Constant smooth, scale, zero;
};

struct NormSource {
  Constant gamma, beta;
};

struct LayerSource {
  Precision precision;
  bool first_only;
  int heads;
  float epsilon;
  Activation activation;
  LinearSource query, key, value, output, up, down;
  InputSource attention_input, output_input, up_input, down_input;
  Constant bias;  // of attention, [heads, distances]: absent in most models
  NormSource attention_norm, norm;
};

struct EmbeddingsSource {
  Constant words, word_scale, positions, position_scale;
  NormSource norm;
  float epsilon;
  int64_t padding_id;  // negative: positions count from 0
};

struct PoolingSource {
  Pooler pooler;
  bool normalize;
  LinearSource head;
};

}  // namespace simcse
