// Causal grouped-query attention with rotary embedding over the KV cache of the slots, which it updates in place.
//
// Each head of the cache is one piece of capacity * head dim floats. In the keys' piece, 64 positions lie transposed
// together: [capacity / 64][head dim][64]; in the values' piece, one position after the other: [capacity][head dim].
#pragma once

#include <memory>

#include "custom_operator.h"

namespace appliance::ops {

class SlotAttention {
 public:
  static constexpr const char* kName = "SlotAttention";
  static constexpr Port kInputs[] = {
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // query [batch, rows, heads * head dim], or q, k and v
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, INPUT_OUTPUT_OPTIONAL},  // key [batch, rows, kv heads * head dim]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, INPUT_OUTPUT_OPTIONAL},  // value, the same
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},                         // past_key [batch, kv heads, capacity, head dim]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},                         // past_value, the same
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},  // seqlens_k [batch]: positions after the step, minus 1
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // cos [positions, head dim / 2]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // sin, the same
  };
  static constexpr Port kOutputs[] = {
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // context [batch, rows, heads * head dim]
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // present_key: the memory of past_key
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // present_value: the memory of past_value
  };

  SlotAttention(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels);
  void compute(const Context& context) const;

 private:
  struct Step;
  Step read(const Context& context) const;
  void write_cache(const Step& step, std::size_t sequence, std::size_t first, std::size_t end) const noexcept;
  void attend(const Step& step, std::size_t sequence, std::size_t group, std::size_t first,
              std::size_t end) const noexcept;

  std::size_t heads_;
  std::size_t groups_;       // heads of the cache
  std::size_t group_heads_;  // heads of queries for each
  float scale_;
  std::shared_ptr<Scratch> scratch_;
  const Kernels& kernels_;
};

}  // namespace appliance::ops
