// A scan of coded rows on one thread, and cosines of pairs.
#pragma once

#include "product.h"
#include "search.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// Rows that are multiplied at once: whole tiles of every kind, which stay in the first cache.
constexpr int kScanRows = 48;

// Which lanes of a are at least those of b: a bit each.
SIMCSE_INLINE uint32_t at_least(Ints a, Ints b) {
#if defined(__AVX512F__)
  return _mm512_cmpge_epi32_mask((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  const Ints reached = a >= b;
  return _mm256_movemask_ps(half_of<__m256>(reached, 0)) | _mm256_movemask_ps(half_of<__m256>(reached, 1)) << 8;
#else
  const Ints bit = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  const Ints reached = (a >= b) & bit;
  return vaddvq_s32(half_of<int32x4_t>(reached, 0)) + vaddvq_s32(half_of<int32x4_t>(reached, 1)) +
         vaddvq_s32(half_of<int32x4_t>(reached, 2)) + vaddvq_s32(half_of<int32x4_t>(reached, 3));
#endif
}

// Codes of a row as a product takes them: plus 128, but for ARM.
SIMCSE_INLINE Ints shifted(const int8_t* codes) {
  const Ints as_they_are = load((const int32_t*)codes);
  return kByteShift ? as_they_are : as_they_are ^ all((int32_t)0x80808080);
}

// The products of sixteen rows with a query.
SIMCSE_INLINE Ints sixteen_products(const int8_t* const* rows, const int8_t* query, size_t bytes) {
  Ints sums[kLanes];
#pragma clang loop unroll(disable)
  for (int i = 0; i < kLanes; i += 4) {
    Ints s[4] = {};
#pragma clang loop unroll(disable)
    for (size_t at = 0; at < bytes; at += kLine) {
      const Ints columns = load((const int32_t*)(query + at));
#pragma clang loop unroll(full)
      for (int j = 0; j < 4; j++) s[j] = AnyBytes::multiply(s[j], shifted(rows[i + j] + at), columns);
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) sums[i + j] = s[j];
  }
  transpose(sums);
#pragma clang loop unroll(full)
  for (int half = kLanes / 2; half; half /= 2)
#pragma clang loop unroll(full)
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  return sums[0];
}

class BlockScan {
 public:
  BlockScan(CodeScan& scan, Finder& finder, Pieces& pieces) : scan_(scan), finder_(finder) {
    bytes_ = pieces.take<uint8_t>(kScanRows * scan.row_bytes);
    least_ = pieces.take<int32_t>((size_t)scan.queries.panel_count() * kPanel);
  }

  void run(int64_t block) {
    scale_ = scan_.scales[block];
    length_ = scan_.lengths[block];
    rest_ = scan_.rests[block];
    const int64_t first = block * scan_.block_rows;
    for (int64_t row = first; row < first + scan_.block_rows; row++) {
      if (scan_.eligible[row]) rows_[count_++] = row;
      if (count_ == kScanRows) compare();
    }
    if (count_) compare();
  }

 private:
  void compare() {
    set_least();
    finder_.compared += (int64_t)count_ * scan_.queries.outputs;
    if (scan_.queries.outputs <= kFewQueries) compare_singly();
    else compare_tiles();
    count_ = 0;
  }

  void compare_singly() {
    const int8_t* rows[kScanRows];
    for (int i = 0; i < kScanRows; i++) rows[i] = scan_.codes + rows_[i < count_ ? i : count_ - 1] * scan_.row_bytes;
    for (int i = 0; i < count_; i += kLanes)
      for (int q = 0; q < scan_.queries.outputs; q++) {
        const Ints products = sixteen_products(rows + i, scan_.query_codes + q * scan_.row_bytes, scan_.row_bytes) +
                              all(scan_.queries.start[q]);
        uint32_t reached = at_least(products, all(least_[q]));
        if (count_ - i < kLanes) reached &= (1u << (count_ - i)) - 1;
        for (; reached; reached &= reached - 1) {
          const int lane = __builtin_ctz(reached);
          pass(i + lane, q, products[lane]);
        }
      }
  }

  void compare_tiles() {
    for (int i = 0; i < count_; i++) {
      const int8_t* from = scan_.codes + rows_[i] * scan_.row_bytes;
      int32_t* to = (int32_t*)(bytes_ + i * scan_.row_bytes);
      for (size_t at = 0; at < scan_.row_bytes; at += kLine) store(to + at / 4, shifted(from + at));
    }
    const Rows rows = {bytes_, scan_.row_bytes, count_};
    multiply<AnyBytes>(rows, scan_.queries, 0, scan_.queries.panel_count(), compare_tile, this);
  }

  // What follows a tile of products.
  static void compare_tile(const Linear& queries, const void* next, const void* pointer, int row, int rows,
                           int column) {
    auto* self = (BlockScan*)next;
    auto* sums = (const Ints*)pointer;
    const int vectors = queries.vectors() - column / kLanes;
    for (int v = 0; v < kPanel / kLanes && v < vectors; v++) {
      const int32_t* least = self->least_ + column + kLanes * v;
      Ints most = sums[v];
      for (int i = 1; i < rows; i++) {
        const Ints other = sums[i * (kPanel / kLanes) + v];
        most = other > most ? other : most;
      }
      if (!at_least(most, load(least))) continue;
      for (int i = 0; i < rows; i++) {
        const Ints products = sums[i * (kPanel / kLanes) + v];
        for (uint32_t reached = at_least(products, load(least)); reached; reached &= reached - 1) {
          const int lane = __builtin_ctz(reached);
          self->pass(row + i, column + kLanes * v + lane, products[lane]);
        }
      }
    }
  }

  // The least product that reaches the floor, or somewhat less; all reach what is not a number.
  SIMCSE_INLINE Ints least(Floats floor, Floats offset, Floats scale, Floats rest) const {
    const Floats error = fma(rest, all(length_), all(rest_));
    const Floats x = (floor - offset - error) / (scale * all(scale_)) - all(2.f);
    return __builtin_convertvector(smaller(larger(x, all(-1e9f)), all(1e9f)), Ints);
  }

  void set_least() {
    for (int q = 0; q < scan_.queries.outputs; q += kLanes)
      store(least_ + q, least(load(scan_.floors + q), load(scan_.query_offsets + q), load(scan_.query_scales + q),
                              load(scan_.query_rests + q)));
    // No product of the padding reaches this, whatever the block's scale.
    for (size_t q = scan_.queries.outputs; q % kLanes; q++) least_[q] = INT32_MAX;
  }

  __attribute__((noinline)) void pass(int i, int q, int32_t product) {
    finder_.passed++;
    if (finder_.count == finder_.room && !finder_.make_room(scan_.floors)) {
      __atomic_store_n(&scan_.no_memory, 1, __ATOMIC_RELAXED);
      return;
    }
    const float estimate = (float)product * (scan_.query_scales[q] * scale_) + scan_.query_offsets[q];
    const float error = scan_.query_rests[q] * length_ + rest_;
    const float most = estimate + error, score = estimate - error;
    // What is no number may be among the best, and is none of them.
    finder_.candidates[finder_.count++] = {q, most == most ? most : __builtin_inff(), rows_[i]};
    float floor = score == score ? push(q, score) : finder_.kth(q);
    if (!(floor > scan_.floors[q])) return;
    // Another thread may raise it at the same time: whichever stays, it is one that the k-th best score reaches.
    __atomic_store(&scan_.floors[q], &floor, __ATOMIC_RELAXED);
    const Floats offset = all(scan_.query_offsets[q]), scale = all(scan_.query_scales[q]);
    least_[q] = least(all(floor), offset, scale, all(scan_.query_rests[q]))[0];
  }

  // Adds a score to the query's best, and returns the k-th.
  SIMCSE_INLINE float push(int q, float score) {
    if (finder_.k > kLanes) return finder_.push_into_heap(q, score);
    float* best = finder_.best + q * kLanes;
    const Floats sorted = load(best);
    const Floats end = all(__builtin_inff());
    const Floats next = __builtin_shufflevector(sorted, end, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    store(best, smaller(larger(all(score), sorted), next));
    return finder_.kth(q);
  }

  CodeScan& scan_;
  Finder& finder_;
  uint8_t* bytes_;   // [kScanRows][row_bytes]
  int32_t* least_;   // [queries], padded to whole panels
  int64_t rows_[kScanRows];
  int count_ = 0;
  float scale_ = 0, length_ = 0, rest_ = 0;
};

// Scan blocks first … last - 1, unless the scan has ended.
void scan_blocks(CodeScan& scan, Finder& finder, int64_t first, int64_t last) {
  Pieces sizes(nullptr);
  BlockScan(scan, finder, sizes);
  Space space(sizes.used());
  if (!space.memory()) {
    __atomic_store_n(&scan.no_memory, 1, __ATOMIC_RELAXED);
    return;
  }
  Pieces pieces(space.memory());
  BlockScan of_block(scan, finder, pieces);
  const float always = (float)scan.always * scan.queries.outputs;
  for (int64_t b = first; b < last && !scan.ended(); b++) {
    of_block.run(b);
    if (finder.passed > scan.most_share * finder.compared + always)
      __atomic_store_n(&scan.given_up, 1, __ATOMIC_RELAXED);
  }
}

typedef double Doubles __attribute__((ext_vector_type(8)));
typedef float EightFloats __attribute__((ext_vector_type(8), aligned(4)));

SIMCSE_INLINE Doubles eight(const float* from) { return __builtin_convertvector(*(const EightFloats*)from, Doubles); }

SIMCSE_INLINE double sum(Doubles x) {
  double four[4];
  for (int i = 0; i < 4; i++) four[i] = x[i] + x[i + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// The product of two vectors and the square of the first, in double precision.
SIMCSE_INLINE void products(const float* v, const float* q, size_t size, double& product, double& square) {
  Doubles p = (Doubles)(0.0), s = (Doubles)(0.0);
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    const Doubles x = eight(v + at);
    p = __builtin_elementwise_fma(x, eight(q + at), p);
    s = __builtin_elementwise_fma(x, x, s);
  }
  product = sum(p);
  square = sum(s);
  for (; at < size; at++) {
    product += (double)v[at] * q[at];
    square += (double)v[at] * v[at];
  }
}

// The cosine of each pair of a row and a query, in double precision, rounded once.
void cosines(const float* vectors, size_t stride, const float* queries, size_t size, const int64_t* rows,
             const int64_t* of_query, int64_t pairs, float* to) {
  for (int64_t i = 0; i < pairs; i++) {
    const float* query = queries + of_query[i] * size;
    if (i + 2 < pairs)
      for (size_t at = 0; at < size; at += 16) __builtin_prefetch(vectors + rows[i + 2] * stride + at);
    double product, square, query_square, same;
    products(vectors + rows[i] * stride, query, size, product, square);
    products(query, query, size, same, query_square);
    to[i] = (float)(product / __builtin_elementwise_sqrt(square * query_square));
  }
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
