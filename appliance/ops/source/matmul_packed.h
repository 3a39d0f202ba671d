// y = x W^T (+ bias), or silu(x G^T) * (x U^T), with W, G and U quantised and packed in panels.
#pragma once

#include <memory>

#include "custom_operator.h"
#include "packed_matrix.h"

namespace appliance::ops {

class MatMulPacked {
 public:
  static constexpr const char* kName = "MatMulPacked";
  static constexpr Port kInputs[] = {
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},      // x [..., K]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},      // packed: see packing.h
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED},  // scales [panels, blocks, 64], in 32 or 16 bits
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
       INPUT_OUTPUT_OPTIONAL},  // offsets [panels, blocks, 64]: -scale * zero point
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, INPUT_OUTPUT_OPTIONAL},  // bias [panels * 64]
  };
  static constexpr Port kOutputs[] = {{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT}};  // y [..., N], or [..., N / 2] if gated

  MatMulPacked(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels);
  void compute(const Context& context) const;

 private:
  MatrixLayout layout_;
  std::shared_ptr<Scratch> scratch_;
  const Kernels& kernels_;
};

}  // namespace appliance::ops
