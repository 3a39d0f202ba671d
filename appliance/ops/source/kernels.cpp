#include "kernels.h"

namespace appliance::ops {

const KernelSet kKernelSets[] = {
#if defined(__x86_64__)
    {kAmxKernels, has_amx},
    {kAvx512Kernels, has_avx512_vnni},
    {kAvxVnniKernels, has_avx_vnni},
    {kAvx2Kernels, has_avx2},
#elif defined(__aarch64__)
    {kNeonDotKernels, has_neon_dot},
#endif
};
const std::size_t kKernelSetCount = sizeof(kKernelSets) / sizeof(kKernelSets[0]);

const Kernels* kernels_for(const Cpu& cpu) noexcept {
  for (const KernelSet& set : kKernelSets) {
    if (set.runs_on(cpu)) {
      return &set.kernels;
    }
  }
  return nullptr;
}

const Kernels* kernels_for_this_cpu() noexcept {
  static const Kernels* const chosen = kernels_for(this_cpu());
  return chosen;
}

}  // namespace appliance::ops
