// The only source that is compiled for NEON's dot product.
#include "narrow/kernels.h"
#include "neon/lanes.h"

namespace appliance::ops {

constexpr Kernels kNeonDotKernels = narrow::kernels_of<neon::WithDotProduct>("neon_dot");

}  // namespace appliance::ops
