// The only translation unit that is compiled for AMX, beside what the AVX-512 kernels need.
#include "amx/attention.h"
#include "amx/panel.h"
#include "kernels.h"

namespace appliance::ops {

constexpr WidePanels kAmxPanels = {{amx::widen<avx512::Layout8Bits, 128>, amx::widen<avx512::Layout4Bits, 8>,
                                    amx::widen<avx512::Layout6Bits, 32>, amx::widen<avx512::Layout5Bits, 16>},
                                   amx::multiply,
                                   amx::kLeastRows,
                                   amx::takes};

AttendKernel amx_attend_for(std::size_t head_dim) noexcept { return amx::attend_for(head_dim); }

}  // namespace appliance::ops
