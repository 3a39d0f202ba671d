// The only source that is compiled for AVX2, FMA and F16C.
#include "avx2/products.h"
#include "narrow/kernels.h"

namespace appliance::ops {

constexpr Kernels kAvxVnniKernels = narrow::kernels_of<avx2::WithVnni>("avx_vnni");
constexpr Kernels kAvx2Kernels = narrow::kernels_of<avx2::WithoutVnni>("avx2");

}  // namespace appliance::ops
