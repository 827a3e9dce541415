// What tests call, on plain arrays: the kernels of the selected variant, and what all variants share.
//
// Parameters are pointers and integers alone (tests/support/kernels.py); floats come in arrays.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu.h"
#include "packing.h"
#include "team.h"
#include "trials.h"

#define SIMCSE_TEST extern "C" __attribute__((visibility("default"))) int

namespace simcse {

namespace {

const Trials& trials() { return *selected_variant()->trials; }

// A vector with zeros up to whole panels, as kernels read it.
struct Padded {
  float* data;

  Padded(const float* from, int64_t size) : data((float*)allocate(round_up(size, kPanel) * sizeof(float))) {
    memcpy(data, from, size * sizeof(float));
  }
  ~Padded() { release((void*)data); }
  Padded(const Padded&) = delete;
};

// Takes constants from arrays in which they lie end to end.
struct Arrays {
  const uint8_t* weights;
  const float* floats;

  Constant vector(int64_t size) {
    const Constant taken = {floats, kFloat, 1, size};
    floats += size;
    return taken;
  }

  Constant weight(int type, int64_t rows, int64_t columns) {
    const Constant taken = {weights, type, rows, columns};
    weights += rows * columns * (type == kInt8 ? 1 : type == kBfloat16 ? 2 : 4);
    return taken;
  }

  LinearSource linear(int type, int64_t inputs, int64_t outputs) {
    LinearSource taken;
    taken.weight = weight(type, inputs, outputs);
    taken.scale = vector(outputs);
    taken.bias = vector(outputs);
    return taken;
  }

  NormSource norm(int64_t size) {
    NormSource taken;
    taken.gamma = vector(size);
    taken.beta = vector(size);
    return taken;
  }

  InputSource input(int64_t size, const uint8_t* zero) {
    InputSource taken;
    taken.smooth = vector(size);
    taken.scale = vector(1);
    taken.zero = {zero, kUint8, 1, 1};
    return taken;
  }
};

// What a test of the team shares between threads.
struct Crowd {
  int parts, threads, rounds;
  int* counts;    // of each part
  int faults;     // two calls at a time with one thread's number
};

void* work_on(void* pointer) {
  Crowd& crowd = *(Crowd*)pointer;
  for (int i = 0; i < crowd.rounds; i++) {
    Team team(crowd.threads);
    int inside[256] = {};
    team.each(crowd.parts, [&](int part, int thread) {
      if (thread >= team.threads() || __atomic_add_fetch(&inside[thread], 1, __ATOMIC_SEQ_CST) != 1)
        __atomic_add_fetch(&crowd.faults, 1, __ATOMIC_SEQ_CST);
      __atomic_add_fetch(&crowd.counts[part], 1, __ATOMIC_SEQ_CST);
      __atomic_sub_fetch(&inside[thread], 1, __ATOMIC_SEQ_CST);
    });
  }
  return nullptr;
}

int gather(int callers, int parts, int threads, int rounds, int* counts) {
  Crowd crowd = {parts, threads, rounds, counts, 0};
  pthread_t list[64];
  for (int i = 1; i < callers; i++)
    if (pthread_create(&list[i], nullptr, work_on, &crowd)) return -1;
  work_on(&crowd);
  for (int i = 1; i < callers; i++) pthread_join(list[i], nullptr);
  return crowd.faults;
}

}  // namespace

SIMCSE_TEST simcse_testing_function(int64_t which, const float* x, int64_t count, const float* factor, float* y) {
  trials().function(which, x, count, *factor, y);
  return 0;
}

SIMCSE_TEST simcse_testing_numbers(int64_t kind, const float* x, int64_t size, const float* factor, const float* offset,
                                   uint8_t* to) {
  const Padded in(x, size), factors(factor, size), offsets(offset, size);
  trials().numbers(kind, in.data, size, {factors.data, offsets.data}, to);
  return 0;
}

SIMCSE_TEST simcse_testing_results(int64_t kind, const float* x, const float* step, uint8_t* to) {
  trials().results(kind, x, {step[0], step[1]}, to);
  return 0;
}

SIMCSE_TEST simcse_testing_normalize(float* x, int64_t size, const float* epsilon, const float* gamma,
                                     const float* beta) {
  const Padded row(x, size), gammas(gamma, size), betas(beta, size);
  trials().normalize(row.data, {(int)size, *epsilon, gammas.data, betas.data});
  for (size_t i = size; i < round_up(size, kLanes); i++)
    if (row.data[i] != 0) return -1;
  memcpy(x, row.data, size * sizeof(float));
  return 0;
}

SIMCSE_TEST simcse_testing_transpose(int32_t* x) {
  trials().transpose(x);
  return 0;
}

// Rows of numbers [count, inputs] by weights [inputs, outputs], see Trials::multiply; `step` holds the result's and
// then the input's scale. `to` has rows of `stride` numbers or floats. -1 where the weights are refused.
SIMCSE_TEST simcse_testing_multiply(int64_t kind, const uint8_t* rows, int64_t count, int64_t inputs, int64_t outputs,
                                    const uint8_t* weights, const float* scale, const float* bias, int64_t zero,
                                    int64_t next, int64_t late, const float* from, const int* from_rows, int64_t stride,
                                    const float* step, uint8_t* to) {
  const Number number = kind == 0 ? kBytes : kind == 1 ? kPairs : kSingles;
  const uint8_t** columns = (const uint8_t**)allocate(round_up(outputs, kPanel) * sizeof(uint8_t*));
  for (int64_t n = 0; n < outputs; n++) columns[n] = weights + n * number.bytes;
  Linear linear = {};
  const char* fault = pack(linear, number, inputs, outputs, {columns, (size_t)outputs * number.bytes, nullptr});
  release((void*)columns);
  if (!fault) {
    for (int64_t n = 0; n < outputs; n++)
      if (kind == 0) finish_bytes(linear, n, scale[n], bias[n], step[2], zero);
      else memcpy(linear.start + n, bias + n, sizeof(float));
    // Rows of whole panels, and more of them, as a pass has them. What lies beyond is anything; of floats, zero.
    const size_t bytes = round_up(inputs, kPanel) * number.bytes;
    Space space((count + 16) * bytes);
    auto* data = (uint8_t*)space.memory();
    for (int64_t r = 0; r < count; r++) {
      memset(data + r * bytes, 0, kind == 0 ? round_up(inputs, kLanes) : bytes);
      memcpy(data + r * bytes, rows + r * inputs * number.bytes, inputs * number.bytes);
    }
    trials().multiply(kind, data, bytes, count, linear, next, late, from, from_rows, stride, {step[0], step[1]}, to);
  }
  release(linear);
  return fault ? -1 : 0;
}

// `bias`, unless it is null, is of distances from -`before` on, and sixteen more than there are.
SIMCSE_TEST simcse_testing_attend(int64_t kind, int64_t result, const float* q, int64_t queries, const float* k,
                                  const float* v, int64_t tokens, int64_t head, const float* alpha, const float* bias,
                                  int64_t before, const float* step, uint8_t* to) {
  const float* middle = bias ? bias + before : nullptr;
  return trials().attend(kind, result, q, queries, k, v, tokens, head, *alpha, middle, {step[0], step[1]}, to) ? 0 : -1;
}

// A layer made of constants and run. `sizes`: precision (0 int8, 1 bf16, 2 fp32), whether only first tokens come out,
// heads, activation, hidden, features, threads, sentences, tokens, distances of biases. `weights`: those of query, key,
// value, output, up and down. `floats`: epsilon; scale and bias of these; smooth and scale of the inputs of attention,
// output, up and down; gamma and beta of both norms; biases of attention. -1 where the constants are refused, -2 where
// memory is.
SIMCSE_TEST simcse_testing_layer(const int64_t* sizes, const uint8_t* weights, const float* floats,
                                 const uint8_t* zeros, const int64_t* lengths, const float* states, float* output) {
  LayerSource source = {};
  source.precision = (Precision)sizes[0];
  source.first_only = sizes[1];
  source.heads = sizes[2];
  source.activation = (Activation)sizes[3];
  const int64_t hidden = sizes[4], features = sizes[5];
  Arrays arrays = {weights, floats};
  source.epsilon = *arrays.vector(1).floats();
  const int type = sizes[0] == 0 ? kInt8 : sizes[0] == 1 ? kBfloat16 : kFloat;
  const int late = sizes[0] == 0 && source.first_only ? kFloat : type;
  source.query = arrays.linear(type, hidden, hidden);
  source.key = arrays.linear(type, hidden, hidden);
  source.value = arrays.linear(type, hidden, hidden);
  source.output = arrays.linear(late, hidden, hidden);
  source.up = arrays.linear(type, hidden, features);
  source.down = arrays.linear(late, features, hidden);
  source.attention_input = arrays.input(hidden, zeros);
  source.output_input = arrays.input(hidden, zeros + 1);
  source.up_input = arrays.input(hidden, zeros + 2);
  source.down_input = arrays.input(features, zeros + 3);
  source.attention_norm = arrays.norm(hidden);
  source.norm = arrays.norm(hidden);
  if (sizes[9]) source.bias = {arrays.vector(sizes[2] * sizes[9]).data, kFloat, sizes[2], sizes[9]};
  const char* reason = nullptr;
  Layer* layer = make_layer(source, &reason);
  if (!layer) return strcmp(reason, "out of memory") ? -1 : -2;
  Sentences run;
  const bool fits = run.set(lengths, sizes[7], sizes[8]);
  const bool done = fits && selected_variant()->run_layer(*layer, run, states, output, sizes[6]);
  release(layer);
  return !fits ? -1 : done ? 0 : -2;
}

// `sizes`: type of the tables, hidden, words, positions, padding, sentences, tokens. -1 where an id is out of range.
SIMCSE_TEST simcse_testing_embeddings(const int64_t* sizes, const uint8_t* words, const float* word_scale,
                                      const uint8_t* positions, const float* position_scale, const float* norm,
                                      const int64_t* lengths, const int64_t* ids, float* states) {
  Arrays arrays = {nullptr, norm};
  EmbeddingsSource source = {};
  const int type = (int)sizes[0];
  source.words = {words, type, sizes[2], sizes[1]};
  source.positions = {positions, type, sizes[3], sizes[1]};
  if (type == kInt8) {
    source.word_scale = {word_scale, kFloat, sizes[2], 1};
    source.position_scale = {position_scale, kFloat, sizes[3], 1};
  }
  source.epsilon = *arrays.vector(1).floats();
  source.norm = arrays.norm(sizes[1]);
  source.padding_id = sizes[4];
  const char* reason = nullptr;
  Embeddings* embeddings = make_embeddings(source, &reason);
  if (!embeddings) return -2;
  Sentences run;
  const bool right = run.set(lengths, sizes[5], sizes[6]) &&
                     selected_variant()->run_embeddings(*embeddings, run, ids, states);
  release(embeddings);
  return right ? 0 : -1;
}

// `sizes`: the pooler's number, normalize, whether there is a head, width of the states, hidden, dimension, sentences,
// tokens.
SIMCSE_TEST simcse_testing_pooling(const int64_t* sizes, const float* head_weight, const float* head_bias,
                                   const int64_t* lengths, const float* states, const float* other, float* vectors) {
  PoolingSource source = {};
  source.pooler = (Pooler)sizes[0];
  source.normalize = sizes[1];
  if (sizes[2]) {
    source.head.weight = {head_weight, kFloat, sizes[4], sizes[4]};
    source.head.bias = {head_bias, kFloat, 1, sizes[4]};
  }
  const char* reason = nullptr;
  Pooling* pooling = make_pooling(source, &reason);
  if (!pooling) return -2;
  Sentences run;
  const bool done =
      run.set(lengths, sizes[6], sizes[7]) &&
      selected_variant()->run_pooling(*pooling, run, states, other, sizes[3], sizes[4], vectors, sizes[5]);
  release(pooling);
  return done ? 0 : -1;
}

SIMCSE_TEST simcse_testing_cut(const int64_t* lengths, int64_t sentences, int64_t tokens, int64_t most, int* tiles) {
  static_assert(sizeof(Tile) == 4 * sizeof(int));
  Sentences run;
  if (!run.set(lengths, sentences, tokens)) return -1;
  const int count = cut(run, most, nullptr);
  return cut(run, most, (Tile*)tiles) == count ? count : -2;
}

// So many callers, each with `rounds` teams: how often two calls at a time had one thread's number. `counts` [parts].
SIMCSE_TEST simcse_testing_team(int64_t callers, int64_t parts, int64_t threads, int64_t rounds, int* counts) {
  return gather(callers, parts, threads, rounds, counts);
}

// The same in a forked child, while the parent's helpers are there: 0 if each part was done by as many as should.
SIMCSE_TEST simcse_testing_team_forked(int64_t callers, int64_t parts, int64_t threads, int64_t rounds) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    int* counts = (int*)calloc(parts, sizeof(int));
    bool right = !gather(callers, parts, threads, rounds, counts);
    for (int i = 0; i < parts; i++) right &= counts[i] == callers * rounds;
    _exit(right ? 0 : 1);
  }
  int status;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// From now on `count` allocations succeed; how many are alive is returned.
SIMCSE_TEST simcse_testing_allocations(int64_t count) {
  release_spaces();
  __atomic_store_n(&allocations_left, count, __ATOMIC_RELAXED);
  return (int)__atomic_load_n(&allocations_alive, __ATOMIC_RELAXED);
}

SIMCSE_TEST simcse_testing_alive() { return (int)__atomic_load_n(&allocations_alive, __ATOMIC_RELAXED); }

}  // namespace simcse
