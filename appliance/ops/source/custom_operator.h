// An operator as ONNX Runtime sees it, made from a kernel class.
//
// The class has kName, kInputs and kOutputs, a constructor from (Attributes, shared scratch, Kernels), and
// compute(Context), which may run on several threads at once. Both may throw.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

#include "attributes.h"
#include "context.h"
#include "guarded.h"
#include "kernels.h"
#include "onnxruntime_abi.h"
#include "scratch.h"

namespace appliance::ops {

struct Port {
  ONNXTensorElementDataType type;
  OrtCustomOpInputOutputCharacteristic presence = INPUT_OUTPUT_REQUIRED;
};

template <typename Kernel>
class CustomOperator : public OrtCustomOp {
 public:
  // Both outlive the operator.
  CustomOperator(ScratchSource& scratch, const Kernels& kernels) : OrtCustomOp{}, scratch_(scratch), kernels_(kernels) {
    version = kApiVersion;
    GetName = [](const OrtCustomOp*) { return Kernel::kName; };
    GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };  // the CPU's
    GetInputTypeCount = [](const OrtCustomOp*) { return std::size(Kernel::kInputs); };
    GetInputType = [](const OrtCustomOp*, std::size_t index) { return Kernel::kInputs[index].type; };
    GetInputCharacteristic = [](const OrtCustomOp*, std::size_t index) { return Kernel::kInputs[index].presence; };
    GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
    GetOutputTypeCount = [](const OrtCustomOp*) { return std::size(Kernel::kOutputs); };
    GetOutputType = [](const OrtCustomOp*, std::size_t index) { return Kernel::kOutputs[index].type; };
    GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t index) { return Kernel::kOutputs[index].presence; };
    // No input or output is variadic: ONNX Runtime asks, and uses none of the four answers.
    GetVariadicInputMinArity = [](const OrtCustomOp*) { return 1; };
    GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
    GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 0; };
    GetStartVersion = [](const OrtCustomOp*) { return 1; };
    GetEndVersion = [](const OrtCustomOp*) { return std::numeric_limits<int>::max(); };
    CreateKernelV2 = create;
    KernelComputeV2 = compute;
    KernelDestroy = destroy;
  }
  CustomOperator(const CustomOperator&) = delete;
  CustomOperator& operator=(const CustomOperator&) = delete;

 private:
  // A kernel and the interface of the ONNX Runtime that made it.
  struct Node {
    const OrtApi& api;
    Kernel kernel;
  };

  static OrtStatus* create(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** out) noexcept {
    return guarded(*api, [&] {
      const auto& self = *static_cast<const CustomOperator*>(op);
      // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): guarded() catches it.
      *out = new Node{*api, Kernel(Attributes(*api, info), self.scratch_.get(), self.kernels_)};
    });
  }

  static OrtStatus* compute(void* node, OrtKernelContext* context) noexcept {
    auto& [api, kernel] = *static_cast<Node*>(node);
    return guarded(api, [&api = api, &kernel = kernel, context] { kernel.compute(Context(api, context)); });
  }

  static void destroy(void* node) noexcept { delete static_cast<Node*>(node); }

  ScratchSource& scratch_;
  const Kernels& kernels_;
};

}  // namespace appliance::ops
