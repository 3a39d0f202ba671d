#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "cpu.h"

namespace appliance::ops {

bool has_neon_dot(const Cpu& cpu) noexcept { return (cpu.hwcap & HWCAP_ASIMDDP) != 0; }

Cpu this_cpu() noexcept { return {getauxval(AT_HWCAP)}; }

}  // namespace appliance::ops
