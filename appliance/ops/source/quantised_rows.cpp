#include "quantised_rows.h"

#include <algorithm>

#include "sizes.h"

namespace appliance::ops {
namespace {

constexpr std::size_t kTaskRows = 16;

}  // namespace

std::size_t QuantisedRows::bytes(std::size_t rows, std::size_t depth, std::size_t blocks) {
  return aligned(rows * depth) + 2 * aligned(rows * blocks * sizeof(float));
}

QuantisedRows QuantisedRows::quantise(const Context& context, const Kernels& kernels, const float* activations,
                                      std::size_t rows, std::size_t depth, std::size_t block, unsigned char* scratch) {
  const std::size_t blocks = (depth + block - 1) / block;
  const std::size_t of_blocks = aligned(rows * blocks * sizeof(float));
  unsigned char* const scales = scratch + aligned(rows * depth);
  QuantisedRows quantised;
  quantised.rows = rows;
  quantised.values = reinterpret_cast<std::int8_t*>(scratch);
  quantised.scales = reinterpret_cast<float*>(scales);
  quantised.sums = reinterpret_cast<std::int32_t*>(scales + of_blocks);
  context.share((rows + kTaskRows - 1) / kTaskRows, [&](std::size_t task) noexcept {
    const std::size_t first = task * kTaskRows;
    const std::size_t count = std::min(kTaskRows, rows - first);
    kernels.quantise({activations + first * depth, count, depth, block, quantised.values + first * depth,
                      quantised.scales + first * blocks, quantised.sums + first * blocks});
  });
  return quantised;
}

}  // namespace appliance::ops
