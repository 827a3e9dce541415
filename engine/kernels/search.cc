// Searches as Python calls them, on plain arrays.
#include "search.h"

#include <string.h>

#include "cpu.h"
#include "team.h"
#include "variant.h"

namespace simcse {

bool Finder::open(int count_of_queries, int64_t count_of_best) {
  queries = count_of_queries;
  k = count_of_best;
  width = k <= kLanes ? kLanes : k;
  best = (float*)allocate(queries * width * sizeof(float));
  if (!best) return false;
  for (int64_t i = 0; i < queries * width; i++) best[i] = -__builtin_inff();
  return true;
}

Finder::~Finder() {
  release((void*)best);
  release((void*)candidates);
}

float Finder::push_into_heap(int query, float score) {
  float* heap = best + query * width;
  if (score > heap[0]) {
    int64_t at = 0;
    for (int64_t child; (child = 2 * at + 1) < k; at = child) {
      if (child + 1 < k && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= score) break;
      heap[at] = heap[child];
    }
    heap[at] = score;
  }
  return heap[0];
}

void Finder::join(const Finder& other) {
  for (int q = 0; q < queries; q++)
    for (int64_t i = 0; i < width; i++) {
      const float score = other.best[q * width + i];
      if (k > kLanes) {
        push_into_heap(q, score);
        continue;
      }
      float* sorted = best + q * width;
      if (!(score > sorted[0])) continue;
      int at = 0;
      for (; at + 1 < kLanes && sorted[at + 1] < score; at++) sorted[at] = sorted[at + 1];
      sorted[at] = score;
    }
}

bool Finder::make_room(const float* floors) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (candidates[i].most >= floors[candidates[i].query]) candidates[kept++] = candidates[i];
  count = kept;
  if (2 * count < room) return true;
  const size_t more = room ? 2 * room : 1024;
  auto* larger = (Candidate*)allocate(more * sizeof(Candidate));
  if (!larger) return false;
  if (count) memcpy((void*)larger, (const void*)candidates, count * sizeof(Candidate));
  release((void*)candidates);
  candidates = larger;
  room = more;
  return true;
}

namespace {

// Parts of a scan: few enough to count, and each long beside what it takes to get one.
constexpr int kMostParts = 4096;
constexpr int kPartRows = 768;
constexpr int kMostThreads = 64;

enum Outcome { kFound = 0, kGivenUp = 1, kNoMemory = 2, kUnknown = 3 };

// A scan's queries as columns, and their facts padded to whole panels.
struct Queries {
  Linear linear = {};
  float* facts[4] = {};

  Outcome open(CodeScan& scan, int count, const float* const* from) {
    const size_t padded = round_up(count, kPanel);
    if (!pack(scan.query_codes, scan.row_bytes, count)) return kNoMemory;
    for (int i = 0; i < 4; i++) {
      facts[i] = (float*)allocate(padded * sizeof(float));
      if (!facts[i]) return kNoMemory;
      memcpy(facts[i], from[i], count * sizeof(float));
    }
    for (size_t q = count; q < padded; q++) {
      facts[0][q] = 1;
      facts[3][q] = __builtin_inff();
    }
    scan.queries = linear;
    scan.query_scales = facts[0];
    scan.query_rests = facts[1];
    scan.query_offsets = facts[2];
    scan.floors = facts[3];
    return kFound;
  }

  // Codes as the columns of a product, whose sums start so that rows may be taken plus 128.
  bool pack(const int8_t* codes, size_t row_bytes, int count) {
    linear.inputs = (int)row_bytes;
    linear.outputs = count;
    linear.fours = row_bytes / 4;
    linear.panel_bytes = linear.fours * kPanel * 4;
    const size_t panels = linear.panel_count();
    linear.panels = (uint8_t*)allocate(count > kFewQueries ? panels * linear.panel_bytes : 1);
    linear.start = (int32_t*)allocate(panels * kPanel * sizeof(int32_t));
    if (!linear.panels || !linear.start) return false;
    for (int q = 0; q < count; q++, codes += row_bytes) {
      int32_t total = 0;
      for (size_t i = 0; i < row_bytes; i++) total += codes[i];
      linear.start[q] = (kByteShift - 128) * total;
      if (count <= kFewQueries) continue;
      uint8_t* to = linear.panels + q / kPanel * linear.panel_bytes + q % kPanel * 4;
      for (size_t f = 0; f < linear.fours; f++) memcpy(to + f * kPanel * 4, codes + 4 * f, 4);
    }
    return true;
  }

  ~Queries() {
    release((void*)linear.panels);
    release((void*)linear.start);
    for (float* fact : facts) release((void*)fact);
  }
};

// Writes the candidates that still reach their floors, those of a query side by side, and their number into `count`.
Outcome collect(const CodeScan& scan, Finder* finders, int threads, int64_t room, int64_t* of_query, int64_t* rows,
                int64_t* count) {
  int64_t total = 0;
  const int queries = scan.queries.outputs;
  auto* next = (int64_t*)allocate((queries + 1) * sizeof(int64_t));
  if (!next) return kNoMemory;
  auto each = [&](auto&& work) {
    for (int t = 0; t < threads; t++)
      for (size_t i = 0; i < finders[t].count; i++) {
        const Candidate& candidate = finders[t].candidates[i];
        if (candidate.most >= scan.floors[candidate.query]) work(candidate);
      }
  };
  each([&](const Candidate& candidate) { next[candidate.query + 1]++, total++; });
  if (total <= room) {
    for (int q = 0; q < queries; q++) next[q + 1] += next[q];
    each([&](const Candidate& candidate) {
      const int64_t at = next[candidate.query]++;
      of_query[at] = candidate.query;
      rows[at] = candidate.row;
    });
  }
  release((void*)next);
  *count = total;
  return total <= room ? kFound : kGivenUp;
}

}  // namespace

#define SIMCSE_EXPORT extern "C" __attribute__((visibility("default")))

// Candidates for the k best rows of each query: all that may be among them. Arrays are those of `CodeScan`; `floors`
// [queries], what the k-th best scores are at least, are raised. Up to `room` pairs are written, and their number into
// `count`. Returns an Outcome.
SIMCSE_EXPORT int simcse_search_codes(const char* variant, int64_t threads, const int8_t* codes, int64_t row_bytes,
                                      int64_t blocks, int64_t block_rows, const uint8_t* eligible, const float* scales,
                                      const float* lengths, const float* rests, const int8_t* query_codes,
                                      const float* query_scales, const float* query_rests, const float* query_offsets,
                                      float* floors, int64_t queries, int64_t k, const float* most_share,
                                      int64_t always, int64_t room, int64_t* of_query, int64_t* rows, int64_t* count) {
  const Variant* chosen = variant_named(variant);
  if (!chosen) return kUnknown;
  CodeScan scan = {};
  scan.codes = codes;
  scan.row_bytes = row_bytes;
  scan.blocks = blocks;
  scan.block_rows = (int)block_rows;
  scan.eligible = eligible;
  scan.scales = scales;
  scan.lengths = lengths;
  scan.rests = rests;
  scan.query_codes = query_codes;
  scan.k = k;
  scan.most_share = *most_share;
  scan.always = always;
  Queries columns;
  const float* const facts[] = {query_scales, query_rests, query_offsets, floors};
  if (columns.open(scan, (int)queries, facts) != kFound) return kNoMemory;
  Team team(threads < kMostThreads ? (int)threads : kMostThreads);
  Finder finders[kMostThreads];
  for (int t = 0; t < team.threads(); t++)
    if (!finders[t].open((int)queries, k)) return kNoMemory;
  int64_t per_part = (kPartRows + block_rows - 1) / block_rows;
  if (blocks > per_part * kMostParts) per_part = (blocks + kMostParts - 1) / kMostParts;
  team.each((int)((blocks + per_part - 1) / per_part), [&](int part, int thread) {
    const int64_t first = part * per_part, last = first + per_part < blocks ? first + per_part : blocks;
    chosen->scan_blocks(scan, finders[thread], first, last);
  });
  if (scan.no_memory) return kNoMemory;
  if (scan.given_up) return kGivenUp;
  for (int t = 1; t < team.threads(); t++) finders[0].join(finders[t]);
  for (int q = 0; q < queries; q++) {
    const float kth = finders[0].kth(q);
    floors[q] = scan.floors[q] = kth > scan.floors[q] ? kth : scan.floors[q];
  }
  return collect(scan, finders, team.threads(), room, of_query, rows, count);
}

// The cosine of each pair of a row and a query, in double precision, rounded once. Rows are `stride` floats apart.
// Returns an Outcome.
SIMCSE_EXPORT int simcse_search_cosines(const char* variant, int64_t threads, const float* vectors, int64_t stride,
                                        const float* queries, int64_t size, const int64_t* rows,
                                        const int64_t* of_query, int64_t pairs, float* cosines) {
  const Variant* chosen = variant_named(variant);
  if (!chosen) return kUnknown;
  constexpr int64_t kPart = 256;
  const int64_t per_part = pairs > kPart * kMostParts ? (pairs + kMostParts - 1) / kMostParts : kPart;
  Team team(pairs > per_part ? (int)threads : 1);
  team.each((int)((pairs + per_part - 1) / per_part), [&](int part, int) {
    const int64_t first = part * per_part, count = first + per_part < pairs ? per_part : pairs - first;
    chosen->cosines(vectors, stride, queries, size, rows + first, of_query + first, count, cosines + first);
  });
  return kFound;
}

}  // namespace simcse
