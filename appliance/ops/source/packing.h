// How quantised weights lie in memory. A panel holds 64 rows of the matrix; within it the weights of neighbouring rows
// for the same few columns lie together, so that one vector instruction multiplies them with the same activations.
#pragma once

#include <cstddef>
#include <cstdint>

namespace appliance::ops {

inline constexpr std::size_t kPanelRows = 64;

// To add 5 or 6 bits: a value here, its facts below, and its kernels in each table of kernels.
enum class Packing : std::size_t {
  k8Bits,  // [depth / 4][64 rows][4 columns] bytes
  k4Bits,  // [depth / 8][64 rows][4 bytes]: columns 0 to 3 in the low halves of the bytes, columns 4 to 7 in the high
           // ones
};

struct PackingFacts {
  std::size_t bits;
  std::size_t depth_step;   // the depth is a multiple of this
  std::int32_t zero_point;  // of weights without offsets
};

inline constexpr PackingFacts kPackings[] = {{8, 4, 128}, {4, 8, 8}};
inline constexpr std::size_t kPackingCount = sizeof(kPackings) / sizeof(kPackings[0]);

// The sums of a block are int32: 255 * 127 * 65,536 is below 2^31.
inline constexpr std::size_t kMostBlock = 65536;
inline constexpr std::size_t kLeastBlock = 16;

}  // namespace appliance::ops
