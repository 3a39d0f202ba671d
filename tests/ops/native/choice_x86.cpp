// The choice for CPUs that the machine of the test is not.
#include <cstring>

#include "checks.h"
#include "conformance.h"

namespace conformance {
namespace {

using appliance::ops::Cpu;

// Bits of CPUID and XCR0, from Intel's Software Developer's Manual.
constexpr std::uint32_t kFma = 1U << 12;
constexpr std::uint32_t kOsxsave = 1U << 27;
constexpr std::uint32_t kF16c = 1U << 29;
constexpr std::uint32_t kAvx2 = 1U << 5;
constexpr std::uint32_t kAvx512[] = {1U << 16, 1U << 17, 1U << 30, 1U << 31};
constexpr std::uint32_t kAllAvx512 = 0xC0030000U;
constexpr std::uint32_t kAvx512Vnni = 1U << 11;
constexpr std::uint32_t kAvxVnni = 1U << 4;
constexpr std::uint32_t kAvx512Bf16 = 1U << 5;
constexpr std::uint32_t kAmx[] = {1U << 22, 1U << 24, 1U << 25};
constexpr std::uint32_t kAllAmx = 0x03400000U;
constexpr std::uint32_t kAvxState = 0x07;
constexpr std::uint32_t kAvx512State = 0xE7;
constexpr std::uint32_t kTilesState = 0x600E7;

constexpr Cpu kWithAmx{
    kFma | kOsxsave | kF16c, kAvx2 | kAllAvx512, kAvx512Vnni, kAllAmx, kAvxVnni | kAvx512Bf16, kTilesState, true,
};
constexpr Cpu kWithoutAmx{
    kFma | kOsxsave | kF16c, kAvx2 | kAllAvx512, kAvx512Vnni, 0, kAvxVnni, kAvx512State, false,
};

void expect(const Check& check, const Cpu& cpu, const char* name) {
  const appliance::ops::Kernels* const chosen = appliance::ops::kernels_for(cpu);
  const char* const found = chosen == nullptr ? "none" : chosen->name;
  check.require(std::strcmp(found, name) == 0, found);
}

}  // namespace

void check_choice() {
  {
    const Check check("choice", "AMX before the others, if nothing of it is missing and the system permits it");
    expect(check, kWithAmx, "amx");
    for (const std::uint32_t missing : kAmx) {
      Cpu cpu = kWithAmx;
      cpu.leaf7_edx &= ~missing;
      expect(check, cpu, "avx512_vnni");
    }
    Cpu cpu = kWithAmx;
    cpu.leaf7_1_eax &= ~kAvx512Bf16;
    expect(check, cpu, "avx512_vnni");
    cpu = kWithAmx;
    cpu.xcr0 = kAvx512State;
    expect(check, cpu, "avx512_vnni");
    cpu = kWithAmx;
    cpu.may_use_tiles = false;
    expect(check, cpu, "avx512_vnni");
  }
  {
    const Check check("choice", "AVX-512 VNNI before the others");
    expect(check, kWithoutAmx, "avx512_vnni");
    Cpu cpu = kWithoutAmx;
    cpu.leaf7_1_eax = 0;
    expect(check, cpu, "avx512_vnni");
  }
  {
    const Check check("choice", "a part of AVX-512 is missing, or the system does not save its registers");
    for (const bool vnni : {false, true}) {
      const char* const name = vnni ? "avx_vnni" : "avx2";
      Cpu base = kWithoutAmx;
      base.leaf7_1_eax = vnni ? kAvxVnni : 0;
      for (const std::uint32_t missing : kAvx512) {
        Cpu cpu = base;
        cpu.leaf7_ebx &= ~missing;
        expect(check, cpu, name);
      }
      Cpu cpu = base;
      cpu.leaf7_ecx = 0;
      expect(check, cpu, name);
      cpu = base;
      cpu.xcr0 = kAvxState;
      expect(check, cpu, name);
    }
  }
  {
    const Check check("choice", "AVX2, FMA or F16C is missing, or the system does not save the registers");
    Cpu cpu{};
    expect(check, cpu, "none");
    for (const std::uint32_t missing : {kFma, kF16c}) {
      cpu = kWithoutAmx;
      cpu.leaf1_ecx &= ~missing;
      expect(check, cpu, "none");
    }
    cpu = kWithoutAmx;
    cpu.leaf7_ebx &= ~kAvx2;
    expect(check, cpu, "none");
    for (const std::uint32_t saved : {0U, 1U, 3U, 5U}) {
      cpu = kWithoutAmx;
      cpu.xcr0 = saved;
      expect(check, cpu, "none");
    }
  }
}

}  // namespace conformance
