#include "context.h"

#include <array>

#include "guarded.h"

namespace appliance::ops {

namespace {

// Type and shape of a tensor.
class TensorInfo {
 public:
  TensorInfo(const OrtApi& api, const OrtValue* value) : api_(api) {
    check(api_, api_.GetTensorTypeAndShape(value, &info_));
  }
  TensorInfo(const TensorInfo&) = delete;
  TensorInfo& operator=(const TensorInfo&) = delete;
  ~TensorInfo() { api_.ReleaseTensorTypeAndShapeInfo(info_); }

  const OrtTensorTypeAndShapeInfo* get() const { return info_; }
  ONNXTensorElementDataType type() const {
    ONNXTensorElementDataType found = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    check(api_, api_.GetTensorElementType(info_, &found));
    return found;
  }

 private:
  const OrtApi& api_;
  OrtTensorTypeAndShapeInfo* info_ = nullptr;
};

}  // namespace

const OrtValue* Context::value(std::size_t index) const {
  std::size_t count = 0;
  check(api_, api_.KernelContext_GetInputCount(context_, &count));
  const OrtValue* value = nullptr;
  if (index < count) {
    check(api_, api_.KernelContext_GetInput(context_, index, &value));
  }
  return value;
}

ONNXTensorElementDataType Context::type(std::size_t index) const {
  const OrtValue* const found = value(index);
  return found == nullptr ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED : TensorInfo(api_, found).type();
}

const void* Context::read(std::size_t index, ONNXTensorElementDataType type, const char* name, Shape& shape,
                          bool& present) const {
  const OrtValue* const value = this->value(index);
  present = value != nullptr;
  if (!present) {
    return nullptr;
  }
  const TensorInfo info(api_, value);
  require(info.type() == type, "the input ", name, " has another element type than the operator needs");

  std::size_t rank = 0;
  check(api_, api_.GetDimensionsCount(info.get(), &rank));
  require(rank <= Shape::kMostRank, "the input ", name, " has ", rank, " dimensions, more than ", Shape::kMostRank);
  std::array<std::int64_t, Shape::kMostRank> sizes{};
  check(api_, api_.GetDimensions(info.get(), sizes.data(), rank));
  for (std::size_t axis = 0; axis < rank; ++axis) {
    require(sizes[axis] >= 0, "the input ", name, " has a negative size");
    shape.append(static_cast<std::size_t>(sizes[axis]));
  }

  void* elements = nullptr;
  // The interface has no read-only access; nothing writes through this pointer.
  check(api_, api_.GetTensorMutableData(const_cast<OrtValue*>(value), &elements));
  return elements;
}

void* Context::write(std::size_t index, const Shape& shape) const {
  OrtValue* value = nullptr;
  check(api_, api_.KernelContext_GetOutput(context_, index, shape.sizes(), shape.rank(), &value));
  require(value != nullptr, "the graph leaves out output ", index, " of the operator");
  void* elements = nullptr;
  check(api_, api_.GetTensorMutableData(value, &elements));
  return elements;
}

void Context::parallel_for(std::size_t total, std::size_t batches, void (*task)(void*, std::size_t),
                           void* user_data) const {
  check(api_, api_.KernelContext_ParallelFor(context_, task, total, batches, user_data));
}

}  // namespace appliance::ops
