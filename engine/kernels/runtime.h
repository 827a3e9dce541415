// The part of ONNX Runtime's C interface that the operators use.
//
// The runtime's headers come in no Python package, so the part is declared here: the order of its table of functions is
// frozen and only grows. tests/engine/session/test_kernels.py opens sessions in the oldest and the newest runtime.
// Source: onnxruntime_c_api.h, version 17 of the interface (onnxruntime 1.17).
#pragma once

#include <stddef.h>
#include <stdint.h>

struct OrtStatus;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtValue;
struct OrtTensorTypeAndShapeInfo;

namespace simcse {

constexpr uint32_t kInterface = 17;

enum ErrorCode { kFail = 1, kInvalidArgument = 2 };
enum Characteristic { kRequired = 0, kOptional = 1 };

// The table, by the places of its functions.
struct Api {
  void* functions[300];

#define SIMCSE_API(place, name, result, ...)                 \
  template <class... Arguments>                              \
  result name(Arguments... arguments) const {                \
    return ((result(*)(__VA_ARGS__))functions[place])(arguments...); \
  }
  SIMCSE_API(0, CreateStatus, OrtStatus*, int, const char*)
  SIMCSE_API(26, CreateCustomOpDomain, OrtStatus*, const char*, OrtCustomOpDomain**)
  SIMCSE_API(27, CustomOpDomain_Add, OrtStatus*, OrtCustomOpDomain*, const void*)
  SIMCSE_API(28, AddCustomOpDomain, OrtStatus*, OrtSessionOptions*, OrtCustomOpDomain*)
  SIMCSE_API(51, GetTensorMutableData, OrtStatus*, const OrtValue*, void**)
  SIMCSE_API(60, GetTensorElementType, OrtStatus*, const OrtTensorTypeAndShapeInfo*, int*)
  SIMCSE_API(61, GetDimensionsCount, OrtStatus*, const OrtTensorTypeAndShapeInfo*, size_t*)
  SIMCSE_API(62, GetDimensions, OrtStatus*, const OrtTensorTypeAndShapeInfo*, int64_t*, size_t)
  SIMCSE_API(65, GetTensorTypeAndShape, OrtStatus*, const OrtValue*, OrtTensorTypeAndShapeInfo**)
  SIMCSE_API(85, KernelInfoGetAttribute_float, OrtStatus*, const OrtKernelInfo*, const char*, float*)
  SIMCSE_API(86, KernelInfoGetAttribute_int64, OrtStatus*, const OrtKernelInfo*, const char*, int64_t*)
  SIMCSE_API(87, KernelInfoGetAttribute_string, OrtStatus*, const OrtKernelInfo*, const char*, char*, size_t*)
  SIMCSE_API(88, KernelContext_GetInputCount, OrtStatus*, const OrtKernelContext*, size_t*)
  SIMCSE_API(90, KernelContext_GetInput, OrtStatus*, const OrtKernelContext*, size_t, const OrtValue**)
  SIMCSE_API(91, KernelContext_GetOutput, OrtStatus*, OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**)
  SIMCSE_API(93, ReleaseStatus, void, OrtStatus*)
  SIMCSE_API(99, ReleaseTensorTypeAndShapeInfo, void, OrtTensorTypeAndShapeInfo*)
  SIMCSE_API(249, KernelInfoGetConstantInput_tensor, OrtStatus*, const OrtKernelInfo*, size_t, int*, const OrtValue**)
#undef SIMCSE_API
};

struct ApiBase {
  const Api* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

// An operator as the runtime wants it; functions that it need not have are null.
struct CustomOp {
  uint32_t version;
  void* (*CreateKernel)(const CustomOp*, const Api*, const OrtKernelInfo*);
  const char* (*GetName)(const CustomOp*);
  const char* (*GetExecutionProviderType)(const CustomOp*);
  int (*GetInputType)(const CustomOp*, size_t);
  size_t (*GetInputTypeCount)(const CustomOp*);
  int (*GetOutputType)(const CustomOp*, size_t);
  size_t (*GetOutputTypeCount)(const CustomOp*);
  void (*KernelCompute)(void*, OrtKernelContext*);
  void (*KernelDestroy)(void*);
  int (*GetInputCharacteristic)(const CustomOp*, size_t);
  int (*GetOutputCharacteristic)(const CustomOp*, size_t);
  int (*GetInputMemoryType)(const CustomOp*, size_t);
  int (*GetVariadicInputMinArity)(const CustomOp*);
  int (*GetVariadicInputHomogeneity)(const CustomOp*);
  int (*GetVariadicOutputMinArity)(const CustomOp*);
  int (*GetVariadicOutputHomogeneity)(const CustomOp*);
  OrtStatus* (*CreateKernelV2)(const CustomOp*, const Api*, const OrtKernelInfo*, void**);
  OrtStatus* (*KernelComputeV2)(void*, OrtKernelContext*);
  OrtStatus* (*InferOutputShapeFn)(const CustomOp*, void*);
  int (*GetStartVersion)(const CustomOp*);
  int (*GetEndVersion)(const CustomOp*);
  size_t (*GetMayInplace)(int**, int**);
  void (*ReleaseMayInplace)(int*, int*);
  size_t (*GetAliasMap)(int**, int**);
  void (*ReleaseAliasMap)(int*, int*);
};

}  // namespace simcse
