// What the runtime hands to an operator: constants and attributes when a kernel is made, tensors in a run. All of it is
// checked here, since graphs come from anywhere.
#pragma once

#include "runtime.h"
#include "sentences.h"
#include "source.h"

namespace simcse {

// The runtime's interface, once it has registered the operators.
inline const Api* api;

#define SIMCSE_TRY(call)                           \
  do {                                             \
    if (OrtStatus* status = (call)) return status; \
  } while (0)

inline OrtStatus* refuse(const char* reason) { return api->CreateStatus(kInvalidArgument, reason); }

struct Tensor {
  void* data = nullptr;
  int type = 0;
  size_t rank = 0;
  int64_t shape[2] = {1, 1};
};

inline OrtStatus* read(const OrtValue* value, Tensor& tensor) {
  if (!value) return refuse("simcse: an input is missing");
  OrtTensorTypeAndShapeInfo* info;
  SIMCSE_TRY(api->GetTensorTypeAndShape(value, &info));
  OrtStatus* status = api->GetDimensionsCount(info, &tensor.rank);
  if (!status) status = api->GetTensorElementType(info, &tensor.type);
  if (!status && tensor.rank > 2) status = refuse("simcse: an input of more than two dimensions");
  if (!status && tensor.rank) status = api->GetDimensions(info, tensor.shape + (tensor.rank == 1), tensor.rank);
  api->ReleaseTensorTypeAndShapeInfo(info);
  if (!status) status = api->GetTensorMutableData(value, &tensor.data);
  return status;
}

// Reads a kernel's constants, in the order of the operator's inputs.
struct Constants {
  const OrtKernelInfo* info;
  size_t next;

  OrtStatus* read(Constant& to, int type) {
    int constant = 0;
    const OrtValue* value = nullptr;
    SIMCSE_TRY(api->KernelInfoGetConstantInput_tensor(info, next++, &constant, &value));
    if (!constant || !value) return refuse("simcse: weights must be constants of the graph");
    Tensor tensor;
    SIMCSE_TRY(simcse::read(value, tensor));
    if (type != kUndefined && tensor.type != type)
      return refuse("simcse: a weight of another type than its operator's");
    to = {tensor.data, tensor.type, tensor.shape[0], tensor.shape[1]};
    return nullptr;
  }

  // Absent, it is no constant; older runtimes answer that with an error.
  bool has_next() const {
    int constant = 0;
    const OrtValue* value = nullptr;
    if (OrtStatus* status = api->KernelInfoGetConstantInput_tensor(info, next, &constant, &value)) {
      api->ReleaseStatus(status);
      return false;
    }
    return constant && value;
  }

  OrtStatus* linear(LinearSource& to, int type) {
    SIMCSE_TRY(read(to.weight, type));
    if (type == kInt8) SIMCSE_TRY(read(to.scale, kFloat));
    return read(to.bias, kFloat);
  }

  OrtStatus* norm(NormSource& to) {
    SIMCSE_TRY(read(to.gamma, kFloat));
    return read(to.beta, kFloat);
  }

  OrtStatus* input(InputSource& to, bool smooth) {
    if (smooth) SIMCSE_TRY(read(to.smooth, kFloat));
    SIMCSE_TRY(read(to.scale, kFloat));
    SIMCSE_TRY(read(to.zero, kUint8));
    if (to.scale.rows * to.scale.columns != 1 || to.zero.rows * to.zero.columns != 1)
      return refuse("simcse: one scale and one zero per input");
    return nullptr;
  }
};

inline OrtStatus* text(const OrtKernelInfo* info, const char* name, char (&to)[32]) {
  size_t size = sizeof to;
  return api->KernelInfoGetAttribute_string(info, name, to, &size);
}

inline OrtStatus* integer(const OrtKernelInfo* info, const char* name, int64_t least, int64_t most, int64_t& to) {
  SIMCSE_TRY(api->KernelInfoGetAttribute_int64(info, name, &to));
  return to < least || to > most ? refuse("simcse: an attribute out of range") : nullptr;
}

constexpr int kStates = 2;  // states and lengths come before the constants

// The inputs of a run that every operator has.
struct Inputs {
  Tensor first;  // ids or states
  Sentences run;

  OrtStatus* read(OrtKernelContext* context, int type, bool by_sentence) {
    const OrtValue* value;
    SIMCSE_TRY(api->KernelContext_GetInput(context, 0, &value));
    SIMCSE_TRY(simcse::read(value, first));
    SIMCSE_TRY(api->KernelContext_GetInput(context, 1, &value));
    Tensor lengths;
    SIMCSE_TRY(simcse::read(value, lengths));
    if (first.type != type || lengths.type != kInt64 || lengths.rank != 1 || first.rank != (type == kInt64 ? 1 : 2))
      return refuse("simcse: an input of another type or shape than the operator takes");
    int64_t tokens = type == kInt64 ? first.shape[1] : first.shape[0];
    if (by_sentence) {
      if (tokens != lengths.shape[1]) return refuse("simcse: one row of states per sentence");
      tokens = 0;
      for (int64_t s = 0; s < lengths.shape[1]; s++) {
        const int64_t length = ((const int64_t*)lengths.data)[s];
        if (length < 1 || length > INT32_MAX - tokens) return refuse("simcse: lengths are positive, and not too many");
        tokens += length;
      }
    }
    if (!run.set((const int64_t*)lengths.data, lengths.shape[1], tokens))
      return refuse("simcse: lengths are of 1 to 65,536 tokens and add up to the tokens");
    return nullptr;
  }
};

}  // namespace simcse
