// Rows of activations times a panel of weights. `Set` is a class of Lanes that also multiplies bytes: see
// avx2/products.h.
#pragma once

#include "../kernels.h"
#include "layout.h"
#include "numbers.h"

namespace appliance::ops::narrow {

inline constexpr std::size_t kPrefetchBytes = 4096;

// Scales of the rows of one vector, from an index of [blocks][64].
template <typename Lanes>
[[gnu::always_inline]] inline typename Lanes::Floats scales_at(const PanelTask& task, std::size_t at) {
  return task.scales != nullptr ? Lanes::load(task.scales + at) : Lanes::load_halves(task.half_scales + at);
}

template <std::size_t Rows>
using TileSums = float[Rows][kPanelRows];

// Some rows of activations.
struct Tile {
  std::size_t row;
  std::size_t prefetch;  // how far ahead, in bytes; 0: not at all
};

// Adds one block for some columns of the output: the products as integers, then scaled to floats. The same operations
// for each row, in the same order.
template <typename Set, std::size_t Bits, std::size_t Rows>
[[gnu::always_inline]] inline void add_block(const PanelTask& task, const Tile& tile, std::size_t block,
                                             std::size_t column, TileSums<Rows>& sums) {
  using Format = Layout<Bits>;
  using Floats = typename Set::Floats;
  using Ints = typename Set::Ints;
  constexpr std::size_t lanes = Set::kLanes;
  constexpr std::size_t vectors = Set::vectors(Rows);
  const std::size_t start = block * task.block;
  const std::size_t end = start + smaller(task.block, task.depth - start);
  const std::size_t at = tile.row * task.blocks + block;
  // What the weights have too much: the set may have subtracted a part already.
  const std::int32_t zero_point = (task.offsets == nullptr ? task.zero_point : 0) - Set::template kSubtracted<Bits>;

  Ints products[Rows][vectors];
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    const Ints initial = Set::all(-zero_point * task.sums[at + r * task.blocks]);
    unroll<vectors>([&](auto j) __attribute__((always_inline)) { products[r][j] = initial; });
  });

  constexpr std::size_t step = 4 * Format::kGroups;
  constexpr std::size_t step_bytes = step * kPanelRows * Bits / 8;
  const std::uint8_t* packed = task.weights + start / step * step_bytes + column * 4;
  const std::int8_t* values = task.values + tile.row * task.depth;
  for (std::size_t k = start; k < end; k += step, packed += step_bytes) {
    unroll<step_bytes / kGroupBytes>([&](auto part) __attribute__((always_inline)) {
      for (std::size_t line = 0; line < vectors * lanes * 4; line += 64) {
        __builtin_prefetch(packed + tile.prefetch + part * kGroupBytes + line);
      }
    });
    constexpr std::size_t together = Set::template kGroupsTogether<Bits>;
    unroll<Format::kGroups / together>([&](auto set) __attribute__((always_inline)) {
      typename Set::template Weights<Bits> weights[vectors][together];
      unroll<together>([&](auto i) __attribute__((always_inline)) {
        constexpr std::size_t group = set.value * together + i.value;
        unroll<vectors>([&](auto j) __attribute__((always_inline)) {
          const std::uint8_t* const at_vector = packed + j * lanes * 4;
          weights[j][i] = Set::template prepared<Bits>(Format::template weights<Set, group>(at_vector));
        });
      });
      unroll<Rows>([&](auto r) __attribute__((always_inline)) {
        typename Set::Bytes activations[together];
        unroll<together>([&](auto i) __attribute__((always_inline)) {
          activations[i] = Set::four_activations(values + r * task.depth + k + 4 * (set * together + i));
        });
        unroll<vectors>([&](auto j) __attribute__((always_inline)) {
          products[r][j] = Set::template add_products<Bits>(products[r][j], weights[j], activations);
        });
      });
    });
  }

  // sums += scale of the activations * (scales * products + offsets * sum of the activations)
  const std::size_t of_block = block * kPanelRows + column;
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    const std::size_t i = at + r * task.blocks;
    const Floats scale = Set::all(task.activation_scales[i]);
    const Floats all_values = Set::all(task.activation_scales[i] * static_cast<float>(task.sums[i]));
    unroll<vectors>([&](auto j) __attribute__((always_inline)) {
      float* const sum = &sums[r][column + j * lanes];
      const Floats factor = Set::multiply(scale, scales_at<Set>(task, of_block + j * lanes));
      Floats total = Set::add_product(Set::load(sum), Set::floats(products[r][j]), factor);
      if (task.offsets != nullptr) {
        const Floats offsets = Set::load(task.offsets + of_block + j * lanes);
        total = Set::add_product(total, all_values, offsets);
      }
      Set::store(sum, total);
    });
  });
}

template <typename Lanes>
inline typename Lanes::Floats silu(typename Lanes::Floats x) {
  const typename Lanes::Floats e = exponential<Lanes>(Lanes::subtract(Lanes::all(0.0F), x));
  return Lanes::divide(x, Lanes::add(e, Lanes::all(1.0F)));
}

// Writes the columns that the output has; the rest of the last panel is padding.
template <typename Lanes>
inline void write_row(const PanelTask& task, std::size_t row, const float* sums) {
  float* const output = task.output + row * task.output_stride;
  for (std::size_t column = 0; column < task.columns; column += Lanes::kLanes) {
    typename Lanes::Floats result = Lanes::load(sums + column);
    if (task.gated) {
      result = Lanes::multiply(silu<Lanes>(result), Lanes::load(sums + kPanelRows / 2 + column));
    }
    if (task.columns - column >= Lanes::kLanes) {
      Lanes::store(output + column, result);
    } else {
      store_first<Lanes>(output + column, task.columns - column, result);
    }
  }
}

template <typename Set, std::size_t Bits, std::size_t Rows>
void multiply_tile(const PanelTask& task, const Tile& tile) {
  alignas(64) TileSums<Rows> sums;
  for (std::size_t r = 0; r < Rows; ++r) {
    if (task.bias == nullptr) {
      __builtin_memset(sums[r], 0, sizeof sums[r]);
    } else {
      __builtin_memcpy(sums[r], task.bias, sizeof sums[r]);
    }
  }
  for (std::size_t block = 0; block < task.blocks; ++block) {
    for (std::size_t column = 0; column < kPanelRows; column += Set::vectors(Rows) * Set::kLanes) {
      add_block<Set, Bits, Rows>(task, tile, block, column, sums);
    }
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    write_row<typename Set::Lanes>(task, tile.row + r, sums[r]);
  }
}

template <typename Set, std::size_t Bits, std::size_t Rows = Set::kTileRows>
void multiply_some(std::size_t rows, const PanelTask& task, const Tile& tile) {
  if constexpr (Rows > 1) {
    if (rows < Rows) {
      return multiply_some<Set, Bits, Rows - 1>(rows, task, tile);
    }
  }
  multiply_tile<Set, Bits, Rows>(task, tile);
}

template <typename Set, std::size_t Bits>
void multiply(const PanelTask& task) noexcept {
  for (std::size_t row = 0; row < task.rows;) {
    const std::size_t rows = tile_rows(task.rows - row, Set::kTileRows);
    // Only the first tile prefetches: it brings the panel into the cache for the others.
    multiply_some<Set, Bits>(rows, task, {row, row == 0 ? kPrefetchBytes : 0});
    row += rows;
  }
}

template <typename Set, std::size_t Bits>
void widen(const std::uint8_t* packed, std::size_t depth, std::uint8_t* wide) noexcept {
  using Format = Layout<Bits>;
  constexpr std::size_t step = 4 * Format::kGroups;
  for (std::size_t k = 0; k < depth; k += step, packed += step * kPanelRows * Bits / 8) {
    unroll<Format::kGroups>([&](auto group) __attribute__((always_inline)) {
      for (std::size_t i = 0; i < kGroupBytes; i += Set::kLanes * 4, wide += Set::kLanes * 4) {
        Set::store_bytes(wide, Format::template weights<Set, group.value>(packed + i));
      }
    });
  }
}

}  // namespace appliance::ops::narrow
