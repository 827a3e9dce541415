// What every variant offers to the operators: functions that are compiled once per kind of CPU.
#pragma once

#include "graph_walk.h"
#include "making.h"
#include "search.h"
#include "sentences.h"

namespace simcse {

struct Variant {
  const char* name;
  // states [tokens, width] → output [tokens or sentences, width]. False if there is no memory.
  bool (*run_layer)(const Layer& layer, const Sentences& run, const float* states, float* output, int threads);
  // states [tokens, width]. False if an id or a position is out of range.
  bool (*run_embeddings)(const Embeddings& embeddings, const Sentences& run, const int64_t* ids, float* states);
  // states and, unless null, other [rows, width] → vectors [sentences, dimension]; `hidden` floats of a row count.
  // False if there is no memory.
  bool (*run_pooling)(const Pooling& pooling, const Sentences& run, const float* states, const float* other,
                      size_t width, int hidden, float* vectors, int dimension);
  // Blocks first … last - 1 of a scan; any thread may do any of them.
  void (*scan_blocks)(CodeScan& scan, Finder& finder, int64_t first, int64_t last);
  // Of each pair of a row and a query, [pairs]; rows are `stride` floats apart, queries `size`.
  void (*cosines)(const float* vectors, size_t stride, const float* queries, size_t size, const int64_t* rows,
                  const int64_t* of_query, int64_t pairs, float* to);
  // Each query on one of so many threads.
  Walked (*search_graph)(const Graph& graph, const GraphSearch& search, int threads);
#ifdef SIMCSE_TESTING
  const struct Trials* trials;
#endif
};

}  // namespace simcse
