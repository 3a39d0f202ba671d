// Random numbers, the same on every machine.
#pragma once

#include <cstdint>

namespace conformance {

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  // From 0 to below `end`.
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(bits() % end); }
  // From -most to most.
  float real(float most) { return (static_cast<float>(bits() >> 40) / 8388608.0F - 1.0F) * most; }

 private:
  std::uint64_t state_;
};

}  // namespace conformance
