#include <cpuid.h>

#include "cpu.h"

namespace appliance::ops {
namespace {

// Intel's Software Developer's Manual, volume 2, CPUID: leaf 1 and leaf 7.
constexpr std::uint32_t kLeaf1EcxOsxsave = 1U << 27;
constexpr std::uint32_t kLeaf1EcxFloats = (1U << 12) | (1U << 29);  // FMA, F16C
constexpr std::uint32_t kLeaf7EbxAvx2 = 1U << 5;
constexpr std::uint32_t kLeaf7EbxAvx512 = (1U << 16) | (1U << 17) | (1U << 30) | (1U << 31);  // F, DQ, BW, VL
constexpr std::uint32_t kLeaf7EcxVnni = 1U << 11;
constexpr std::uint32_t kLeaf71EaxAvxVnni = 1U << 4;  // subleaf 1
// Volume 1, 13.1: SSE and AVX; then opmask, the upper halves of ZMM 0 to 15, and ZMM 16 to 31.
constexpr std::uint32_t kXcr0Avx = 0x06;
constexpr std::uint32_t kXcr0Avx512 = 0xE6;

// Only after OSXSAVE was seen: else it is an illegal instruction.
std::uint32_t saved_state() noexcept {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

constexpr bool all(std::uint32_t found, std::uint32_t needed) { return (found & needed) == needed; }

}  // namespace

bool has_avx2(const Cpu& cpu) noexcept {
  return all(cpu.leaf1_ecx, kLeaf1EcxFloats) && all(cpu.leaf7_ebx, kLeaf7EbxAvx2) && all(cpu.xcr0, kXcr0Avx);
}

bool has_avx_vnni(const Cpu& cpu) noexcept { return has_avx2(cpu) && all(cpu.leaf7_1_eax, kLeaf71EaxAvxVnni); }

bool has_avx512_vnni(const Cpu& cpu) noexcept {
  return has_avx2(cpu) && all(cpu.leaf7_ebx, kLeaf7EbxAvx512) && all(cpu.leaf7_ecx, kLeaf7EcxVnni) &&
         all(cpu.xcr0, kXcr0Avx512);
}

Cpu this_cpu() noexcept {
  Cpu cpu{};
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
    cpu.leaf1_ecx = ecx;
  }
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    const std::uint32_t last_subleaf = eax;
    cpu.leaf7_ebx = ebx;
    cpu.leaf7_ecx = ecx;
    if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
      cpu.leaf7_1_eax = eax;
    }
  }
  if (all(cpu.leaf1_ecx, kLeaf1EcxOsxsave)) {
    cpu.xcr0 = saved_state();
  }
  return cpu;
}

}  // namespace appliance::ops
