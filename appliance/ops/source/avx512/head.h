// What the head of a model and the list of its candidates need beside the panels.
#pragma once

#include <immintrin.h>

#include "../kernels.h"
#include "vector.h"

namespace appliance::ops::avx512 {

// The definition is in ordering_key.h.
inline std::int32_t greatest_key(const float* numbers, std::size_t count) noexcept {
  const __m512i least = _mm512_set1_epi32(static_cast<std::int32_t>(0x80000000U));
  __m512i greatest = least;
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512 number = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, numbers + i), _mm512_setzero_ps());
    const __mmask16 ordered = _mm512_mask_cmp_ps_mask(lanes, number, number, _CMP_ORD_Q);
    const __m512i bits = _mm512_castps_si512(number);
    const __m512i flip = _mm512_and_si512(_mm512_srai_epi32(bits, 31), _mm512_set1_epi32(0x7FFFFFFF));
    greatest = _mm512_max_epi32(greatest, _mm512_mask_xor_epi32(least, ordered, bits, flip));
  }
  return _mm512_reduce_max_epi32(greatest);
}

inline float dot(const DotTask& task) noexcept {
  __m512 sum = _mm512_setzero_ps();
  const float* scale = task.scales;
  for (std::size_t start = 0; start < task.depth; start += task.block, ++scale) {
    const std::size_t end = start + smaller(task.block, task.depth - start);
    __m512 block = _mm512_setzero_ps();
    for (std::size_t i = start; i < end; i += kLanes) {
      const __mmask16 lanes = first_lanes(end - i);
      const __m512i bytes = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, task.values + i));
      const __m512 weights = _mm512_cvtepi32_ps(_mm512_sub_epi32(bytes, _mm512_set1_epi32(128)));
      block = _mm512_fmadd_ps(weights, _mm512_maskz_loadu_ps(lanes, task.activations + i), block);
    }
    sum = _mm512_fmadd_ps(block, _mm512_set1_ps(*scale), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

inline float sum_of_exponentials(const float* numbers, std::size_t count, float shift) noexcept {
  // Four sums: one would wait for each addition.
  __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  const __m512 shifts = _mm512_set1_ps(shift);
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    unroll<4>([&](auto part) __attribute__((always_inline)) {
      const __m512 number = _mm512_loadu_ps(numbers + i + part * kLanes);
      sums[part] = _mm512_add_ps(sums[part], exponential(_mm512_sub_ps(number, shifts)));
    });
  }
  for (; i < count; i += kLanes) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512 number = _mm512_maskz_loadu_ps(lanes, numbers + i);
    sums[0] = _mm512_mask_add_ps(sums[0], lanes, sums[0], exponential(_mm512_sub_ps(number, shifts)));
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

}  // namespace appliance::ops::avx512
