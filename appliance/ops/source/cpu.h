// What the CPU can do, and the operating system lets programs use.
#pragma once

namespace appliance::ops {

// AVX-512 F, BW, DQ, VL and VNNI, with FMA; and the system saves the wide registers of a thread.
bool has_avx512_vnni() noexcept;

}  // namespace appliance::ops
