// The only translation unit that is compiled for AMX, beside what the AVX-512 kernels need.
#include "amx/panel.h"
#include "kernels.h"

namespace appliance::ops {

void multiply_with_amx(const PanelTask& task) noexcept { amx::multiply(task); }

}  // namespace appliance::ops
