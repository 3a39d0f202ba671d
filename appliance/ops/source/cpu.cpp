#include "cpu.h"

#include <cpuid.h>

#include <cstdint>

namespace appliance::ops {
namespace {

// Intel's Software Developer's Manual, volume 2, CPUID: leaf 1 and leaf 7 (subleaf 0).
constexpr std::uint32_t kLeaf1EcxFma = 1U << 12;
constexpr std::uint32_t kLeaf1EcxOsxsave = 1U << 27;
constexpr std::uint32_t kLeaf7EbxAvx512 = (1U << 16) | (1U << 17) | (1U << 30) | (1U << 31);  // F, DQ, BW, VL
constexpr std::uint32_t kLeaf7EcxVnni = 1U << 11;
// Volume 1, 13.1: SSE, AVX, opmask, the upper halves of ZMM 0 to 15, and ZMM 16 to 31.
constexpr std::uint32_t kXcr0Avx512 = 0xE6;

// The state that the operating system saves (register XCR0). Only after OSXSAVE was seen: else it is an illegal
// instruction.
std::uint32_t saved_state() noexcept {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

constexpr bool all(std::uint32_t found, std::uint32_t needed) { return (found & needed) == needed; }

}  // namespace

bool has_avx512_vnni() noexcept {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || !all(ecx, kLeaf1EcxFma | kLeaf1EcxOsxsave) ||
      !all(saved_state(), kXcr0Avx512)) {
    return false;
  }
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && all(ebx, kLeaf7EbxAvx512) && all(ecx, kLeaf7EcxVnni);
}

}  // namespace appliance::ops
