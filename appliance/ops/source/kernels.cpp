#include "kernels.h"

#include "cpu.h"

namespace appliance::ops {

const Kernels* kernels_for_this_cpu() noexcept {
  static const Kernels* const chosen = has_avx512_vnni() ? &kAvx512Kernels : nullptr;
  return chosen;
}

}  // namespace appliance::ops
