// The only translation unit that is compiled for AVX-512 (F, BW, DQ, VL, VNNI) and FMA.
#include "avx512/attention.h"
#include "avx512/head.h"
#include "avx512/panel.h"
#include "avx512/quantise.h"
#include "kernels.h"

namespace appliance::ops {

const Kernels kAvx512Kernels = {
    "avx512_vnni",
    avx512::quantise,
    {avx512::multiply<avx512::Layout8Bits>, avx512::multiply<avx512::Layout4Bits>,
     avx512::multiply<avx512::Layout6Bits>, avx512::multiply<avx512::Layout5Bits>},
    {nullptr, avx512::widen<avx512::Layout4Bits>, avx512::widen<avx512::Layout6Bits>,
     avx512::widen<avx512::Layout5Bits>},
    avx512::rotate,
    avx512::attend_for,
    avx512::greatest_key,
    avx512::dot,
    avx512::sum_of_exponentials,
};

}  // namespace appliance::ops
