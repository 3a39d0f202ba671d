// How the kernels for narrow vectors decode each packing of packing.h.
#pragma once

#include "../packing.h"
#include "../unroll.h"

namespace appliance::ops::narrow {

inline constexpr std::size_t kGroupBytes = kPanelRows * 4;  // a byte for each row and each of four columns

// A step of packed weights has kGroups groups of four columns. weights(step) gives some rows' weights of a group, one
// in each byte; `step` points at these rows in the first group of bytes.
template <std::size_t Bits>
struct Layout;

template <>
struct Layout<8> {
  static constexpr std::size_t kGroups = 1;
  template <typename Set, std::size_t Group>
  [[gnu::always_inline]] static typename Set::Bytes weights(const std::uint8_t* step) {
    return Set::load_bytes(step);
  }
};

template <>
struct Layout<4> {
  static constexpr std::size_t kGroups = 2;
  template <typename Set, std::size_t Group>
  [[gnu::always_inline]] static typename Set::Bytes weights(const std::uint8_t* step) {
    return Set::template field<Group * 4, 0, 15>(Set::load_bytes(step));
  }
};

// Below 8 bits, but not 4: halves of bytes as with 4 bits, and behind all of them the upper bits of a step's columns.
template <std::size_t Bits, std::size_t Groups>
struct LayoutWithUpperBits {
  static constexpr std::size_t kGroups = Groups;
  template <typename Set, std::size_t Group>
  [[gnu::always_inline]] static typename Set::Bytes weights(const std::uint8_t* step) {
    constexpr std::size_t upper_bits = Bits - 4;
    constexpr unsigned upper = (1U << upper_bits) - 1;
    const auto low = Set::template field<Group % 2 * 4, 0, 15>(Set::load_bytes(step + Group / 2 * kGroupBytes));
    const auto high = Set::load_bytes(step + Groups / 2 * kGroupBytes);
    return Set::either(low, Set::template field<Group * upper_bits, 4, upper>(high));
  }
};

template <>
struct Layout<6> : LayoutWithUpperBits<6, 4> {};
template <>
struct Layout<5> : LayoutWithUpperBits<5, 8> {};

}  // namespace appliance::ops::narrow
