// The table of kernels of a set.
#pragma once

#include "../kernels.h"
#include "attention.h"
#include "head.h"
#include "panel.h"
#include "quantise.h"

namespace appliance::ops::narrow {

// Where a set multiplies few bits faster than bytes, it widens none.
template <typename Set, std::size_t Bits>
constexpr WidenKernel widen_for() {
  if constexpr (Bits == 8 || !Set::kWidens) {
    return nullptr;
  } else {
    return widen<Set, Bits>;
  }
}

inline constexpr std::size_t kWidenedRows = 48;
inline constexpr std::size_t kTaskRows = 96;
inline bool takes_all(std::size_t, std::size_t) noexcept { return true; }

template <typename Set, std::size_t... Packing>
constexpr WidePanels wide_panels_of(std::index_sequence<Packing...>) {
  return {{widen_for<Set, kPackings[Packing].bits>()...}, multiply<Set, 8>, kWidenedRows, takes_all};
}

template <typename Set>
inline constexpr WidePanels kWidePanels = wide_panels_of<Set>(std::make_index_sequence<kPackingCount>{});

template <typename Set, std::size_t... Packing>
constexpr Kernels kernels_of(const char* name, std::index_sequence<Packing...>) {
  using Lanes = typename Set::Lanes;
  return {name,
          quantise<Lanes>,
          {multiply<Set, kPackings[Packing].bits>...},
          kWidePanels<Set>,
          kTaskRows,
          rotate<Lanes>,
          attend_for<Lanes>,
          kAttendRows,
          greatest_key<Lanes>,
          dot<Lanes>,
          sum_of_exponentials<Lanes>};
}

// A packing of packing.h needs its Layout; then it is in all these tables.
template <typename Set>
constexpr Kernels kernels_of(const char* name) {
  return kernels_of<Set>(name, std::make_index_sequence<kPackingCount>{});
}

}  // namespace appliance::ops::narrow
