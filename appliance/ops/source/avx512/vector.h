// Pieces that the AVX-512 kernels share. Everything is in the namespace avx512, and no function of the C++ library is
// called: an inline function of another namespace, compiled here, could replace the baseline's own at link time.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../unroll.h"

namespace appliance::ops::avx512 {

inline constexpr std::size_t kLanes = 16;

// The first `count` lanes, of up to 16.
inline __mmask16 first_lanes(std::size_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xFFFFU : (1U << count) - 1U);
}

// e^x, with an error of about 1 unit in the last place (the polynomial of the Cephes library). NaN stays NaN: min and
// max return their second operand then. Below -87.3 the result is about 1e-38, above 89 it is infinite.
inline __m512 exponential(__m512 x) {
  x = _mm512_min_ps(_mm512_set1_ps(89.0F), x);
  x = _mm512_max_ps(_mm512_set1_ps(-87.3F), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4F);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1F));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0F)));
  return _mm512_scalef_ps(p, n);
}

}  // namespace appliance::ops::avx512
