// The only translation unit that is compiled for AVX-512 (F, BW, DQ, VL, VNNI) and FMA.
#include "avx512/attention.h"
#include "avx512/head.h"
#include "avx512/panel.h"
#include "avx512/quantise.h"
#include "kernels.h"

namespace appliance::ops {

namespace {

constexpr std::size_t kWidenedRows = 48;
bool takes_all(std::size_t, std::size_t) noexcept { return true; }

constexpr WidePanels kWidePanels = {{nullptr, avx512::widen<avx512::Layout4Bits>, avx512::widen<avx512::Layout6Bits>,
                                     avx512::widen<avx512::Layout5Bits>},
                                    avx512::multiply<avx512::Layout8Bits>,
                                    kWidenedRows,
                                    takes_all};

using AttendFor = AttendKernel (*)(std::size_t head_dim) noexcept;

constexpr Kernels kernels_with(const char* name, const WidePanels& wide, std::size_t task_rows, AttendFor attend_for,
                               std::size_t attend_rows) {
  return {
      name,
      avx512::quantise,
      {avx512::multiply<avx512::Layout8Bits>, avx512::multiply<avx512::Layout4Bits>,
       avx512::multiply<avx512::Layout6Bits>, avx512::multiply<avx512::Layout5Bits>},
      wide,
      task_rows,
      avx512::rotate,
      attend_for,
      attend_rows,
      avx512::greatest_key,
      avx512::dot,
      avx512::sum_of_exponentials,
  };
}

}  // namespace

constexpr Kernels kAvx512Kernels =
    kernels_with("avx512_vnni", kWidePanels, 96, avx512::attend_for, avx512::kAttendRows);
constexpr Kernels kAmxKernels = kernels_with("amx", kAmxPanels, 256, amx_attend_for, AttendTask::kMostRows);

}  // namespace appliance::ops
