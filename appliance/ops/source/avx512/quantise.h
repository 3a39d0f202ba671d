// Activations as signed bytes.
#pragma once

#include <immintrin.h>

#include "../kernels.h"
#include "vector.h"

namespace appliance::ops::avx512 {

// A block whose greatest magnitude is smaller counts as zeros: 127 / magnitude would become infinite.
inline constexpr float kLeastMagnitude = 1e-30F;
inline constexpr std::int32_t kInfinityBits = 0x7F800000;

// body(i, lanes) for each vector of `count` elements: all lanes are known at compile time but for a last part of a
// vector.
template <typename Body>
[[gnu::always_inline]] inline void for_each_vector(std::size_t count, const Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    body(i, static_cast<__mmask16>(0xFFFF));
  }
  if (i < count) {
    body(i, first_lanes(count - i));
  }
}

// The greatest magnitude as the bits of a float. As integers, NaN is above infinity, and infinity above all numbers.
inline std::int32_t greatest_magnitude(const float* numbers, std::size_t count) {
  const __m512i no_sign = _mm512_set1_epi32(0x7FFFFFFF);
  __m512i greatest = _mm512_setzero_si512();
  for_each_vector(count, [&](std::size_t i, __mmask16 lanes) __attribute__((always_inline)) {
    const __m512i bits = _mm512_castps_si512(_mm512_maskz_loadu_ps(lanes, numbers + i));
    greatest = _mm512_max_epi32(greatest, _mm512_and_si512(bits, no_sign));
  });
  return _mm512_reduce_max_epi32(greatest);
}

inline void quantise_block(const float* numbers, std::size_t count, std::int8_t* values, float* scale,
                           std::int32_t* sum) {
  const std::int32_t bits = greatest_magnitude(numbers, count);
  const float magnitude = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
  const bool finite = bits < kInfinityBits;
  const bool zero = finite && magnitude < kLeastMagnitude;
  const __m512 factor = _mm512_set1_ps(zero ? 0.0F : 127.0F / magnitude);
  __m512i total = _mm512_setzero_si512();
  for_each_vector(count, [&](std::size_t i, __mmask16 lanes) __attribute__((always_inline)) {
    // At most 127 in magnitude: no value is cut. Where the scale becomes NaN the values do not matter.
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, numbers + i), factor));
    total = _mm512_add_epi32(total, rounded);
    _mm512_mask_cvtsepi32_storeu_epi8(values + i, lanes, rounded);
  });
  *scale = finite ? (zero ? 0.0F : magnitude / 127.0F) : __builtin_nanf("");
  *sum = finite ? _mm512_reduce_add_epi32(total) : 0;
}

inline void quantise(const QuantiseTask& task) noexcept {
  std::size_t at = 0;
  for (std::size_t row = 0; row < task.rows; ++row) {
    for (std::size_t start = 0; start < task.depth; start += task.block, ++at) {
      const std::size_t first = row * task.depth + start;
      quantise_block(task.activations + first, smaller(task.block, task.depth - start), task.values + first,
                     task.scales + at, task.sums + at);
    }
  }
}

}  // namespace appliance::ops::avx512
