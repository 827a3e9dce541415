// Token ids to the first states: a word's row plus a position's, normalized.
#pragma once

#include "making.h"
#include "norm.h"
#include "sentences.h"
#include "timing.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// Adds a row of a table to x, which has room for whole vectors.
SIMCSE_INLINE void add_row(float* x, const Constant& table, const Constant& scale, int64_t row, int hidden) {
  const size_t at = (size_t)row * hidden;
  const float factor = scale.data ? scale.floats()[row] : 1.f;
  int i = 0;
  if (table.type == kInt8) {
    const int8_t* from = (const int8_t*)table.data + at;
    for (; i + kLanes <= hidden; i += kLanes) store(x + i, fma(load_bytes(from + i), all(factor), load(x + i)));
    for (; i < hidden; i++) x[i] = __builtin_fmaf((float)from[i], factor, x[i]);
  } else if (table.type == kBfloat16) {
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

// states [tokens, width]. False if an id or a position is out of range.
SIMCSE_SMALL inline bool run_embeddings(const Embeddings& embeddings, const Sentences& run, const int64_t* ids,
                                        float* states) {
  SIMCSE_TIMED(embeddings);
  const EmbeddingsSource& source = embeddings.source;
  const int hidden = embeddings.hidden;
  const size_t width = round_up(hidden, kPanel);
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
  return right;
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
