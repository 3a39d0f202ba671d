// The likeliest tokens of each row of logits, and the logarithm of the sum of the exponentials of all its tokens.
#pragma once

#include <memory>

#include "custom_operator.h"

namespace appliance::ops {

class ListCandidates {
 public:
  static constexpr const char* kName = "ListCandidates";
  static constexpr Port kInputs[] = {{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT}};  // logits [rows, N]
  static constexpr Port kOutputs[] = {
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},  // ids [rows, count], the likeliest first; of equal logits the lower id
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // logits [rows, count] of these ids
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},  // normaliser [rows]; not finite if a logit is NaN or positive infinity
  };

  ListCandidates(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels);
  void compute(const Context& context) const;

 private:
  // The memory of a step, for one row.
  struct Row {
    std::int32_t* keys;     // [panels] the greatest key of each panel of logits
    float* shifts;          // [pieces] about the greatest logit of each piece of the row
    float* sums;            // [pieces] of e^(logit - shift)
    unsigned char* memory;  // for the candidates
  };
  std::size_t row_bytes() const;
  Row row(unsigned char* memory, std::size_t index) const;
  void reduce(const float* logits, const Row& row, std::size_t piece) const noexcept;
  float normaliser(const Row& row) const noexcept;

  std::size_t tokens_;  // later columns of the logits have no meaning
  std::size_t count_;
  std::size_t panels_;
  std::size_t pieces_;
  std::shared_ptr<Scratch> scratch_;
  const Kernels& kernels_;
};

}  // namespace appliance::ops
