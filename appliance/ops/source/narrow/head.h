// What the head of a model needs beside the panels.
#pragma once

#include "../kernels.h"
#include "numbers.h"

namespace appliance::ops::narrow {

// The definition is in ordering_key.h.
template <typename Lanes>
std::int32_t greatest_key(const float* numbers, std::size_t count) noexcept {
  using Ints = typename Lanes::Ints;
  const Ints least = Lanes::all(static_cast<std::int32_t>(0x80000000U));
  Ints greatest = least;
  const auto keys = [&](typename Lanes::Floats numbers_found) __attribute__((always_inline)) {
    const typename Lanes::Floats number = Lanes::add(numbers_found, Lanes::all(0.0F));
    const Ints bits = Lanes::bits(number);
    const Ints flip = Lanes::both(Lanes::template shifted_right<31>(bits), Lanes::all(std::int32_t{0x7FFFFFFF}));
    return Lanes::select(Lanes::is_number(number), Lanes::different(bits, flip), least);
  };
  for_each_vector<Lanes>(
      count,
      [&](auto, std::size_t i)
          __attribute__((always_inline)) { greatest = Lanes::greatest(greatest, keys(Lanes::load(numbers + i))); },
      [&](auto, std::size_t i, std::size_t left) __attribute__((always_inline)) {
        const Ints found = keys(load_first<Lanes>(numbers + i, left));
        greatest = Lanes::greatest(greatest, Lanes::select(Lanes::first_lanes(left), found, least));
      });
  return Lanes::greatest_of(greatest);
}

template <typename Lanes>
float dot(const DotTask& task) noexcept {
  using Floats = typename Lanes::Floats;
  constexpr std::size_t parts = kParts<Lanes>;
  Floats sums[parts];
  unroll<parts>([&](auto part) __attribute__((always_inline)) { sums[part] = Lanes::all(0.0F); });
  const float* scale = task.scales;
  for (std::size_t start = 0; start < task.depth; start += task.block, ++scale) {
    const float* const activations = task.activations + start;
    const std::uint8_t* const values = task.values + start;
    Floats block[parts];
    unroll<parts>([&](auto part) __attribute__((always_inline)) { block[part] = Lanes::all(0.0F); });
    const auto add = [&](auto part, const std::uint8_t* bytes, Floats vector) __attribute__((always_inline)) {
      const Floats weights = Lanes::floats(Lanes::subtract(Lanes::widened(bytes), Lanes::all(128)));
      block[part] = Lanes::add_product(block[part], weights, vector);
    };
    for_each_vector<Lanes>(
        smaller(task.block, task.depth - start),
        [&](auto part, std::size_t i)
            __attribute__((always_inline)) { add(part, values + i, Lanes::load(activations + i)); },
        [&](auto part, std::size_t i, std::size_t left) __attribute__((always_inline)) {
          std::uint8_t last[Lanes::kLanes] = {};
          __builtin_memcpy(last, values + i, left);
          add(part, last, load_first<Lanes>(activations + i, left));
        });
    unroll<parts>([&](auto part) __attribute__((always_inline)) {
      sums[part] = Lanes::add_product(sums[part], block[part], Lanes::all(*scale));
    });
  }
  return total_of<Lanes>(sums);
}

template <typename Lanes>
float sum_of_exponentials(const float* numbers, std::size_t count, float shift) noexcept {
  using Floats = typename Lanes::Floats;
  constexpr std::size_t parts = kParts<Lanes>;
  constexpr std::size_t vectors = 4;  // of 16 partial sums, as in the AVX-512 kernel
  const Floats shifts = Lanes::all(shift);
  Floats sums[vectors][parts];
  unroll<vectors>([&](auto vector) __attribute__((always_inline)) {
    unroll<parts>([&](auto part) __attribute__((always_inline)) { sums[vector][part] = Lanes::all(0.0F); });
  });
  std::size_t i = 0;
  for (; i + vectors * kPartialSums <= count; i += vectors * kPartialSums) {
    unroll<vectors>([&](auto vector) __attribute__((always_inline)) {
      unroll<parts>([&](auto part) __attribute__((always_inline)) {
        const Floats number = Lanes::load(numbers + i + vector * kPartialSums + part * Lanes::kLanes);
        sums[vector][part] = Lanes::add(sums[vector][part], exponential<Lanes>(Lanes::subtract(number, shifts)));
      });
    });
  }
  for_each_vector<Lanes>(
      count - i,
      [&](auto part, std::size_t at) __attribute__((always_inline)) {
        const Floats number = Lanes::load(numbers + i + at);
        sums[0][part] = Lanes::add(sums[0][part], exponential<Lanes>(Lanes::subtract(number, shifts)));
      },
      [&](auto part, std::size_t at, std::size_t left) __attribute__((always_inline)) {
        const Floats number = load_first<Lanes>(numbers + i + at, left);
        const Floats terms = exponential<Lanes>(Lanes::subtract(number, shifts));
        sums[0][part] = Lanes::add(sums[0][part], Lanes::keep_first(terms, left));
      });
  Floats total[parts];
  unroll<parts>([&](auto part) __attribute__((always_inline)) {
    total[part] = Lanes::add(Lanes::add(sums[0][part], sums[1][part]), Lanes::add(sums[2][part], sums[3][part]));
  });
  return total_of<Lanes>(total);
}

}  // namespace appliance::ops::narrow
