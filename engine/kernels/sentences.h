// The sentences of a run, laid end to end, and how they are cut into tiles of whole sentences.
#pragma once

#include <stdint.h>

#include "memory.h"

namespace simcse {

// As many tokens as keep a tile's rows in the first caches; a longer sentence is a tile of its own.
constexpr int kTileTokens = 64;

// As many tokens of a sentence as weights and values of two signs add up in 32 bits, whatever they are.
constexpr int64_t kMostTokens = 1 << 16;

struct Sentences {
  const int64_t* lengths;
  int count;
  int tokens;  // of all
  int longest;

  // False unless each has a token, none more than kMostTokens, and all of them are `total`.
  bool set(const int64_t* from, int64_t sentences, int64_t total) {
    if (sentences > INT32_MAX || total > INT32_MAX) return false;
    lengths = from;
    count = (int)sentences;
    tokens = (int)total;
    longest = 0;
    int64_t sum = 0;
    for (int s = 0; s < count; s++) {
      if (lengths[s] < 1 || lengths[s] > kMostTokens) return false;
      sum += lengths[s];
      if (lengths[s] > longest) longest = (int)lengths[s];
    }
    return sum == total;
  }
};

struct Tile {
  int sentence, sentences;  // the first, and how many
  int token, tokens;
};

// Cut into tiles of up to `most` tokens. Tiles are written to `to` unless it is null; their count is returned.
inline int cut(const Sentences& run, int most, Tile* to) {
  int count = 0;
  Tile tile = {0, 0, 0, 0};
  for (int s = 0; s < run.count; s++) {
    const int length = (int)run.lengths[s];
    if (tile.sentences && tile.tokens + length > most) {
      if (to) to[count] = tile;
      count++;
      tile = {s, 0, tile.token + tile.tokens, 0};
    }
    tile.sentences++;
    tile.tokens += length;
  }
  if (tile.sentences) {
    if (to) to[count] = tile;
    count++;
  }
  return count;
}

}  // namespace simcse
