// Token ids to the first states: a word's row plus a position's, normalized.
#pragma once

#include "making.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// The tables stay where the graph has them.
struct Embeddings {
  EmbeddingsSource source;
  int hidden;
  Norm norm;
};

// The types of ONNX that a table may have.
constexpr int kFloatType = 1, kByteType = 3, kBfloat16Type = 16;

// Adds a row of a table to x, which has room for whole vectors.
SIMCSE_INLINE void add_row(float* x, const Constant& table, const Constant& scale, int64_t row, int hidden) {
  const size_t at = (size_t)row * hidden;
  const float factor = scale.data ? scale.floats()[row] : 1.f;
  int i = 0;
  if (table.type == kByteType) {
    const int8_t* from = (const int8_t*)table.data + at;
    for (; i + kLanes <= hidden; i += kLanes) store(x + i, fma(load_bytes(from + i), all(factor), load(x + i)));
    for (; i < hidden; i++) x[i] = __builtin_fmaf((float)from[i], factor, x[i]);
  } else if (table.type == kBfloat16Type) {
    const uint16_t* from = (const uint16_t*)table.data + at;
    for (; i < hidden; i++) {
      const uint32_t wide = (uint32_t)from[i] << 16;
      float value;
      memcpy(&value, &wide, 4);
      x[i] += value;
    }
  } else {
    const float* from = (const float*)table.data + at;
    for (; i + kLanes <= hidden; i += kLanes) store(x + i, load(x + i) + load(from + i));
    for (; i < hidden; i++) x[i] += from[i];
  }
}

inline void free_embeddings(void* pointer) {
  auto* embeddings = (Embeddings*)pointer;
  simcse::release(embeddings->norm.gamma);
  simcse::release(embeddings->norm.beta);
  simcse::release(pointer);
}

inline void* make_embeddings(const EmbeddingsSource& source, const char** reason) {
  Maker maker;
  const int64_t hidden = source.words.columns;
  auto known = [](const Constant& table, const Constant& scale) {
    if (table.type == kByteType) return scale.data && scale.rows * scale.columns == table.rows;
    return table.type == kFloatType || table.type == kBfloat16Type;
  };
  if (!source.words.data || !source.positions.data || source.positions.columns != hidden || hidden < 1 ||
      hidden > 1 << 20 || !known(source.words, source.word_scale) || !known(source.positions, source.position_scale))
    maker.fail("the tables of words and positions do not fit each other");
  auto* embeddings = (Embeddings*)allocate(sizeof(Embeddings));
  if (!embeddings) maker.fail("out of memory");
  if (embeddings && !maker.reason) {
    embeddings->source = source;
    embeddings->hidden = (int)hidden;
    maker.norm(embeddings->norm, source.norm, (int)hidden, source.epsilon);
  }
  if (!maker.reason) return embeddings;
  *reason = maker.reason;
  if (embeddings) free_embeddings(embeddings);
  return nullptr;
}

inline bool run_embeddings(const void* pointer, const Sentences& run, const int64_t* ids, float* states, int threads) {
  const Embeddings& embeddings = *(const Embeddings*)pointer;
  const EmbeddingsSource& source = embeddings.source;
  const int hidden = embeddings.hidden;
  const size_t width = states_width(hidden);
  bool right = true;
  for (int s = 0, token = 0; s < run.count; s++) {
    // RoBERTa counts from padding_id + 1, and a padding token typed into a text keeps position padding_id.
    int64_t counted = 0;
    for (int64_t t = 0; t < run.lengths[s]; t++, token++) {
      const bool padding = source.padding_id >= 0 && ids[token] == source.padding_id;
      int64_t position = t;
      if (source.padding_id >= 0) position = source.padding_id + (padding ? 0 : ++counted);
      if (ids[token] < 0 || ids[token] >= source.words.rows || position >= source.positions.rows) {
        right = false;
        continue;
      }
      float* x = states + token * width;
      memset(x, 0, width * sizeof(float));
      add_row(x, source.positions, source.position_scale, position, hidden);
      add_row(x, source.words, source.word_scale, ids[token], hidden);
      normalize(x, embeddings.norm);
    }
  }
  (void)threads;
  return right;
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
