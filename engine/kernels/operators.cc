// The operators of the domain "simcse", as ONNX Runtime sees them: how their kernels are made and run.
//
// Weights are constant inputs, packed when a kernel is made. Between our operators, states are rows padded to whole
// panels, sentences end to end. Where nothing is registered, the graph's own functions run instead.
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "inputs.h"
#include "variant.h"

namespace simcse {

namespace {

// Threads that share a run which starts on this thread.
thread_local int threads_here = 1;

// A kernel: the variant that runs it, and what was made of the constants.
template <class Made>
struct Kernel {
  const Variant* variant;
  Made* made;
  int number;  // of a pooler its dimension, of a layer the place of its biases among the inputs
};

template <class Made>
OrtStatus* keep(Made* made, const char* reason, void** kernel, int number = 0) {
  if (!made) return refuse(reason);
  auto* result = (Kernel<Made>*)malloc(sizeof(Kernel<Made>));
  if (!result) {
    release(made);
    return api->CreateStatus(kFail, "out of memory");
  }
  *result = {selected_variant(), made, number};
  *kernel = result;
  return nullptr;
}

// The constants' and attributes' part that all layers share.
OrtStatus* layer_attributes(const OrtKernelInfo* info, LayerSource& source) {
  int64_t heads;
  SIMCSE_TRY(integer(info, "heads", 1, 1 << 20, heads));
  source.heads = (int)heads;
  SIMCSE_TRY(api->KernelInfoGetAttribute_float(info, "epsilon", &source.epsilon));
  char name[32] = "";
  SIMCSE_TRY(text(info, "activation", name));
  for (int i = 0; i < (int)Activation::count; i++)
    if (!strcmp(name, kActivationNames[i])) {
      source.activation = (Activation)i;
      return nullptr;
    }
  return refuse("simcse: an activation that is not known");
}

// What follows the constants that all layers have: the biases of attention, which may be absent.
OrtStatus* finish_layer(Constants& constants, LayerSource& source, void** kernel) {
  const int place = (int)constants.next;
  if (constants.has_next()) SIMCSE_TRY(constants.read(source.bias, kFloat));
  const char* reason = nullptr;
  Layer* made = make_layer(source, &reason);
  return keep(made, reason, kernel, place);
}

OrtStatus* make_quantized(const OrtKernelInfo* info, bool first_only, void** kernel) {
  LayerSource source = {};
  source.precision = Precision::int8;
  source.first_only = first_only;
  SIMCSE_TRY(layer_attributes(info, source));
  Constants constants = {info, kStates};
  SIMCSE_TRY(constants.input(source.attention_input, true));
  SIMCSE_TRY(constants.linear(source.query, kInt8));
  SIMCSE_TRY(constants.linear(source.key, kInt8));
  SIMCSE_TRY(constants.linear(source.value, kInt8));
  if (!first_only) SIMCSE_TRY(constants.input(source.output_input, false));
  SIMCSE_TRY(constants.linear(source.output, first_only ? kFloat : kInt8));
  SIMCSE_TRY(constants.norm(source.attention_norm));
  SIMCSE_TRY(constants.input(source.up_input, true));
  SIMCSE_TRY(constants.linear(source.up, kInt8));
  if (!first_only) SIMCSE_TRY(constants.input(source.down_input, false));
  SIMCSE_TRY(constants.linear(source.down, first_only ? kFloat : kInt8));
  SIMCSE_TRY(constants.norm(source.norm));
  return finish_layer(constants, source, kernel);
}

OrtStatus* make_float(const OrtKernelInfo* info, bool first_only, void** kernel) {
  LayerSource source = {};
  source.first_only = first_only;
  SIMCSE_TRY(layer_attributes(info, source));
  Constants constants = {info, kStates};
  LinearSource* layers[] = {&source.query, &source.key, &source.value, &source.output, &source.up, &source.down};
  Constant kind;
  Constants first = {info, kStates};
  SIMCSE_TRY(first.read(kind, kUndefined));
  if (kind.type != kFloat && kind.type != kBfloat16) return refuse("simcse: weights are float32 or bfloat16");
  source.precision = kind.type == kFloat ? Precision::fp32 : Precision::bf16;
  for (LinearSource* layer : layers) {
    SIMCSE_TRY(constants.linear(*layer, kind.type));
    if (layer == &source.output) SIMCSE_TRY(constants.norm(source.attention_norm));
    if (layer == &source.down) SIMCSE_TRY(constants.norm(source.norm));
  }
  return finish_layer(constants, source, kernel);
}

OrtStatus* make_tables(const OrtKernelInfo* info, bool quantized, void** kernel) {
  EmbeddingsSource source = {};
  Constants constants = {info, kStates};
  const int type = quantized ? kInt8 : kUndefined;
  SIMCSE_TRY(constants.read(source.words, type));
  if (quantized) SIMCSE_TRY(constants.read(source.word_scale, kFloat));
  SIMCSE_TRY(constants.read(source.positions, type));
  if (quantized) SIMCSE_TRY(constants.read(source.position_scale, kFloat));
  SIMCSE_TRY(constants.norm(source.norm));
  SIMCSE_TRY(api->KernelInfoGetAttribute_float(info, "epsilon", &source.epsilon));
  SIMCSE_TRY(integer(info, "padding_id", -1, INT32_MAX, source.padding_id));
  const char* reason = nullptr;
  Embeddings* made = make_embeddings(source, &reason);
  return keep(made, reason, kernel);
}

OrtStatus* output(OrtKernelContext* context, int64_t rows, int64_t columns, float*& to) {
  const int64_t shape[] = {rows, columns};
  OrtValue* value;
  SIMCSE_TRY(api->KernelContext_GetOutput(context, 0, shape, 2, &value));
  return api->GetTensorMutableData(value, (void**)&to);
}

// Refuses inputs from `place` on.
OrtStatus* require_absent(OrtKernelContext* context, size_t place, const char* reason) {
  size_t count;
  SIMCSE_TRY(api->KernelContext_GetInputCount(context, &count));
  for (size_t i = place; i < count; i++) {
    const OrtValue* value = nullptr;
    SIMCSE_TRY(api->KernelContext_GetInput(context, i, &value));
    if (value) return refuse(reason);
  }
  return nullptr;
}

template <bool first_only>
OrtStatus* compute_layer(void* pointer, OrtKernelContext* context) {
  const auto& kernel = *(const Kernel<Layer>*)pointer;
  Inputs inputs;
  SIMCSE_TRY(inputs.read(context, kFloat, false));
  if (inputs.first.shape[1] != (int64_t)kernel.made->width())
    return refuse("simcse: states of another width than the layer's");
  const DistanceBias& bias = kernel.made->bias;
  if (bias.data && inputs.run.longest > bias.longest)
    return refuse("simcse: a sentence is longer than the biases of attention");
  if (!bias.data) SIMCSE_TRY(require_absent(context, kernel.number, "simcse: biases must be constants of the graph"));
  float* to;
  SIMCSE_TRY(output(context, first_only ? inputs.run.count : inputs.run.tokens, inputs.first.shape[1], to));
  if (!kernel.variant->run_layer(*kernel.made, inputs.run, (const float*)inputs.first.data, to, threads_here))
    return api->CreateStatus(kFail, "out of memory");
  return nullptr;
}

OrtStatus* compute_tables(void* pointer, OrtKernelContext* context) {
  const auto& kernel = *(const Kernel<Embeddings>*)pointer;
  Inputs inputs;
  SIMCSE_TRY(inputs.read(context, kInt64, false));
  float* to;
  SIMCSE_TRY(output(context, inputs.run.tokens, round_up(kernel.made->hidden, kPanel), to));
  if (!kernel.variant->run_embeddings(*kernel.made, inputs.run, (const int64_t*)inputs.first.data, to))
    return refuse("simcse: a token id or a position is out of range");
  return nullptr;
}

constexpr int kHead = 3;  // states, lengths and other states come before a pooler's head

OrtStatus* make_pooler(const OrtKernelInfo* info, void** kernel) {
  PoolingSource source = {};
  char name[32] = "";
  int64_t dimension, normalize;
  SIMCSE_TRY(text(info, "pooler", name));
  int pooler = 0;
  while (pooler < (int)Pooler::count && strcmp(name, kPoolerNames[pooler])) pooler++;
  if (pooler == (int)Pooler::count) return refuse("simcse: a pooler that is not known");
  SIMCSE_TRY(integer(info, "dimension", 1, 1 << 20, dimension));
  SIMCSE_TRY(integer(info, "normalize", 0, 1, normalize));
  source.pooler = (Pooler)pooler;
  source.normalize = normalize;
  Constants constants = {info, kHead};
  if (constants.has_next()) SIMCSE_TRY(constants.linear(source.head, kFloat));
  const char* reason = nullptr;
  Pooling* made = make_pooling(source, &reason);
  return keep(made, reason, kernel, (int)dimension);
}

OrtStatus* compute_pooler(void* pointer, OrtKernelContext* context) {
  const auto& kernel = *(const Kernel<Pooling>*)pointer;
  const Pooling& pooling = *kernel.made;
  const int hidden = pooling.hidden ? pooling.hidden : kernel.number;
  Inputs inputs;
  SIMCSE_TRY(inputs.read(context, kFloat, pooling.pooler == Pooler::first));
  Tensor other;
  size_t count;
  SIMCSE_TRY(api->KernelContext_GetInputCount(context, &count));
  if (count > kStates) {
    const OrtValue* value = nullptr;
    SIMCSE_TRY(api->KernelContext_GetInput(context, kStates, &value));
    if (value) SIMCSE_TRY(read(value, other));
  }
  if (!pooling.hidden)
    SIMCSE_TRY(require_absent(context, kHead, "simcse: a head's weights must be constants of the graph"));
  const int64_t width = inputs.first.shape[1];
  if (hidden > width || width % kPanel || kernel.number > hidden ||
      (other.data && (other.shape[0] != inputs.first.shape[0] || other.shape[1] != width || other.type != kFloat)))
    return refuse("simcse: states of another shape than the pooler's");
  float* to;
  SIMCSE_TRY(output(context, inputs.run.count, kernel.number, to));
  if (!kernel.variant->run_pooling(pooling, inputs.run, (const float*)inputs.first.data, (const float*)other.data,
                                   (size_t)width, hidden, to, kernel.number))
    return api->CreateStatus(kFail, "out of memory");
  return nullptr;
}

// An operator: the runtime's structure, and what ours differ in. A letter of `types` per input: i int64, f float32,
// s int8, u uint8, w any weight; upper case may be absent.
struct Operator : CustomOp {
  const char* name;
  const char* types;

  using Make = OrtStatus* (*)(const CustomOp*, const Api*, const OrtKernelInfo*, void**);

  Operator(const char* its_name, const char* its_types, Make make, OrtStatus* (*compute)(void*, OrtKernelContext*),
           void (*destroy)(void*))
      : CustomOp{}, name(its_name), types(its_types) {
    version = kInterface;
    GetName = [](const CustomOp* op) { return ((const Operator*)op)->name; };
    GetExecutionProviderType = [](const CustomOp*) { return "CPUExecutionProvider"; };
    GetInputTypeCount = [](const CustomOp* op) { return strlen(((const Operator*)op)->types); };
    GetInputType = [](const CustomOp* op, size_t i) -> int {
      switch (((const Operator*)op)->types[i]) {
        case 'i': return kInt64;
        case 's': return kInt8;
        case 'u': return kUint8;
        case 'w': return kUndefined;
        default: return kFloat;
      }
    };
    GetInputCharacteristic = [](const CustomOp* op, size_t i) -> int {
      const char type = ((const Operator*)op)->types[i];
      return type >= 'A' && type <= 'Z' ? kOptional : kRequired;
    };
    GetInputMemoryType = [](const CustomOp*, size_t) { return 0; };
    GetOutputTypeCount = [](const CustomOp*) { return (size_t)1; };
    GetOutputType = [](const CustomOp*, size_t) -> int { return kFloat; };
    GetOutputCharacteristic = [](const CustomOp*, size_t) -> int { return kRequired; };
    GetVariadicInputMinArity = GetVariadicInputHomogeneity = GetVariadicOutputMinArity = GetVariadicOutputHomogeneity =
        [](const CustomOp*) { return 1; };
    CreateKernelV2 = make;
    KernelComputeV2 = compute;
    KernelDestroy = destroy;
    GetStartVersion = [](const CustomOp*) { return 1; };
    GetEndVersion = [](const CustomOp*) { return INT32_MAX; };
  }
};

// Kernels that are alive: without any, nothing needs working space.
int alive = 0;

// Makes a kernel and counts it.
template <OrtStatus* (*make)(const OrtKernelInfo*, void**)>
OrtStatus* create(const CustomOp*, const Api*, const OrtKernelInfo* info, void** kernel) {
  SIMCSE_TRY(make(info, kernel));
  __atomic_fetch_add(&alive, 1, __ATOMIC_RELAXED);
  return nullptr;
}

template <class Made>
void destroy(void* pointer) {
  auto* kernel = (Kernel<Made>*)pointer;
  release(kernel->made);
  free(kernel);
  if (__atomic_sub_fetch(&alive, 1, __ATOMIC_ACQ_REL) == 0) release_spaces();
}

OrtStatus* quantized_embeddings(const OrtKernelInfo* info, void** kernel) { return make_tables(info, true, kernel); }
OrtStatus* float_embeddings(const OrtKernelInfo* info, void** kernel) { return make_tables(info, false, kernel); }
OrtStatus* quantized_layer(const OrtKernelInfo* info, void** kernel) { return make_quantized(info, false, kernel); }
OrtStatus* quantized_first(const OrtKernelInfo* info, void** kernel) { return make_quantized(info, true, kernel); }
OrtStatus* float_layer(const OrtKernelInfo* info, void** kernel) { return make_float(info, false, kernel); }
OrtStatus* float_first(const OrtKernelInfo* info, void** kernel) { return make_float(info, true, kernel); }

const Operator operators[] = {
    {"QuantizedEmbeddings", "ii" "sf" "sf" "ff", create<quantized_embeddings>, compute_tables,
     destroy<Embeddings>},
    {"QuantizedLayer", "fi" "ffu" "sff" "sff" "sff" "fu" "sff" "ff" "ffu" "sff" "fu" "sff" "ff" "F",
     create<quantized_layer>, compute_layer<false>, destroy<Layer>},
    {"QuantizedFirstLayer", "fi" "ffu" "sff" "sff" "sff" "ff" "ff" "ffu" "sff" "ff" "ff" "F", create<quantized_first>,
     compute_layer<true>, destroy<Layer>},
    {"Embeddings", "ii" "w" "w" "ff", create<float_embeddings>, compute_tables, destroy<Embeddings>},
    {"Layer", "fi" "wf" "wf" "wf" "wf" "ff" "wf" "wf" "ff" "F", create<float_layer>, compute_layer<false>,
     destroy<Layer>},
    {"FirstLayer", "fi" "wf" "wf" "wf" "wf" "ff" "wf" "wf" "ff" "F", create<float_first>, compute_layer<true>,
     destroy<Layer>},
    {"Pooling", "fi" "F" "F" "F", create<make_pooler>, compute_pooler, destroy<Pooling>},
};

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void simcse_kernels_threads(int count) { threads_here = count > 1 ? count : 1; }

__attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const ApiBase* base) {
  const Api* theirs = base->GetApi(kInterface);
  if (!theirs || !selected_variant()) return nullptr;
  __atomic_store_n(&api, theirs, __ATOMIC_RELEASE);  // always the same one, by whichever thread
  OrtCustomOpDomain* domain;
  SIMCSE_TRY(api->CreateCustomOpDomain("simcse", &domain));
  for (const Operator& each : operators) SIMCSE_TRY(api->CustomOpDomain_Add(domain, &each));
  return api->AddCustomOpDomain(options, domain);
}
}

}  // namespace simcse
