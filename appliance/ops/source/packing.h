// How quantised weights lie in memory. A panel holds 64 rows of the matrix; within it the weights of neighbouring rows
// for the same few columns lie together, so that one vector instruction multiplies them with the same activations.
#pragma once

#include <cstddef>
#include <cstdint>

namespace appliance::ops {

inline constexpr std::size_t kPanelRows = 64;

// A 16-bit float (IEEE 754 binary16), as it lies in memory.
struct Half {
  std::uint16_t bits;
};

// A step is the columns whose weights a kernel reads together. It has groups of [64 rows][4 bytes].
//
// 8 bits: one group, a byte for each of 4 columns.
// 4 bits: one group: columns 0 to 3 in the low halves of the bytes, columns 4 to 7 in the high ones.
// 6 bits: two groups as of 4 bits, with the low 4 bits of the weights: columns 0 to 7, then 8 to 15. Then one group:
//         bits 2g and 2g + 1 of byte j are the upper bits of column 4g + j.
// 5 bits: four groups as of 4 bits, with the low 4 bits of the weights: columns 0 to 7, 8 to 15 and so on. Then one
//         group: bit g of byte j is the upper bit of column 4g + j.
enum class Packing : std::size_t { k8Bits, k4Bits, k6Bits, k5Bits };

struct PackingFacts {
  std::size_t bits;
  std::size_t depth_step;   // columns of a step: the depth and the blocks are multiples of this
  std::int32_t zero_point;  // of weights without offsets

  constexpr std::size_t step_groups() const { return depth_step * bits / 32; }
};

inline constexpr PackingFacts kPackings[] = {{8, 4, 128}, {4, 8, 8}, {6, 16, 32}, {5, 32, 16}};
inline constexpr std::size_t kPackingCount = sizeof(kPackings) / sizeof(kPackings[0]);

// The sums of a block are int32: 255 * 127 * 65,536 is below 2^31.
inline constexpr std::size_t kMostBlock = 65536;
inline constexpr std::size_t kLeastBlock = 16;

}  // namespace appliance::ops
