// The only translation unit that is compiled for AVX-512 (F, BW, DQ, VL, VNNI) and FMA.
#include "avx512/attention.h"
#include "avx512/head.h"
#include "avx512/panel.h"
#include "avx512/quantise.h"
#include "kernels.h"

namespace appliance::ops {

namespace {

constexpr Kernels kernels_with(const char* name, PanelKernel bytes) {
  return {
      name,
      avx512::quantise,
      {bytes, avx512::multiply<avx512::Layout4Bits>, avx512::multiply<avx512::Layout6Bits>,
       avx512::multiply<avx512::Layout5Bits>},
      {nullptr, avx512::widen<avx512::Layout4Bits>, avx512::widen<avx512::Layout6Bits>,
       avx512::widen<avx512::Layout5Bits>},
      avx512::rotate,
      avx512::attend_for,
      avx512::greatest_key,
      avx512::dot,
      avx512::sum_of_exponentials,
  };
}

}  // namespace

constexpr Kernels kAvx512Kernels = kernels_with("avx512_vnni", avx512::multiply<avx512::Layout8Bits>);
constexpr Kernels kAmxKernels = kernels_with("amx_int8", multiply_with_amx);

}  // namespace appliance::ops
