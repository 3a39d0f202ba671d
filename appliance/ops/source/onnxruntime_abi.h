// The part of ONNX Runtime's C interface that this library calls, declared by position.
//
// Source: include/onnxruntime/core/session/onnxruntime_c_api.h of https://github.com/microsoft/onnxruntime. A released
// entry never moves: onnxruntime/core/session/onnxruntime_c_api.cc holds the position of the last entry of each version
// with static assertions, and new entries are added at the end only. All entries below are in API version 17 and later.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct OrtStatus;
struct OrtValue;
struct OrtTensorTypeAndShapeInfo;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtShapeInferContext;
struct OrtCustomOp;
struct OrtApi;

enum OrtErrorCode : int { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_NOT_IMPLEMENTED = 9 };

enum ONNXTensorElementDataType : int {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED = 0,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 = 2,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 = 6,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 = 10,
};

enum OrtCustomOpInputOutputCharacteristic : int { INPUT_OUTPUT_REQUIRED = 0, INPUT_OUTPUT_OPTIONAL = 1 };

enum OrtMemType : int { OrtMemTypeDefault = 0 };

struct OrtApiBase {
  const OrtApi* (*GetApi)(std::uint32_t version) noexcept;
  const char* (*GetVersionString)() noexcept;
};

// Only the named functions are called. A gap covers the entries between them, so that each keeps its position.
struct OrtApi {
  OrtStatus* (*CreateStatus)(OrtErrorCode code, const char* message) noexcept;
  const void* gap_1;
  const char* (*GetErrorMessage)(const OrtStatus* status) noexcept;
  const void* gap_3_to_25[23];
  OrtStatus* (*CreateCustomOpDomain)(const char* domain, OrtCustomOpDomain** out) noexcept;
  OrtStatus* (*CustomOpDomain_Add)(OrtCustomOpDomain* domain, const OrtCustomOp* op) noexcept;
  OrtStatus* (*AddCustomOpDomain)(OrtSessionOptions* options, OrtCustomOpDomain* domain) noexcept;
  const void* gap_29_to_50[22];
  OrtStatus* (*GetTensorMutableData)(OrtValue* value, void** out) noexcept;
  const void* gap_52_to_59[8];
  OrtStatus* (*GetTensorElementType)(const OrtTensorTypeAndShapeInfo* info, ONNXTensorElementDataType* out) noexcept;
  OrtStatus* (*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo* info, std::size_t* out) noexcept;
  OrtStatus* (*GetDimensions)(const OrtTensorTypeAndShapeInfo* info, std::int64_t* sizes, std::size_t count) noexcept;
  const void* gap_63_to_64[2];
  OrtStatus* (*GetTensorTypeAndShape)(const OrtValue* value, OrtTensorTypeAndShapeInfo** out) noexcept;
  const void* gap_66_to_84[19];
  OrtStatus* (*KernelInfoGetAttribute_float)(const OrtKernelInfo* info, const char* name, float* out) noexcept;
  OrtStatus* (*KernelInfoGetAttribute_int64)(const OrtKernelInfo* info, const char* name, std::int64_t* out) noexcept;
  const void* gap_87;
  OrtStatus* (*KernelContext_GetInputCount)(const OrtKernelContext* context, std::size_t* out) noexcept;
  const void* gap_89;
  OrtStatus* (*KernelContext_GetInput)(const OrtKernelContext* context, std::size_t index,
                                       const OrtValue** out) noexcept;
  OrtStatus* (*KernelContext_GetOutput)(OrtKernelContext* context, std::size_t index, const std::int64_t* sizes,
                                        std::size_t rank, OrtValue** out) noexcept;
  const void* gap_92;
  void (*ReleaseStatus)(OrtStatus* status) noexcept;
  const void* gap_94_to_98[5];
  void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo* info) noexcept;
  const void* gap_100;
  void (*ReleaseCustomOpDomain)(OrtCustomOpDomain* domain) noexcept;
  const void* gap_102_to_273[172];
  OrtStatus* (*KernelContext_ParallelFor)(const OrtKernelContext* context, void (*task)(void*, std::size_t),
                                          std::size_t total, std::size_t batches, void* user_data) noexcept;
};

// What an operator tells ONNX Runtime about itself. Version 18 and later read the struct to its end.
struct OrtCustomOp {
  std::uint32_t version;
  void* (*CreateKernel)(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info);
  const char* (*GetName)(const OrtCustomOp* op);
  const char* (*GetExecutionProviderType)(const OrtCustomOp* op);
  ONNXTensorElementDataType (*GetInputType)(const OrtCustomOp* op, std::size_t index);
  std::size_t (*GetInputTypeCount)(const OrtCustomOp* op);
  ONNXTensorElementDataType (*GetOutputType)(const OrtCustomOp* op, std::size_t index);
  std::size_t (*GetOutputTypeCount)(const OrtCustomOp* op);
  void (*KernelCompute)(void* kernel, OrtKernelContext* context);
  void (*KernelDestroy)(void* kernel);
  OrtCustomOpInputOutputCharacteristic (*GetInputCharacteristic)(const OrtCustomOp* op, std::size_t index);
  OrtCustomOpInputOutputCharacteristic (*GetOutputCharacteristic)(const OrtCustomOp* op, std::size_t index);
  OrtMemType (*GetInputMemoryType)(const OrtCustomOp* op, std::size_t index);
  int (*GetVariadicInputMinArity)(const OrtCustomOp* op);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp* op);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp* op);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp* op);
  OrtStatus* (*CreateKernelV2)(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel);
  OrtStatus* (*KernelComputeV2)(void* kernel, OrtKernelContext* context);
  OrtStatus* (*InferOutputShapeFn)(const OrtCustomOp* op, OrtShapeInferContext* context);
  int (*GetStartVersion)(const OrtCustomOp* op);
  int (*GetEndVersion)(const OrtCustomOp* op);
  std::size_t (*GetMayInplace)(int** inputs, int** outputs);
  void (*ReleaseMayInplace)(int* inputs, int* outputs);
  std::size_t (*GetAliasMap)(int** inputs, int** outputs);
  void (*ReleaseAliasMap)(int* inputs, int* outputs);
};

}  // extern "C"

namespace appliance::ops {

// The version of the interface that this library asks ONNX Runtime for, and declares for its operators.
inline constexpr std::uint32_t kApiVersion = 20;

constexpr bool at_position(std::size_t offset, std::size_t position) { return offset == position * sizeof(void*); }

static_assert(at_position(offsetof(OrtApi, GetErrorMessage), 2));
static_assert(at_position(offsetof(OrtApi, CreateCustomOpDomain), 26));
static_assert(at_position(offsetof(OrtApi, AddCustomOpDomain), 28));
static_assert(at_position(offsetof(OrtApi, GetTensorMutableData), 51));
static_assert(at_position(offsetof(OrtApi, GetTensorElementType), 60));
static_assert(at_position(offsetof(OrtApi, GetDimensions), 62));
static_assert(at_position(offsetof(OrtApi, GetTensorTypeAndShape), 65));
static_assert(at_position(offsetof(OrtApi, KernelInfoGetAttribute_float), 85));
static_assert(at_position(offsetof(OrtApi, KernelContext_GetInputCount), 88));
static_assert(at_position(offsetof(OrtApi, KernelContext_GetOutput), 91));
static_assert(at_position(offsetof(OrtApi, ReleaseStatus), 93));
static_assert(at_position(offsetof(OrtApi, ReleaseTensorTypeAndShapeInfo), 99));
static_assert(at_position(offsetof(OrtApi, ReleaseCustomOpDomain), 101));
static_assert(at_position(offsetof(OrtApi, KernelContext_ParallelFor), 274));

}  // namespace appliance::ops
