// One call of an operator: its inputs, its outputs and ONNX Runtime's threads.
#pragma once

#include <cstddef>

#include "onnxruntime_abi.h"
#include "shape.h"
#include "tensor.h"

namespace appliance::ops {

class Context {
 public:
  Context(const OrtApi& api, OrtKernelContext* context) : api_(api), context_(context) {}

  // The input at this position. Throws a fault if it is absent or has another element type.
  template <typename Element>
  Tensor<const Element> input(std::size_t index, const char* name) const {
    const Tensor<const Element> tensor = optional_input<Element>(index, name);
    require(tensor.present, "the input ", name, " is missing");
    return tensor;
  }

  // The same; `present` is false if the graph leaves the input out.
  template <typename Element>
  Tensor<const Element> optional_input(std::size_t index, const char* name) const {
    Tensor<const Element> tensor;
    tensor.name = name;
    tensor.elements = static_cast<const Element*>(read(index, kElementType<Element>, tensor));
    return tensor;
  }

  // Whether the input at this position has elements of this type.
  template <typename Element>
  bool has_type(std::size_t index) const {
    return type(index) == kElementType<Element>;
  }

  // Memory for the output at this position; the caller of the session may have bound it.
  template <typename Element = float>
  Element* output(std::size_t index, const Shape& shape) const {
    return static_cast<Element*>(write(index, shape));
  }

  // Calls task(i) for each i below `total`, which threads take one by one as they get free.
  template <typename Task>
  void share(std::size_t total, const Task& task) const {
    run(total, total, task);
  }

  // Calls task(i) for each i below `total`; each thread takes one run of neighbours. For work that reads memory in
  // order.
  template <typename Task>
  void split(std::size_t total, const Task& task) const {
    constexpr std::size_t one_a_thread = 0;
    run(total, one_a_thread, task);
  }

 private:
  // A task runs on ONNX Runtime's threads, through C: it must not throw.
  template <typename Task>
  void run(std::size_t total, std::size_t batches, const Task& task) const {
    static_assert(noexcept(task(std::size_t{})), "a task must not throw");
    if (total == 1) {
      task(0);
    } else if (total > 1) {
      const auto call = [](void* user_data, std::size_t index) noexcept {
        (*static_cast<const Task*>(user_data))(index);
      };
      parallel_for(total, batches, call, const_cast<Task*>(&task));
    }
  }

  template <typename Element>
  const void* read(std::size_t index, ONNXTensorElementDataType type, Tensor<Element>& tensor) const {
    return read(index, type, tensor.name, tensor.shape, tensor.present);
  }
  const void* read(std::size_t index, ONNXTensorElementDataType type, const char* name, Shape& shape,
                   bool& present) const;
  void* write(std::size_t index, const Shape& shape) const;
  ONNXTensorElementDataType type(std::size_t index) const;
  const OrtValue* value(std::size_t index) const;
  void parallel_for(std::size_t total, std::size_t batches, void (*task)(void*, std::size_t), void* user_data) const;

  const OrtApi& api_;
  OrtKernelContext* context_;
};

}  // namespace appliance::ops
