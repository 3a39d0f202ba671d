#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu.h"

namespace appliance::ops {
namespace {

// Intel's Software Developer's Manual, volume 2, CPUID: leaf 1 and leaf 7.
constexpr std::uint32_t kLeaf1EcxOsxsave = 1U << 27;
constexpr std::uint32_t kLeaf1EcxFloats = (1U << 12) | (1U << 29);  // FMA, F16C
constexpr std::uint32_t kLeaf7EbxAvx2 = 1U << 5;
constexpr std::uint32_t kLeaf7EbxAvx512 = (1U << 16) | (1U << 17) | (1U << 30) | (1U << 31);  // F, DQ, BW, VL
constexpr std::uint32_t kLeaf7EcxVnni = 1U << 11;
constexpr std::uint32_t kLeaf71EaxAvxVnni = 1U << 4;     // subleaf 1
constexpr std::uint32_t kLeaf71EaxAvx512Bf16 = 1U << 5;  // subleaf 1
// Volume 1, 13.1: SSE and AVX; then opmask, the upper halves of ZMM 0 to 15, and ZMM 16 to 31.
constexpr std::uint32_t kXcr0Avx = 0x06;
constexpr std::uint32_t kXcr0Avx512 = 0xE6;
constexpr std::uint32_t kLeaf7EdxAmx = (1U << 22) | (1U << 24) | (1U << 25);  // AMX-BF16, AMX-TILE, AMX-INT8
constexpr std::uint32_t kXcr0Tiles = (1U << 17) | (1U << 18);
// Linux, Documentation/arch/x86/xstate.rst.
constexpr int kRequestPermission = 0x1023;
constexpr int kTileData = 18;

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

bool has_amx(const Cpu& cpu) noexcept {
  return has_avx512_vnni(cpu) && all(cpu.leaf7_1_eax, kLeaf71EaxAvx512Bf16) && all(cpu.leaf7_edx, kLeaf7EdxAmx) &&
         all(cpu.xcr0, kXcr0Tiles) && cpu.may_use_tiles;
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
    cpu.leaf7_edx = edx;
    if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
      cpu.leaf7_1_eax = eax;
    }
  }
  if (all(cpu.leaf1_ecx, kLeaf1EcxOsxsave)) {
    cpu.xcr0 = saved_state();
  }
  if (all(cpu.xcr0, kXcr0Tiles)) {
    // For this process: Linux saves the tiles only of programs that asked.
    cpu.may_use_tiles = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }
  return cpu;
}

}  // namespace appliance::ops
