// A tensor of a step: where its elements are, and its shape. It owns nothing.
#pragma once

#include <cstdint>

#include "fault.h"
#include "onnxruntime_abi.h"
#include "packing.h"
#include "shape.h"

namespace appliance::ops {

template <typename Element>
struct Tensor {
  const char* name = "";
  Element* elements = nullptr;
  Shape shape;
  bool present = false;

  void require_rank(std::size_t rank) const {
    require(shape.rank() == rank, "the input ", name, " has the shape ", shape.text(), ", and needs ", rank,
            " dimensions");
  }
  void require_shape(const Shape& needed) const {
    if (!(shape == needed)) {
      require(false, "the input ", name, " has the shape ", shape.text(), ", and needs ", needed.text());
    }
  }
};

template <typename Element>
inline constexpr ONNXTensorElementDataType kElementType = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
template <>
inline constexpr ONNXTensorElementDataType kElementType<float> = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
template <>
inline constexpr ONNXTensorElementDataType kElementType<Half> = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
template <>
inline constexpr ONNXTensorElementDataType kElementType<std::uint8_t> = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
template <>
inline constexpr ONNXTensorElementDataType kElementType<std::int32_t> = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;

}  // namespace appliance::ops
