// A panel of weights, laid out byte by byte as packing.h says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fenced.h"
#include "kernels.h"

namespace conformance {

// The bytes of a panel; `weights` is [64][depth].
inline std::size_t packed_bytes(std::size_t bits, std::size_t depth) {
  return depth * appliance::ops::kPanelRows * bits / 8;
}

inline void pack(std::size_t bits, std::size_t depth, const std::vector<std::uint8_t>& weights,
                 Fenced<std::uint8_t>& packed) {
  constexpr std::size_t group_bytes = appliance::ops::kPanelRows * 4;  // four columns as bytes, or eight as halves
  const std::size_t groups = bits == 8 ? 1 : (bits == 4 ? 2 : (bits == 6 ? 4 : 8));  // of four columns, in a step
  const std::size_t step_bytes = packed_bytes(bits, 4 * groups);
  for (std::uint8_t& byte : packed) {
    byte = 0;
  }
  for (std::size_t row = 0; row < appliance::ops::kPanelRows; ++row) {
    for (std::size_t column = 0; column < depth; ++column) {
      const std::size_t group = column / 4 % groups;
      const std::size_t at = column / (4 * groups) * step_bytes + row * 4 + column % 4;
      const unsigned weight = weights[row * depth + column];
      if (bits == 8) {
        packed[at] = static_cast<std::uint8_t>(weight);
        continue;
      }
      packed[at + group / 2 * group_bytes] |= static_cast<std::uint8_t>((weight & 15U) << (group % 2 * 4));
      if (bits > 4) {
        packed[at + groups / 2 * group_bytes] |= static_cast<std::uint8_t>((weight >> 4) << (group * (bits - 4)));
      }
    }
  }
}

}  // namespace conformance
