// The two ways to multiply bytes with vectors of 32 bytes. Both are exact.
#pragma once

#include <type_traits>

#include "lanes.h"

namespace appliance::ops::avx2 {

// AVX-VNNI: one instruction multiplies and adds.
struct WithVnni : Lanes {
  using Lanes = avx2::Lanes;
  static constexpr bool kWidens = true;
  // 12 sums, 2 vectors of weights and one of activations fill the registers.
  static constexpr std::size_t kTileRows = 6;
  static constexpr std::size_t vectors(std::size_t rows) { return rows == 1 ? 8 : (rows <= 3 ? 4 : 2); }

  template <std::size_t Bits>
  static constexpr std::int32_t kSubtracted = 0;
  template <std::size_t Bits>
  using Weights = Bytes;
  template <std::size_t Bits>
  static Weights<Bits> prepared(Bytes weights) {
    return weights;
  }
  // Not the intrinsic: it would need AVX-VNNI for the whole source.
  template <std::size_t Bits>
  [[gnu::always_inline]] static Ints add_products(Ints sums, Bytes weights, Bytes activations) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(weights), "x"(activations));
    return sums;
  }
};

// Plain AVX2: vpmaddubsw adds two products of unsigned and signed bytes, and cuts sums beyond 16 bits. With weights of
// 7 bits none is: 2 * 127 * 127 is below 2^15. Weights of 8 bits give their sign to the activations:
// |weight - 128| * (activation, negated if weight < 128), and 2 * 128 * 127 is below 2^15, too. Activations are
// never -128, except in a row of NaN.
struct WithoutVnni : Lanes {
  using Lanes = avx2::Lanes;
  static constexpr bool kWidens = false;
  // 8 sums, 2 vectors of weights with their magnitudes, the ones, and the activations on their way.
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t vectors(std::size_t rows) { return rows == 1 ? 8 : (rows == 2 ? 4 : 2); }

  template <std::size_t Bits>
  static constexpr std::int32_t kSubtracted = Bits == 8 ? 128 : 0;
  struct Signed {
    Bytes value;
    Bytes magnitude;
  };
  template <std::size_t Bits>
  using Weights = std::conditional_t<Bits == 8, Signed, Bytes>;
  template <std::size_t Bits>
  [[gnu::always_inline]] static Weights<Bits> prepared(Bytes weights) {
    if constexpr (Bits == 8) {
      const Bytes value = _mm256_xor_si256(weights, _mm256_set1_epi8(static_cast<char>(0x80)));
      return {value, _mm256_abs_epi8(value)};
    } else {
      return weights;
    }
  }
  template <std::size_t Bits>
  [[gnu::always_inline]] static Ints add_products(Ints sums, const Weights<Bits>& weights, Bytes activations) {
    Ints pairs;
    if constexpr (Bits == 8) {
      pairs = _mm256_maddubs_epi16(weights.magnitude, _mm256_sign_epi8(activations, weights.value));
    } else {
      pairs = _mm256_maddubs_epi16(weights, activations);
    }
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace appliance::ops::avx2
