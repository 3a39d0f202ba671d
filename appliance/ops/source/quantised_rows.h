// Activations as signed bytes, in scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "context.h"
#include "kernels.h"

namespace appliance::ops {

struct QuantisedRows {
  std::size_t rows = 0;
  std::int8_t* values = nullptr;  // [rows][depth]
  float* scales = nullptr;        // [rows][blocks]
  std::int32_t* sums = nullptr;   // [rows][blocks]

  // The bytes of scratch memory that `quantise` needs, a multiple of 64.
  static std::size_t bytes(std::size_t rows, std::size_t depth, std::size_t blocks);

  // Rounds activations[rows][depth] to bytes, in blocks of `block` columns.
  static QuantisedRows quantise(const Context& context, const Kernels& kernels, const float* activations,
                                std::size_t rows, std::size_t depth, std::size_t block, unsigned char* scratch);
};

}  // namespace appliance::ops
