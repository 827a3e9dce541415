// A variant's kernels on plain arrays, for tests. In testing builds alone.
#pragma once

#include "layer.h"

namespace simcse {

// Where numbers are of a kind: 0 bytes, 1 pairs of bfloat16, 2 single floats.
struct Trials {
  // y = f(x); count is a multiple of 16. The first is 2^(x * factor), another as integers of two bytes.
  void (*function)(int which, const float* x, int count, float factor, float* y);
  // A row as the input of a product, `size` floats and room for whole vectors.
  void (*numbers)(int kind, const float* x, int size, const Channels& channels, uint8_t* to);
  // 64 floats as the results of a product.
  void (*results)(int kind, const float* x, Step step, uint8_t* to);
  void (*normalize)(float* x, const Norm& norm);
  void (*transpose)(int32_t* x);  // [16, 16]
  // Rows of `bytes` by a layer. What follows: 0 floats, 1 floats added to `from`, 2 numbers through GELU, 3 and more
  // numbers through activation `next - 3`; those of bytes are single floats where `late`.
  void (*multiply)(int kind, const uint8_t* rows, size_t bytes, int count, const Linear& linear, int next, bool late,
                   const float* from, const int* from_rows, size_t stride, Step step, void* to);
  // Single floats into such, others into any kind. False if there is no memory.
  bool (*attend)(int kind, int result, const float* q, int queries, const float* k, const float* v, int tokens,
                 int head, float alpha, const float* bias, Step step, uint8_t* to);
};

}  // namespace simcse

#ifdef SIMCSE_VARIANT

#include "pass.h"

namespace simcse {
namespace SIMCSE_VARIANT {
namespace {

void try_function(int which, const float* x, int count, float factor, float* y) {
  for (int i = 0; i < count; i += kLanes) {
    const Floats in = load(x + i);
    Floats out;
    switch (which) {
      case 0: out = exp2(in, all(factor)); break;
      case 1: out = sigmoid(in); break;
      case 2: out = tanh(in); break;
      case 3: out = gelu(in); break;
      case 4: out = rough_gelu(in); break;
      case 5: out = to_floats(weights_of(in, all(factor))); break;
      default: out = activated((Activation)(which - 6), in);
    }
    store(y + i, out);
  }
}

template <class Work>
void of_kind(int kind, Work&& work) {
  if (kind == 0) work(Bytes{});
  else if (kind == 1) work(Pairs{});
  else work(Singles{});
}

void try_numbers(int kind, const float* x, int size, const Channels& channels, uint8_t* to) {
  of_kind(kind, [&](auto number) { to_numbers<decltype(number)>(x, size, channels, to); });
}

void try_results(int kind, const float* x, Step step, uint8_t* to) {
  const Floats four[] = {load(x), load(x + kLanes), load(x + 2 * kLanes), load(x + 3 * kLanes)};
  of_kind(kind, [&](auto number) { decltype(number)::template store<4>(to, four, step); });
}

void try_normalize(float* x, const Norm& norm) { normalize(x, norm); }

void try_transpose(int32_t* x) {
  Ints rows[kLanes];
  for (int i = 0; i < kLanes; i++) rows[i] = load(x + kLanes * i);
  transpose(rows);
  for (int i = 0; i < kLanes; i++) store(x + kLanes * i, rows[i]);
}

void try_multiply(int kind, const uint8_t* data, size_t bytes, int count, const Linear& linear, int next, bool late,
                  const float* from, const int* from_rows, size_t stride, Step step, void* to) {
  const Rows rows = {data, bytes, count};
  of_kind(kind, [&](auto number) {
    using Number = decltype(number);
    auto follow = [&](const auto& what) { multiply<Number>(rows, linear, 0, linear.panel_count(), what); };
    auto numbers = [&](auto result) {
      using Result = decltype(result);
      const size_t row_bytes = stride * Result::kSize;
      if (next == 2) follow(ToGelu<Result>{(uint8_t*)to, row_bytes, step});
      else follow(ToActivated<Result>{(Activation)(next - 3), (uint8_t*)to, row_bytes, step});
    };
    if (next == 0) follow(ToFloats{(float*)to, stride});
    else if (next == 1) follow(ToSum{from, from_rows, stride, (float*)to});
    else if (late) numbers(Singles{});
    else numbers(Number{});
  });
}

template <class Number, class Result>
bool try_attend(const float* q, int queries, const float* k, const float* v, int tokens, int head, float alpha,
                const float* bias, Step step, uint8_t* to) {
  using Needed = typename AttentionOf<Number>::Space;
  Pieces sizes(nullptr);
  Needed(sizes, tokens, head);
  Space space(sizes.used());
  if (!space.memory()) return false;
  Pieces pieces(space.memory());
  const Needed place(pieces, tokens, head);
  attend<Number, Result>(q, head, queries, k, v, head, tokens, head, alpha, bias, place, to,
                         (size_t)head * Result::kSize, step);
  return true;
}

bool try_attend(int kind, int result, const float* q, int queries, const float* k, const float* v, int tokens, int head,
                float alpha, const float* bias, Step step, uint8_t* to) {
  if (kind == 2) return try_attend<Singles, Singles>(q, queries, k, v, tokens, head, alpha, bias, step, to);
  bool done = false;
  of_kind(result, [&](auto late) {
    using Late = decltype(late);
    auto* attend_in = kind == 0 ? try_attend<Bytes, Late> : try_attend<Pairs, Late>;
    done = attend_in(q, queries, k, v, tokens, head, alpha, bias, step, to);
  });
  return done;
}

constexpr Trials trials = {try_function,  try_numbers,  try_results, try_normalize,
                           try_transpose, try_multiply, try_attend};

}  // namespace
}  // namespace SIMCSE_VARIANT
}  // namespace simcse

#endif
