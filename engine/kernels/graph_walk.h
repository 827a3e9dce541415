// A search of an ANN graph (HNSW; Malkov, Yashunin 2016, arXiv:1603.09320) in the content of the file that USearch wrote
// (engine/simcse_engine/index/ann/layout.py). It finds what USearch's own search finds.
//
// Its time is that of memory: what is needed next is fetched while something else is compared. All that the content says
// is checked before it is used, as whoever wrote it may still be writing.
#pragma once

#include "memory.h"

namespace simcse {

// Neighbours that a node may have.
constexpr int kMostNeighbours = 128;

struct Graph {
  const uint8_t* content;  // of the file
  const int64_t* starts;   // [nodes + 1], where each node begins, and where the last one ends
  int64_t nodes;           // fewer than 2^31
  int dimension;
  int base, above;  // most neighbours at level 0, and above
  int64_t entry, top;
  int64_t keys;  // each is less than this, and none negative
};

struct GraphSearch {
  const int8_t* queries;  // [count][dimension]
  int64_t count;
  int width;      // candidates to look at
  int wanted;     // of them, to return
  int64_t* keys;  // [count][wanted], -1 where there are fewer
};

enum class Walked { done, damaged, no_memory };

}  // namespace simcse

#ifdef SIMCSE_VARIANT

#include "numbers.h"
#include "team.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// The content: a matrix of [nodes][dimension] bytes behind its two sizes; more than a line of other things, so that
// vectors may be read in whole lines; then nodes: a key, a level, and for each level how many neighbours, and room for
// these.
constexpr size_t kMatrixBytes = 8, kNodeBytes = 10, kSlotBytes = 4;

// One thread's walks.
class GraphWalk {
 public:
  GraphWalk(const Graph& graph, int width, Pieces& pieces)
      : graph_(graph),
        width_(width),
        padded_(round_up(graph.dimension, kLine)),
        query_(pieces.take<int8_t>(padded_)),
        pool_(pieces.take<uint64_t>(width + 1)),
        seen_words_(graph.nodes / 64 + 1),
        seen_(pieces.take<uint64_t>(seen_words_)),
        touched_(pieces.take<uint32_t>(kMostTouched)) {}

  // Before the first search, in memory that holds anything. Another walk may go on there then.
  void prepare() {
    memset(query_, 0, padded_);
    memset(seen_, 0, seen_words_ * sizeof(uint64_t));
  }

  // False if the content is damaged.
  bool search(const int8_t* query, int wanted, int64_t* keys) {
    memcpy(query_, query, graph_.dimension);
    size_ = 0;
    bool whole = descend() && widen();
    for (int i = 0; whole && i < wanted; i++) {
      keys[i] = -1;
      if (i >= size_) continue;
      memcpy(&keys[i], graph_.content + graph_.starts[slot_of(pool_[i])], sizeof keys[i]);
      whole = keys[i] >= 0 && keys[i] < graph_.keys;
    }
    forget();
    return whole;
  }

 private:
  // A candidate: how far it is, whether it has been expanded, its slot. So candidates compare as distances do.
  static constexpr uint64_t kExpanded = 1u << 31;
  // Nodes whose neighbours are fetched before it is their turn, and lines of a vector before the rest follows by itself.
  static constexpr int kAhead = 3, kLines = 16;
  static constexpr uint32_t kMostTouched = 1 << 14;

  static uint32_t slot_of(uint64_t candidate) { return (uint32_t)candidate & (kExpanded - 1); }
  static uint32_t distance_of(uint64_t candidate) { return candidate >> 32; }

  static uint32_t number(const uint8_t* from) {
    uint32_t result;
    memcpy(&result, from, sizeof result);
    return result;
  }

  const uint8_t* vector(uint32_t slot) const { return graph_.content + kMatrixBytes + (size_t)slot * graph_.dimension; }

  SIMCSE_INLINE void fetch_vector(uint32_t slot) const {
    const uint8_t* line = (const uint8_t*)((uintptr_t)vector(slot) & -kLine);
    const int lines = (int)(padded_ / kLine) + 1;
    for (int i = 0; i < lines && i < kLines; i++) __builtin_prefetch(line + i * kLine);
  }

  SIMCSE_INLINE void fetch_list(uint32_t slot) const {
    const uint8_t* node = graph_.content + graph_.starts[slot];
    for (size_t at = 0; at < kNodeBytes + kSlotBytes * (1 + graph_.base); at += kLine) __builtin_prefetch(node + at);
  }

  // Least for the largest product; a constant of the query apart from the difference to it.
  SIMCSE_INLINE uint32_t distance(uint32_t slot) const {
    const uint8_t* row = vector(slot);
    Ints sums = all(0);
    for (size_t at = 0; at < padded_; at += kLine) {
      Ints bytes;
      memcpy(&bytes, row + at, sizeof bytes);  // anywhere, if a dimension is not of whole fours
      if (!kByteShift) bytes ^= all((int32_t)0x80808080);  // unsigned, but for ARM
      sums = AnyBytes::multiply(sums, bytes, load((const int32_t*)(query_ + at)));
    }
    return 0x7fffffffu - (uint32_t)__builtin_reduce_add(sums);
  }

  // The neighbours of a node at a level, behind their number; null if they are not there.
  const uint8_t* list(uint32_t slot, int64_t level, int* count) const {
    const int width = level ? graph_.above : graph_.base;
    size_t at = kNodeBytes, node_bytes = graph_.starts[slot + 1] - graph_.starts[slot];
    if (level) at += kSlotBytes * (1 + graph_.base + (level - 1) * (1 + (size_t)graph_.above));
    if (at + kSlotBytes * (1 + width) > node_bytes) return nullptr;
    const uint8_t* from = graph_.content + graph_.starts[slot] + at;
    const uint32_t stated = number(from);
    *count = (int)stated;
    return stated <= (uint32_t)width ? from + kSlotBytes : nullptr;
  }

  // Copies a list of neighbours; -1 if it is not there or names what is not there.
  int neighbours(uint32_t slot, int64_t level, uint32_t* to) const {
    int count;
    const uint8_t* from = list(slot, level, &count);
    if (!from) return -1;
    uint32_t last = 0;
    for (int i = 0; i < count; i++) {
      to[i] = number(from + kSlotBytes * i);
      if (to[i] > last) last = to[i];
    }
    return last < graph_.nodes ? count : -1;
  }

  // From the top to level 1: each time to the nearest neighbour, while there is a nearer one. What is found begins the
  // pool.
  bool descend() {
    uint32_t nearest = (uint32_t)graph_.entry, least = distance(nearest), list[kMostNeighbours];
    for (int64_t level = graph_.top; level > 0; level--)
      for (bool nearer = true; nearer;) {
        nearer = false;
        const int count = neighbours(nearest, level, list);
        if (count < 0) return false;
        for (int i = 0; i < count; i++) fetch_vector(list[i]);
        for (int i = 0; i < count; i++) {
          const uint32_t found = distance(list[i]);
          if (found >= least) continue;
          least = found;
          nearest = list[i];
          nearer = true;
        }
      }
    insert((uint64_t)least << 32 | nearest);
    see(nearest);
    touch(nearest);
    return true;
  }

  // At level 0: expands the nearest candidate of the pool that was not, until there is none.
  bool widen() {
    for (int at = 0; at < size_;) {
      const uint32_t slot = slot_of(pool_[at]);
      pool_[at] |= kExpanded;
      uint32_t list[kMostNeighbours], fresh[kMostNeighbours];
      const int count = neighbours(slot, 0, list);
      if (count < 0) return false;
      int unseen = 0;
      for (int i = 0; i < count; i++) {
        fresh[unseen] = list[i];
        unseen += see(list[i]);
      }
      for (int i = 0; i < unseen; i++) {
        fetch_vector(fresh[i]);
        touch(fresh[i]);
      }
      while (++at < size_ && pool_[at] & kExpanded) {}
      for (int next = at, ahead = 0; next < size_ && ahead < kAhead; next++)
        if (!(pool_[next] & kExpanded)) {
          fetch_list(slot_of(pool_[next]));
          ahead++;
        }
      for (int i = 0; i < unseen; i++) {
        const uint32_t far = distance(fresh[i]);
        if (size_ == width_ && far >= distance_of(pool_[size_ - 1])) continue;
        __builtin_prefetch(graph_.starts + fresh[i]);
        const int place = insert((uint64_t)far << 32 | fresh[i]);
        if (place < at) at = place;
      }
      while (at < size_ && pool_[at] & kExpanded) at++;
    }
    return true;
  }

  // Takes a candidate into the pool, behind those that are as near; the last one drops out if there is no room.
  int insert(uint64_t candidate) {
    int first = 0;
    for (int last = size_; first < last;) {
      const int middle = (first + last) / 2;
      if (distance_of(pool_[middle]) <= distance_of(candidate)) first = middle + 1;
      else last = middle;
    }
    if (size_ < width_) size_++;
    memmove(pool_ + first + 1, pool_ + first, (size_ - 1 - first) * sizeof(uint64_t));
    pool_[first] = candidate;
    return first;
  }

  // Whether a node had not been seen in this search: no branch, as none could be foretold.
  SIMCSE_INLINE int see(uint32_t slot) {
    uint64_t& word = seen_[slot / 64];
    const uint64_t bit = 1ull << slot % 64;
    const int fresh = !(word & bit);
    word |= bit;
    return fresh;
  }

  SIMCSE_INLINE void touch(uint32_t slot) {
    if (touched_count_ < kMostTouched) touched_[touched_count_] = slot / 64;
    touched_count_++;
  }

  void forget() {
    if (touched_count_ > kMostTouched) memset(seen_, 0, seen_words_ * sizeof(uint64_t));
    else
      for (uint32_t i = 0; i < touched_count_; i++) seen_[touched_[i]] = 0;
    touched_count_ = 0;
  }

  const Graph& graph_;
  const int width_;
  const size_t padded_;
  int8_t* query_;
  uint64_t* pool_;  // [width + 1], nearest first
  int size_ = 0;
  size_t seen_words_;
  uint64_t* seen_;     // a bit for each node
  uint32_t* touched_;  // words of these that are not zero, unless there are too many
  uint32_t touched_count_ = 0;
};

// Each query on one thread.
Walked search_graph(const Graph& graph, const GraphSearch& search, int threads) {
  Team team(search.count < threads ? (int)search.count : threads);
  Pieces sizes(nullptr);
  GraphWalk(graph, search.width, sizes);
  Space space(sizes.used() * team.threads());
  if (!space.memory()) return Walked::no_memory;
  for (int thread = 0; thread < team.threads(); thread++) {
    Pieces pieces((uint8_t*)space.memory() + thread * sizes.used());
    GraphWalk(graph, search.width, pieces).prepare();
  }
  bool damaged = false;
  const int64_t parts = search.count < 4096 ? search.count : 4096;
  team.each((int)parts, [&](int part, int thread) {
    Pieces pieces((uint8_t*)space.memory() + thread * sizes.used());
    GraphWalk walk(graph, search.width, pieces);
    for (int64_t i = part; i < search.count; i += parts)
      if (!walk.search(search.queries + i * graph.dimension, search.wanted, search.keys + i * search.wanted))
        __atomic_store_n(&damaged, true, __ATOMIC_RELAXED);
  });
  return damaged ? Walked::damaged : Walked::done;
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse

#endif
