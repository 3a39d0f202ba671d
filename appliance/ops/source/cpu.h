// What a CPU can do, and the operating system lets programs use.
#pragma once

#include <cstdint>

namespace appliance::ops {

#if defined(__x86_64__)

// The registers of CPUID that tell of vector instructions, and XCR0: the registers that the system saves for a thread.
struct Cpu {
  std::uint32_t leaf1_ecx;
  std::uint32_t leaf7_ebx;
  std::uint32_t leaf7_ecx;
  std::uint32_t leaf7_edx;
  std::uint32_t leaf7_1_eax;
  std::uint32_t xcr0;
  bool may_use_tiles;  // Linux permitted it
};

// AMX's tiles, and their products of bytes and of bfloat16; AVX-512 BF16, and all of has_avx512_vnni.
bool has_amx(const Cpu& cpu) noexcept;

// AVX-512 F, BW, DQ, VL and VNNI; AVX2, FMA and F16C.
bool has_avx512_vnni(const Cpu& cpu) noexcept;
// AVX-VNNI; AVX2, FMA and F16C.
bool has_avx_vnni(const Cpu& cpu) noexcept;
// AVX2, FMA and F16C.
bool has_avx2(const Cpu& cpu) noexcept;

#elif defined(__aarch64__)

// What the system says in AT_HWCAP.
struct Cpu {
  unsigned long hwcap;
};

// NEON with the dot product (FEAT_DotProd).
bool has_neon_dot(const Cpu& cpu) noexcept;

#endif

Cpu this_cpu() noexcept;

}  // namespace appliance::ops
