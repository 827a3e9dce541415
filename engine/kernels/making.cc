#include "making.h"

#include <math.h>
#include <string.h>

#include "packing.h"
#include "sentences.h"

namespace simcse {

namespace {

// Products of bytes of so many inputs fit 32 bits, whatever their zero is: packing bounds neighbouring weights.
constexpr int64_t kMostInputs = 1 << 16;

// Reads constants; the first fault is kept, and what follows it does nothing.
struct Maker {
  const char* reason = nullptr;

  bool require(bool right, const char* why) {
    if (!right && !reason) reason = why;
    return !reason;
  }

  template <class T>
  T* memory(size_t count) {
    T* result = reason ? nullptr : (T*)allocate(count * sizeof(T));
    require(result, "out of memory");
    return result;
  }

  // A vector, padded with zeros to whole panels.
  float* vector(const Constant& from, int size) {
    if (!require(from.data && from.count() == size, "a bias, scale or norm has another size than its layer"))
      return nullptr;
    float* to = memory<float>(round_up(size, kPanel));
    if (to) memcpy(to, from.data, size * sizeof(float));
    return to;
  }

  Norm norm(const NormSource& from, int size, float epsilon) {
    return {size, epsilon, vector(from.gamma, size), vector(from.beta, size)};
  }

  static float scale(const InputSource& from) { return from.scale.data ? from.scale.floats()[0] : 1.f; }
  static int zero(const InputSource& from) { return from.zero.data ? *(const uint8_t*)from.zero.data : 0; }
  static Step step(const InputSource& from) { return {1.f / scale(from), (float)zero(from)}; }

  // x * smooth / scale + zero.
  Channels channels(const InputSource& from, int size) {
    Channels to = {vector(from.smooth, size), memory<float>(round_up(size, kPanel))};
    const Step whole = step(from);
    for (int i = 0; i < size && !reason; i++) {
      to.factor[i] *= whole.factor;
      to.offset[i] = whole.zero;
    }
    return to;
  }

  DistanceBias bias(const Constant& from, const Heads& heads) {
    DistanceBias to;
    if (!from.data) return to;
    require(from.rows == heads.count && from.columns % 2 == 1 && from.columns < 2 * kMostTokens,
            "biases of attention are those of each head, by distance");
    to.longest = (int)(from.columns + 1) / 2;
    to.stride = round_up(from.columns, kLanes) + kLanes;
    to.data = memory<float>(heads.count * to.stride);
    const float scale = sqrtf((float)heads.size);
    for (int h = 0; h < heads.count && !reason; h++)
      for (int64_t i = 0; i < from.columns; i++)
        to.data[h * to.stride + i] = from.floats()[h * from.columns + i] * scale;
    return to;
  }

  void fits(const LinearSource& from, int64_t inputs, int64_t outputs, const Number& number) {
    require(from.weight.data && from.weight.rows == inputs && from.weight.columns == outputs,
            "a weight has another shape than its layer");
    require(from.bias.data && from.bias.count() == outputs, "a bias has another size than its layer");
    if (number.bytes == 1)
      require(from.scale.data && from.scale.count() == outputs, "a scale has another size than its layer");
  }

  // One or two layers as one: place n of `outputs` holds feature place(n % width) of layer n / width; negative: none.
  template <class Place>
  void linear(Linear& to, const Number& number, const LinearSource* const* sources, int width, int outputs, int inputs,
              const int* rows, const InputSource& input, Place&& place) {
    const uint8_t** columns = memory<const uint8_t*>(round_up(outputs, kPanel));
    if (!columns) return;
    for (int n = 0; n < outputs; n++) {
      const int feature = place(n % width);
      if (feature >= 0) columns[n] = (const uint8_t*)sources[n / width]->weight.data + (size_t)feature * number.bytes;
    }
    const size_t row_bytes = (size_t)sources[0]->weight.columns * number.bytes;
    const char* fault = pack(to, number, inputs, outputs, {columns, row_bytes, rows});
    release((void*)columns);
    if (!require(!fault, fault)) return;
    for (int n = 0; n < outputs; n++) {
      const int feature = place(n % width);
      if (feature < 0) continue;
      const LinearSource& from = *sources[n / width];
      const float bias = from.bias.floats()[feature];
      if (number.bytes == 1) finish_bytes(to, n, from.scale.floats()[feature], bias, scale(input), zero(input));
      else memcpy(to.start + n, &bias, sizeof bias);
    }
  }

  void linear(Linear& to, const Number& number, const LinearSource& source, int outputs, int inputs,
              const InputSource& input, const int* rows = nullptr) {
    const LinearSource* sources[] = {&source};
    linear(to, number, sources, outputs, outputs, inputs, rows, input, [](int n) { return n; });
  }
};

void fill(Layer& layer, const LayerSource& source, const Number& number, const Number& late, Maker& maker) {
  const Heads& heads = layer.heads;
  const int hidden = layer.hidden, width = heads.group_width();
  layer.query = maker.memory<Linear>(heads.groups);
  layer.key_value = maker.memory<Linear>(heads.groups);
  for (int g = 0; g < heads.groups && !maker.reason; g++) {
    auto place = [&](int n) { return heads.feature(g * width + n); };
    const LinearSource *query[] = {&source.query}, *key_value[] = {&source.key, &source.value};
    const InputSource& input = source.attention_input;
    maker.linear(layer.query[g], number, query, width, width, hidden, nullptr, input, place);
    maker.linear(layer.key_value[g], number, key_value, width, 2 * width, hidden, nullptr, input, place);
  }
  int* rows = maker.memory<int>(heads.width());
  for (int k = 0; rows && k < heads.width(); k++) rows[k] = heads.feature(k);
  maker.linear(layer.output, late, source.output, hidden, heads.width(), source.output_input, rows);
  release((void*)rows);
  maker.linear(layer.up, number, source.up, layer.features, hidden, source.up_input);
  maker.linear(layer.down, late, source.down, hidden, layer.features, source.down_input);
  layer.attention_norm = maker.norm(source.attention_norm, hidden, source.epsilon);
  layer.norm = maker.norm(source.norm, hidden, source.epsilon);
  if (source.precision != Precision::int8) return;
  layer.attention_input = maker.channels(source.attention_input, hidden);
  layer.up_input = maker.channels(source.up_input, hidden);
  layer.output_step = Maker::step(source.output_input);
  layer.down_step = Maker::step(source.down_input);
}

// The result, or null and the reason.
template <class T>
T* finished(T* made, const Maker& maker, const char** reason) {
  if (!maker.reason) return made;
  *reason = maker.reason;
  if (made) release(made);
  return nullptr;
}

}  // namespace

Layer* make_layer(const LayerSource& source, const char** reason) {
  Maker maker;
  const int64_t hidden = source.query.weight.rows, features = source.up.weight.columns;
  maker.require(hidden > 0 && hidden <= kMostInputs && features > 0 && features <= kMostInputs &&
                    source.heads > 0 && hidden % source.heads == 0 && hidden / source.heads <= kMostHead,
                "hidden size and heads do not fit each other");
  const Number number = source.precision == Precision::int8 ? kBytes
                        : source.precision == Precision::bf16 ? kPairs
                                                              : kSingles;
  const Number late = source.precision == Precision::int8 && source.first_only ? kSingles : number;
  maker.fits(source.query, hidden, hidden, number);
  maker.fits(source.key, hidden, hidden, number);
  maker.fits(source.value, hidden, hidden, number);
  maker.fits(source.output, hidden, hidden, late);
  maker.fits(source.up, hidden, features, number);
  maker.fits(source.down, features, hidden, late);
  Layer* layer = maker.memory<Layer>(1);
  if (layer) {
    layer->precision = source.precision;
    layer->first_only = source.first_only;
    layer->heads = Heads(source.heads, (int)hidden);
    layer->hidden = (int)hidden;
    layer->features = (int)features;
    layer->activation = source.activation;
    layer->alpha = kLog2E / sqrtf((float)layer->heads.size);
    layer->bias = maker.bias(source.bias, layer->heads);
    fill(*layer, source, number, late, maker);
  }
  return finished(layer, maker, reason);
}

Embeddings* make_embeddings(const EmbeddingsSource& source, const char** reason) {
  Maker maker;
  const int64_t hidden = source.words.columns;
  auto known = [](const Constant& table, const Constant& scale) {
    if (table.type == kInt8) return scale.data && scale.count() == table.rows;
    return table.data && (table.type == kFloat || table.type == kBfloat16);
  };
  maker.require(source.positions.columns == hidden && hidden > 0 && hidden <= kMostInputs &&
                    known(source.words, source.word_scale) && known(source.positions, source.position_scale),
                "the tables of words and positions do not fit each other");
  Embeddings* embeddings = maker.memory<Embeddings>(1);
  if (embeddings) {
    embeddings->source = source;
    embeddings->hidden = (int)hidden;
    embeddings->norm = maker.norm(source.norm, (int)hidden, source.epsilon);
  }
  return finished(embeddings, maker, reason);
}

Pooling* make_pooling(const PoolingSource& source, const char** reason) {
  Maker maker;
  Pooling* pooling = maker.memory<Pooling>(1);
  if (pooling) {
    pooling->pooler = source.pooler;
    pooling->normalize = source.normalize;
  }
  if (pooling && source.head.weight.data) {
    const int64_t hidden = source.head.weight.rows;
    maker.require(hidden > 0 && hidden <= kMostInputs, "a head of another shape than the vectors");
    maker.fits(source.head, hidden, hidden, kSingles);
    pooling->hidden = (int)hidden;
    maker.linear(pooling->head, kSingles, source.head, (int)hidden, (int)hidden, InputSource{});
  }
  return finished(pooling, maker, reason);
}

void release(Layer* layer) {
  for (int g = 0; g < layer->heads.groups; g++) {
    if (layer->query) release(layer->query[g]);
    if (layer->key_value) release(layer->key_value[g]);
  }
  release(layer->output);
  release(layer->up);
  release(layer->down);
  float* vectors[] = {layer->attention_norm.gamma,   layer->attention_norm.beta,    layer->norm.gamma,
                      layer->norm.beta,              layer->attention_input.factor, layer->attention_input.offset,
                      layer->up_input.factor,        layer->up_input.offset,    layer->bias.data};
  for (float* vector : vectors) release((void*)vector);
  release((void*)layer->query);
  release((void*)layer->key_value);
  release((void*)layer);
}

void release(Embeddings* embeddings) {
  release((void*)embeddings->norm.gamma);
  release((void*)embeddings->norm.beta);
  release((void*)embeddings);
}

void release(Pooling* pooling) {
  release(pooling->head);
  release((void*)pooling);
}

}  // namespace simcse
