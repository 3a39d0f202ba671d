// Floats as integers of the same order: a total order, also with NaN, as std::nth_element needs.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

namespace appliance::ops {

inline constexpr std::int32_t kLeastKey = std::numeric_limits<std::int32_t>::min();

// NaN is below all numbers; both zeros are equal.
inline std::int32_t ordering_key(float number) {
  if (number != number) {
    return kLeastKey;
  }
  const float one_zero = number + 0.0F;
  std::int32_t bits = 0;
  std::memcpy(&bits, &one_zero, sizeof bits);
  return bits ^ ((bits >> 31) & std::numeric_limits<std::int32_t>::max());
}

// The number of a key; NaN for the least key.
inline float number_of(std::int32_t key) {
  const std::int32_t bits = key ^ ((key >> 31) & std::numeric_limits<std::int32_t>::max());
  float number = 0;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

}  // namespace appliance::ops
