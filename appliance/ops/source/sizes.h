// Sizes rounded up. For sources that run on every CPU only: see unroll.h.
#pragma once

#include <cstddef>

namespace appliance::ops {

constexpr std::size_t quotient_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// The next multiple of a cache line.
constexpr std::size_t aligned(std::size_t bytes) { return quotient_up(bytes, 64) * 64; }

}  // namespace appliance::ops
