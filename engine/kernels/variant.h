// What every variant offers to the operators: plain structures and functions, compiled once per kind of CPU.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kinds.h"
#include "sentences.h"

namespace simcse {

// A constant of the graph: its elements in row-major order. Absent where `data` is null.
struct Constant {
  const void* data = nullptr;
  int type = 0;       // of ONNX
  int64_t rows = 1;   // a vector or scalar is one row
  int64_t columns = 1;

  const float* floats() const { return (const float*)data; }
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

enum class Precision { int8, bf16, fp32 };

struct LayerSource {
  Precision precision;
  bool first_only;  // output for the sentences' first tokens alone
  int heads;
  float epsilon;
  Activation activation;
  LinearSource query, key, value, output, up, down;
  InputSource attention_input, output_input, up_input, down_input;
  NormSource attention_norm, norm;
};

struct EmbeddingsSource {
  Constant words, word_scale, positions, position_scale;
  NormSource norm;
  float epsilon;
  int64_t padding_id;  // negative: positions count from 0
};

struct PoolingSource {
  bool first;
  bool normalize;
  int dimension;
  LinearSource head;
};

// States of a run are rows of this many floats.
inline int64_t states_width(int64_t hidden) { return (int64_t)round_up((size_t)hidden, 64); }

struct Variant {
  const char* name;
  // Null if there is no memory or the weights do not fit each other; `reason` then says why.
  void* (*make_layer)(const LayerSource& source, const char** reason);
  void (*free_layer)(void* layer);
  int (*layer_hidden)(const void* layer);
  // states [tokens, width] → output [tokens or sentences, width]. False if there is no memory.
  bool (*run_layer)(const void* layer, const Sentences& run, const float* states, float* output, int threads);

  void* (*make_embeddings)(const EmbeddingsSource& source, const char** reason);
  void (*free_embeddings)(void* embeddings);
  int (*embeddings_hidden)(const void* embeddings);
  // False if an id or a position is out of range.
  bool (*run_embeddings)(const void* embeddings, const Sentences& run, const int64_t* ids, float* states, int threads);

  void* (*make_pooling)(const PoolingSource& source, const char** reason);
  void (*free_pooling)(void* pooling);
  // states and, unless null, other [rows, width] → vectors [sentences, dimension]; `hidden` floats of a row count.
  bool (*run_pooling)(const void* pooling, const Sentences& run, const float* states, const float* other, int width,
                      int hidden, float* vectors, int dimension);
};

}  // namespace simcse
