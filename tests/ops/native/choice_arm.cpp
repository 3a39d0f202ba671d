// The choice for CPUs that the machine of the test is not.
#include <cstring>

#include "checks.h"
#include "conformance.h"

namespace conformance {

void check_choice() {
  using appliance::ops::kernels_for;
  constexpr unsigned long asimddp = 1UL << 20;  // of AT_HWCAP: Documentation/arch/arm64/elf_hwcaps.rst in Linux
  const Check check("choice", "NEON with and without the dot product");
  check.require(std::strcmp(kernels_for({asimddp})->name, "neon_dot") == 0, "the dot product is there");
  check.require(kernels_for({~asimddp}) == nullptr, "the dot product is missing");
}

}  // namespace conformance
