// The checks of one set of kernels. Each prints lines, and ends the program with status 1 at the first difference.
#pragma once

#include "kernels.h"

namespace conformance {

void check_quantise(const appliance::ops::Kernels& kernels);
void check_panels(const appliance::ops::Kernels& kernels);
void check_attention(const appliance::ops::Kernels& kernels);
void check_rotate(const appliance::ops::Kernels& kernels);
void check_head(const appliance::ops::Kernels& kernels);
// Which kernels CPUs of several kinds get.
void check_choice();

}  // namespace conformance
