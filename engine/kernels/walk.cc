// A search of an ANN graph, as Python calls it, on plain arrays.
#include "cpu.h"
#include "graph_walk.h"
#include "variant.h"

namespace simcse {

// The nearest nodes' keys to each query, `keys` [queries][wanted], nearest first and -1 where there are fewer. Arrays are
// those of `Graph` and `GraphSearch`; `sizes`: nodes, dimension, most neighbours at level 0 and above, the node where a
// search begins and its level, queries, width, wanted, what each key is less than. Returns a `Walked`, or 3 where the
// sizes cannot be searched.
extern "C" __attribute__((visibility("default"))) int simcse_graph_search(
    const char* variant, int64_t threads, const int64_t* sizes, const uint8_t* content, const int64_t* starts,
    const int8_t* queries, int64_t* keys) {
  constexpr int kUnknown = 3;
  constexpr int64_t kMostBytes = 1 << 16, kMostWidth = 1 << 24;
  auto within = [&](int i, int64_t least, int64_t most) { return sizes[i] >= least && sizes[i] <= most; };
  const Variant* chosen = variant_named(variant);
  if (!chosen || !within(0, 1, INT32_MAX) || !within(1, 1, kMostBytes) || !within(2, 0, kMostNeighbours) ||
      !within(3, 0, kMostNeighbours) || !within(4, 0, sizes[0] - 1) || !within(5, 0, INT16_MAX) ||
      !within(6, 0, INT32_MAX) || !within(7, 1, kMostWidth) || !within(8, 0, sizes[7]) || sizes[9] < 0)
    return kUnknown;
  const Graph graph = {content,       starts,   sizes[0], (int)sizes[1], (int)sizes[2],
                       (int)sizes[3], sizes[4], sizes[5], sizes[9]};
  const GraphSearch search = {queries, sizes[6], (int)sizes[7], (int)sizes[8], keys};
  return (int)chosen->search_graph(graph, search, threads < 256 ? (int)threads : 256);
}

}  // namespace simcse
