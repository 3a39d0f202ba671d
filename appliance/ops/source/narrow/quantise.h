// Activations as signed bytes.
#pragma once

#include "../kernels.h"
#include "numbers.h"

namespace appliance::ops::narrow {

// A block whose greatest magnitude is smaller counts as zeros: 127 / magnitude would become infinite.
inline constexpr float kLeastMagnitude = 1e-30F;
inline constexpr std::int32_t kInfinityBits = 0x7F800000;

// The greatest magnitude as the bits of a float. As integers, NaN is above infinity, and infinity above all numbers.
template <typename Lanes>
inline std::int32_t greatest_magnitude(const float* numbers, std::size_t count) {
  using Ints = typename Lanes::Ints;
  const Ints no_sign = Lanes::all(std::int32_t{0x7FFFFFFF});
  Ints greatest[kParts<Lanes>];
  unroll<kParts<Lanes>>([&](auto part) __attribute__((always_inline)) { greatest[part] = Lanes::all(0); });
  const auto take = [&](auto part, typename Lanes::Floats vector) __attribute__((always_inline)) {
    greatest[part] = Lanes::greatest(greatest[part], Lanes::both(Lanes::bits(vector), no_sign));
  };
  for_each_vector<Lanes>(
      count, [&](auto part, std::size_t i) __attribute__((always_inline)) { take(part, Lanes::load(numbers + i)); },
      [&](auto part, std::size_t i, std::size_t left)
          __attribute__((always_inline)) { take(part, Lanes::load_first(numbers + i, left)); });
  unroll<kParts<Lanes>>(
      [&](auto part) __attribute__((always_inline)) { greatest[0] = Lanes::greatest(greatest[0], greatest[part]); });
  return Lanes::greatest_of(greatest[0]);
}

template <typename Lanes>
inline void quantise_block(const float* numbers, std::size_t count, std::int8_t* values, float* scale,
                           std::int32_t* sum) {
  using Floats = typename Lanes::Floats;
  using Ints = typename Lanes::Ints;
  const std::int32_t bits = greatest_magnitude<Lanes>(numbers, count);
  float magnitude = 0;
  __builtin_memcpy(&magnitude, &bits, sizeof magnitude);
  const bool finite = bits < kInfinityBits;
  const bool zero = finite && magnitude < kLeastMagnitude;
  const Floats factor = Lanes::all(zero ? 0.0F : 127.0F / magnitude);
  Ints total = Lanes::all(0);
  // At most 127 in magnitude: no value is cut. Where the scale becomes NaN the values do not matter.
  const auto round = [&](Floats vector) __attribute__((always_inline)) {
    const Ints integers = Lanes::integers(Lanes::multiply(vector, factor));
    total = Lanes::add(total, integers);
    return integers;
  };
  for_each_vector<Lanes>(
      count,
      [&](auto, std::size_t i)
          __attribute__((always_inline)) { Lanes::store_bytes(values + i, round(Lanes::load(numbers + i))); },
      [&](auto, std::size_t i, std::size_t left) __attribute__((always_inline)) {
        std::int8_t last[Lanes::kLanes];
        Lanes::store_bytes(last, round(Lanes::load_first(numbers + i, left)));
        __builtin_memcpy(values + i, last, left);
      });
  *scale = finite ? (zero ? 0.0F : magnitude / 127.0F) : __builtin_nanf("");
  *sum = finite ? Lanes::total(total) : 0;
}

template <typename Lanes>
void quantise(const QuantiseTask& task) noexcept {
  std::size_t at = 0;
  for (std::size_t row = 0; row < task.rows; ++row) {
    for (std::size_t start = 0; start < task.depth; start += task.block, ++at) {
      const std::size_t first = row * task.depth + start;
      quantise_block<Lanes>(task.activations + first, smaller(task.block, task.depth - start), task.values + first,
                            task.scales + at, task.sums + at);
    }
  }
}

}  // namespace appliance::ops::narrow
