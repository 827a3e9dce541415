// What a search in an index spends its time on: a scan of rows by their codes, and exact cosines.
#pragma once

#include "layer.h"

namespace simcse {

// A row that may be among the k best of a query.
struct Candidate {
  int32_t query;
  float most;  // what its score is at most
  int64_t row;
};

// Up to so many queries, a row is multiplied by each alone.
constexpr int kFewQueries = 6;

// What one thread has found: rows, and the k best of each query's scores. Up to kLanes of these lie sorted in a vector,
// the k-th best k from its end; more lie in a heap, the k-th best first.
struct Finder {
  ~Finder();
  bool open(int queries, int64_t k);  // false if there is no memory

  // Room for more candidates: what does not reach its floor any more is forgotten. False if there is no memory.
  bool make_room(const float* floors);
  // Adds a score to many, and returns the k-th best.
  float push_into_heap(int query, float score);
  // Take over the best scores of another.
  void join(const Finder& other);
  float kth(int query) const { return best[query * width + (k <= kLanes ? kLanes - k : 0)]; }

  int queries = 0;
  int64_t k = 0, width = 0;
  float* best = nullptr;  // [queries][width], -infinity where there are fewer
  Candidate* candidates = nullptr;
  size_t count = 0, room = 0;
  int64_t compared = 0, passed = 0;  // pairs of a row and a query
};

// A scan of blocks of rows. A row is mean + scale · codes + a rest, a query scale · codes + a rest. So a score is the
// product of their codes times both scales, plus the query's product with the mean, and off by no more than
// length · the query's rest + the row's rest (docs/decisions/018-exact-or-graph.md).
struct CodeScan {
  const int8_t* codes;  // [blocks · block_rows][row_bytes], zeros behind each row's own
  size_t row_bytes;     // whole lines
  int64_t blocks;
  int block_rows;
  const uint8_t* eligible;                // [blocks · block_rows], whether a row is searched
  const float *scales, *lengths, *rests;  // [blocks], the last two of the block's longest

  const int8_t* query_codes;                                 // [queries][row_bytes]
  Linear queries;                                            // the same as columns
  const float *query_scales, *query_rests, *query_offsets;   // [queries], padded to whole panels
  float* floors;  // the same, padded with infinity: what each k-th best score is at least; rises
  int64_t k;
  float most_share;  // more of all pairs may not pass, beside so many of a query: before the floor is high, most do
  int64_t always;

  int given_up, no_memory;  // set where more do, and where there is none

  bool ended() const {
    return __atomic_load_n(&given_up, __ATOMIC_RELAXED) || __atomic_load_n(&no_memory, __ATOMIC_RELAXED);
  }
};

}  // namespace simcse
