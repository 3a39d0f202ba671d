// Kernels for vectors of fewer than 16 floats, written once for all of them. `Lanes` is a class that wraps the vectors
// of one instruction set: avx2/lanes.h, neon/lanes.h.
//
// The results have the bits of the AVX-512 kernels: sums that are spread over lanes have 16 partial sums here, too.
//
// One source of each architecture includes these headers, and all functions depend on its Lanes: no other source has a
// function of the same name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../unroll.h"

namespace appliance::ops::narrow {

inline constexpr std::size_t kPartialSums = 16;

template <typename Lanes>
inline constexpr std::size_t kParts = kPartialSums / Lanes::kLanes;

// body(part, i) for each vector of `count` elements, from element i on; vectors take turns with the partial sums.
// tail(part, i, left) for a last part of a vector.
template <typename Lanes, typename Body, typename Tail>
[[gnu::always_inline]] inline void for_each_vector(std::size_t count, const Body& body, const Tail& tail) {
  constexpr std::size_t lanes = Lanes::kLanes;
  std::size_t i = 0;
  for (; i + kPartialSums <= count; i += kPartialSums) {
    unroll<kParts<Lanes>>([&](auto part) __attribute__((always_inline)) { body(part, i + part * lanes); });
  }
  unroll<kParts<Lanes>>([&](auto part) __attribute__((always_inline)) {
    const std::size_t at = i + part * lanes;
    if (at + lanes <= count) {
      body(part, at);
    } else if (at < count) {
      tail(part, at, count - at);
    }
  });
}

// The two halves are added until one number is left.
template <typename Lanes>
inline float total_of(const typename Lanes::Floats (&sums)[kParts<Lanes>]) {
  if constexpr (kParts<Lanes> == 2) {
    return Lanes::total(Lanes::add(sums[0], sums[1]));
  } else {
    return Lanes::total(Lanes::add(Lanes::add(sums[0], sums[2]), Lanes::add(sums[1], sums[3])));
  }
}

// e^x, with an error of about 1 unit in the last place (the polynomial of the Cephes library). NaN stays NaN. Below
// -87.3 the result is about 1e-38, above 89 it is infinite.
template <typename Lanes>
inline typename Lanes::Floats exponential(typename Lanes::Floats x) {
  using Floats = typename Lanes::Floats;
  x = Lanes::least(Lanes::all(89.0F), x);
  x = Lanes::greatest(Lanes::all(-87.3F), x);
  const Floats n = Lanes::rounded(Lanes::multiply(x, Lanes::all(1.44269504F)));
  Floats r = Lanes::subtract_product(x, n, Lanes::all(0.693359375F));
  r = Lanes::subtract_product(r, n, Lanes::all(-2.12194440e-4F));
  Floats p = Lanes::all(1.9875691500e-4F);
  for (const float c : {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
    p = Lanes::add_product(Lanes::all(c), p, r);
  }
  p = Lanes::add_product(Lanes::add(r, Lanes::all(1.0F)), p, Lanes::multiply(r, r));
  // 2^n as two factors: 2^128 is no float, and a result below the normal numbers is rounded once.
  const typename Lanes::Ints power = Lanes::integers(n);
  const typename Lanes::Ints half = Lanes::template shifted_right<1>(power);
  p = Lanes::multiply(p, Lanes::power_of_two(half));
  return Lanes::multiply(p, Lanes::power_of_two(Lanes::subtract(power, half)));
}

}  // namespace appliance::ops::narrow
