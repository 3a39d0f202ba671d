// Vectors of 32 bytes, with AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../packing.h"

namespace appliance::ops::avx2 {

struct Lanes {
  static constexpr std::size_t kLanes = 8;
  using Floats = __m256;
  using Ints = __m256i;
  using Bytes = __m256i;

  // Floats.
  static Floats all(float number) { return _mm256_set1_ps(number); }
  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static Floats load_halves(const Half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void store(float* to, Floats vector) { _mm256_storeu_ps(to, vector); }
  // The first `count` lanes; the others become zero.
  static Floats keep_first(Floats vector, std::size_t count) {
    return _mm256_and_ps(vector, _mm256_castsi256_ps(first_lanes(count)));
  }
  static float first(Floats vector) { return _mm256_cvtss_f32(vector); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  // sum + a * b, sum - a * b, a * b - c: rounded once.
  static Floats add_product(Floats sum, Floats a, Floats b) { return _mm256_fmadd_ps(a, b, sum); }
  static Floats subtract_product(Floats sum, Floats a, Floats b) { return _mm256_fnmadd_ps(a, b, sum); }
  static Floats product_less(Floats a, Floats b, Floats c) { return _mm256_fmsub_ps(a, b, c); }
  // If a number is NaN, the result is b.
  static Floats least(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats greatest(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats rounded(Floats vector) {
    return _mm256_round_ps(vector, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Ints is_number(Floats vector) { return _mm256_castps_si256(_mm256_cmp_ps(vector, vector, _CMP_ORD_Q)); }
  static float greatest_of(Floats vector) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps(vector, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static float total(Floats vector) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps(vector, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  // Integers.
  static Ints all(std::int32_t number) { return _mm256_set1_epi32(number); }
  static Ints bits(Floats vector) { return _mm256_castps_si256(vector); }
  static Ints integers(Floats vector) { return _mm256_cvtps_epi32(vector); }
  static Floats floats(Ints vector) { return _mm256_cvtepi32_ps(vector); }
  static Floats power_of_two(Ints vector) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(vector, all(127)), 23));
  }
  static Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints subtract(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
  static Ints greatest(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
  static Ints both(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  static Ints different(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
  template <int Count>
  static Ints shifted_right(Ints vector) {
    return _mm256_srai_epi32(vector, Count);
  }
  // Lanes of the mask are all ones or all zeros.
  static Ints select(Ints mask, Ints a, Ints b) { return _mm256_blendv_epi8(b, a, mask); }
  static Ints first_lanes(std::size_t count) {
    return _mm256_cmpgt_epi32(all(static_cast<std::int32_t>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static std::int32_t greatest_of(Ints vector) {
    const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(vector), _mm256_extracti128_si256(vector, 1));
    const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }
  static std::int32_t total(Ints vector) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(vector), _mm256_extracti128_si256(vector, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }

  // Bytes.
  static Bytes load_bytes(const std::uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static void store_bytes(std::uint8_t* to, Bytes vector) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), vector);
  }
  static Bytes either(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  // The bits `Mask` << From of each byte, moved to Mask << To.
  template <std::size_t From, std::size_t To, unsigned Mask>
  static Bytes field(Bytes vector) {
    // There is no shift of bytes: the mask drops the neighbour's bits.
    const Bytes mask = _mm256_set1_epi8(static_cast<char>(Mask << To));
    if constexpr (From > To) {
      vector = _mm256_srli_epi16(vector, From - To);
    } else if constexpr (From < To) {
      vector = _mm256_slli_epi16(vector, To - From);
    }
    return _mm256_and_si256(vector, mask);
  }
  // One integer of each byte, and one byte of each integer.
  static Ints widened(const std::uint8_t* from) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  static void store_bytes(std::int8_t* to, Ints vector) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(vector), _mm256_extracti128_si256(vector, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
  }
  static Bytes four_activations(const std::int8_t* values) {
    std::int32_t four = 0;
    __builtin_memcpy(&four, values, sizeof four);
    return all(four);
  }
};

}  // namespace appliance::ops::avx2
