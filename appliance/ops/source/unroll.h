// Loops that all kernels share. In an unnamed namespace: files with different instruction sets include this header, and
// the linker would otherwise keep one copy of a function for all of them.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace appliance::ops {
namespace {

constexpr std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

// body(integral_constant 0), body(integral_constant 1), …: unrolled by each compiler, so that arrays stay in registers.
// Bodies are marked to be inlined: Clang leaves the large ones as functions of their own, with all sums in memory.
template <typename Body, std::size_t... Index>
[[gnu::always_inline]] inline void unroll(const Body& body, std::index_sequence<Index...>) {
  (body(std::integral_constant<std::size_t, Index>{}), ...);
}
template <std::size_t Count, typename Body>
[[gnu::always_inline]] inline void unroll(const Body& body) {
  unroll(body, std::make_index_sequence<Count>{});
}

// How many of `left` rows the next tile takes: tiles of `most` rows, and the last two about equal.
constexpr std::size_t tile_rows(std::size_t left, std::size_t most) {
  return left <= most ? left : (left < 2 * most ? (left + 1) / 2 : most);
}

}  // namespace
}  // namespace appliance::ops
