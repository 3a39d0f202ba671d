// Compares every set of kernels that this CPU runs with scalar references. The first line names the chosen set.
#include "conformance.h"

#include <cstdio>

int main() {
  using namespace appliance::ops;
  const Kernels* const chosen = kernels_for_this_cpu();
  std::printf("chosen: %s\n", chosen == nullptr ? "none" : chosen->name);
  conformance::check_choice();
  const Cpu cpu = this_cpu();
  for (std::size_t i = 0; i < kKernelSetCount; ++i) {
    const Kernels& kernels = kKernelSets[i].kernels;
    if (!kKernelSets[i].runs_on(cpu)) {
      std::printf("%s: not on this CPU\n", kernels.name);
      continue;
    }
    conformance::check_quantise(kernels);
    conformance::check_panels(kernels);
    conformance::check_attention(kernels);
    conformance::check_rotate(kernels);
    conformance::check_head(kernels);
  }
  return 0;
}
