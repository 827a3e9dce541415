// A layer from the graph's constants: checked, packed, its scales folded.
#pragma once

#include "layer.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// Collects a layer's constants; the first fault ends it.
struct Maker {
  const char* reason = nullptr;

  bool fail(const char* why) {
    if (!reason) reason = why;
    return false;
  }

  // A vector, padded with zeros to whole panels.
  float* vector(const Constant& from, int size) {
    if (!from.data || from.rows * from.columns != size) {
      fail("a bias, scale or norm has another size than its layer");
      return nullptr;
    }
    float* to = (float*)allocate(round_up(size, kPanel) * sizeof(float));
    if (!to) fail("out of memory");
    else memcpy(to, from.data, size * sizeof(float));
    return to;
  }

  void norm(Norm& to, const NormSource& from, int size, float epsilon) {
    to.size = size;
    to.epsilon = epsilon;
    to.gamma = vector(from.gamma, size);
    to.beta = vector(from.beta, size);
  }

  static float scalar(const Constant& from) { return from.data ? from.floats()[0] : 1.f; }
  static int zero(const Constant& from) { return from.data ? *(const uint8_t*)from.data : 0; }

  // x * smooth / scale + zero.
  void channels(Channels& to, const InputSource& from, int size) {
    to.factor = vector(from.smooth, size);
    to.offset = (float*)allocate(round_up(size, kPanel) * sizeof(float));
    if (!to.offset) fail("out of memory");
    if (reason) return;
    const float inverse = 1.f / scalar(from.scale);
    for (int i = 0; i < size; i++) {
      to.factor[i] *= inverse;
      to.offset[i] = (float)zero(from.zero);
    }
  }

  static Step step(const InputSource& from) { return {1.f / scalar(from.scale), (float)zero(from.zero)}; }

  bool fits(const LinearSource& from, int64_t inputs, int64_t outputs, bool scaled) {
    if (!from.weight.data || from.weight.rows != inputs || from.weight.columns != outputs)
      return fail("a weight has another shape than its layer");
    if (from.bias.rows * from.bias.columns != outputs) return fail("a bias has another size than its layer");
    if (scaled && (!from.scale.data || from.scale.rows * from.scale.columns != outputs))
      return fail("a scale has another size than its layer");
    return true;
  }

  // Columns of one or two layers into one: place n holds feature of_place(n) of layer n / width; negative: none.
  template <class Number, class Place>
  void linear(Linear& to, const LinearSource* const* sources, int width, int outputs, int inputs, const int* rows,
              const InputSource& input, Place&& of_place) {
    if (reason) return;
    const uint8_t** columns = (const uint8_t**)allocate(round_up(outputs, kPanel) * sizeof(*columns));
    if (!columns) {
      fail("out of memory");
      return;
    }
    for (int n = 0; n < outputs; n++) {
      const int feature = of_place(n % width);
      if (feature >= 0) columns[n] = (const uint8_t*)sources[n / width]->weight.data + (size_t)feature * Number::kBytes;
    }
    const size_t row_bytes = (size_t)sources[0]->weight.columns * Number::kBytes;
    if (!pack<Number>(to, inputs, outputs, {columns, row_bytes, rows}))
      fail(to.bias ? "two neighbouring weights do not multiply exactly on every CPU" : "out of memory");
    simcse::release(columns);
    if (reason) return;
    for (int n = 0; n < outputs; n++) {
      const int feature = of_place(n % width);
      if (feature < 0) continue;
      const LinearSource& from = *sources[n / width];
      const float bias = from.bias.floats()[feature];
      if constexpr (Number::kInteger)
        finish_bytes(to, n, from.scale.floats()[feature], bias, scalar(input.scale), zero(input.zero));
      else memcpy(to.start + n, &bias, sizeof bias);
    }
  }
};

template <class Number, class Late>
void free_layer(void* pointer) {
  auto* layer = (Layer<Number, Late>*)pointer;
  for (int g = 0; g < layer->heads.groups; g++) {
    if (layer->query) release(layer->query[g]);
    if (layer->key_value) release(layer->key_value[g]);
  }
  release(layer->output);
  release(layer->up);
  release(layer->down);
  float* vectors[] = {layer->attention_norm.gamma,    layer->attention_norm.beta,     layer->norm.gamma,
                      layer->norm.beta,               layer->attention_input.factor,  layer->attention_input.offset,
                      layer->up_input.factor,         layer->up_input.offset};
  for (float* vector : vectors) simcse::release(vector);
  simcse::release(layer->query);
  simcse::release(layer->key_value);
  simcse::release(layer);
}

template <class Number, class Late>
void* make_layer(const LayerSource& source, const char** reason) {
  Maker maker;
  const int64_t hidden = source.query.weight.rows, features = source.up.weight.columns;
  if (hidden < 1 || hidden > 1 << 20 || features < 1 || features > 1 << 24 || source.heads < 1 ||
      hidden % source.heads) {
    *reason = "hidden size and heads do not fit each other";
    return nullptr;
  }
  constexpr bool bytes = Number::kInteger, late_bytes = Late::kInteger;
  maker.fits(source.query, hidden, hidden, bytes);
  maker.fits(source.key, hidden, hidden, bytes);
  maker.fits(source.value, hidden, hidden, bytes);
  maker.fits(source.output, hidden, hidden, late_bytes);
  maker.fits(source.up, hidden, features, bytes);
  maker.fits(source.down, features, hidden, late_bytes);
  if (maker.reason) {
    *reason = maker.reason;
    return nullptr;
  }
  const Heads heads(source.heads, (int)hidden);
  auto* layer = (Layer<Number, Late>*)allocate(sizeof(Layer<Number, Late>));
  if (!layer) {
    *reason = "out of memory";
    return nullptr;
  }
  layer->heads = heads;
  layer->hidden = (int)hidden;
  layer->features = (int)features;
  layer->first_only = source.first_only;
  layer->activation = source.activation;
  layer->alpha = kLog2E / sqrtf((float)heads.size);
  layer->query = (Linear*)allocate(heads.groups * sizeof(Linear));
  layer->key_value = (Linear*)allocate(heads.groups * sizeof(Linear));
  if (!layer->query || !layer->key_value) maker.fail("out of memory");
  const int width = heads.group_width();
  for (int g = 0; g < heads.groups && !maker.reason; g++) {
    auto place = [&](int n) { return heads.feature(g * width + n); };
    const LinearSource* query[] = {&source.query};
    const LinearSource* key_value[] = {&source.key, &source.value};
    maker.linear<Number>(layer->query[g], query, width, width, (int)hidden, nullptr, source.attention_input, place);
    maker.linear<Number>(layer->key_value[g], key_value, width, 2 * width, (int)hidden, nullptr, source.attention_input, place);
  }
  auto same = [](int n) { return n; };
  int* rows = (int*)allocate(heads.width() * sizeof(int));
  if (!rows) maker.fail("out of memory");
  for (int k = 0; rows && k < heads.width(); k++) rows[k] = heads.feature(k);
  const LinearSource *output[] = {&source.output}, *up[] = {&source.up}, *down[] = {&source.down};
  maker.linear<Late>(layer->output, output, (int)hidden, (int)hidden, heads.width(), rows, source.output_input, same);
  maker.linear<Number>(layer->up, up, (int)features, (int)features, (int)hidden, nullptr, source.up_input, same);
  maker.linear<Late>(layer->down, down, (int)hidden, (int)hidden, (int)features, nullptr, source.down_input, same);
  simcse::release(rows);
  if (!maker.reason) maker.norm(layer->attention_norm, source.attention_norm, (int)hidden, source.epsilon);
  if (!maker.reason) maker.norm(layer->norm, source.norm, (int)hidden, source.epsilon);
  if (bytes && !maker.reason) maker.channels(layer->attention_input, source.attention_input, (int)hidden);
  if (bytes && !maker.reason) maker.channels(layer->up_input, source.up_input, (int)hidden);
  if (late_bytes) layer->output_step = Maker::step(source.output_input);
  if (late_bytes) layer->down_step = Maker::step(source.down_input);
  if (maker.reason) {
    *reason = maker.reason;
    free_layer<Number, Late>(layer);
    return nullptr;
  }
  return layer;
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
