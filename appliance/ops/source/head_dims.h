// The head dimensions that all kernels have. In an unnamed namespace: see unroll.h.
#pragma once

#include <cstddef>
#include <type_traits>

#include "kernels.h"

namespace appliance::ops {
namespace {

// kernel_of(integral_constant head dim), or null for a head dim without a kernel.
template <typename KernelOf>
inline AttendKernel attend_kernel(std::size_t head_dim, const KernelOf& kernel_of) noexcept {
  switch (head_dim) {
    case 64:
      return kernel_of(std::integral_constant<std::size_t, 64>{});
    case 80:
      return kernel_of(std::integral_constant<std::size_t, 80>{});
    case 96:
      return kernel_of(std::integral_constant<std::size_t, 96>{});
    case 128:
      return kernel_of(std::integral_constant<std::size_t, 128>{});
    case 256:
      return kernel_of(std::integral_constant<std::size_t, 256>{});
    default:
      return nullptr;
  }
}

}  // namespace
}  // namespace appliance::ops
