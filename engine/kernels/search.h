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

// What one thread has found.
class Finder {
 public:
  ~Finder();
  bool open(int queries, int64_t k);  // false if there is no memory

  // Add a row whose score lies within `error` of `estimate`. Returns the least that the query's k-th best score can be;
  // what cannot reach its `floors` may be forgotten.
  float add(int query, int64_t row, float estimate, float error, const float* floors);
  // Take over the best scores of another.
  void join(const Finder& other);
  float floor(int query) const;

  Candidate* candidates = nullptr;
  size_t count = 0;
  int64_t compared = 0, passed = 0;  // pairs of a row and a query
  bool failed = false;               // there was no memory

 private:
  void push(int query, float score);
  bool make_room(const float* floors);

  int queries_ = 0;
  int64_t k_ = 0;
  size_t room_ = 0;
  float* heaps_ = nullptr;    // [queries][k], of each the least first
  int64_t* sizes_ = nullptr;  // [queries]
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
  float most_share;  // more of all pairs may not pass
  int given_up;      // set where more do, or where there is no memory
};

}  // namespace simcse
