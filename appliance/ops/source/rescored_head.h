// Logits of a coarse matrix of 4 bits; those of the likeliest tokens are computed again from a table of 8 bits.
#pragma once

#include <memory>

#include "custom_operator.h"
#include "packed_matrix.h"

namespace appliance::ops {

class RescoredHead {
 public:
  static constexpr const char* kName = "RescoredHead";
  static constexpr Port kInputs[] = {
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},                         // x [rows, K]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},                         // packed, 4 bits: see packing.h
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED},                     // scales [panels, blocks, 64], in 32 or 16 bits
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, INPUT_OUTPUT_OPTIONAL},  // offsets [panels, blocks, 64]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},                         // table [N, K], zero point 128
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},                         // table_scales [N, K / table_block]
  };
  static constexpr Port kOutputs[] = {{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT}};  // logits [rows, N]

  RescoredHead(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels);
  void compute(const Context& context) const;

 private:
  struct Table {
    const std::uint8_t* values;
    const float* scales;
  };
  // `keys` holds the greatest key of each panel; `memory` is for this row alone.
  void rescore(const Table& table, const float* x, const std::int32_t* keys, unsigned char* memory,
               float* logits) const noexcept;

  MatrixLayout layout_;
  std::size_t tokens_;
  std::size_t table_block_;
  std::size_t table_blocks_;
  std::shared_ptr<Scratch> scratch_;
  const Kernels& kernels_;
};

}  // namespace appliance::ops
