// Many rows of activations times a panel of bytes, in tiles of AMX. The results have the bits of the AVX-512 kernels:
// the products are exact integers, and the floats are added by the same operations in the same order.
#pragma once

#include <immintrin.h>

#include "../avx512/panel.h"
#include "../kernels.h"

namespace appliance::ops::amx {

using avx512::kLanes;

inline constexpr std::size_t kTileRows = 16;
inline constexpr std::size_t kTileBytes = 64;  // of a row of a tile: 64 bytes to multiply, or 16 sums
inline constexpr std::size_t kGroupRows = 2 * kTileRows;
inline constexpr std::size_t kGroupColumns = 2 * kLanes;
// Their sums stay in the first-level cache.
inline constexpr std::size_t kChunkRows = 96;
// Fewer rows leave the tiles empty: vectors are as fast.
inline constexpr std::size_t kLeastRows = 12;

// The tiles: sums of 2 x 2, two of activations, two of weights.
enum Tile : int { kSums = 0, kActivations = 4, kWeights = 6 };

// Intel's Software Developer's Manual, volume 1, 18.2: palette 1.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  void set(int tile, std::size_t tile_rows, std::size_t bytes) {
    rows[tile] = static_cast<std::uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }
};

// Columns of the depth that one tile takes.
inline std::size_t tile_depth(const PanelTask& task) { return smaller(kTileBytes, task.block); }

// Tiles for groups of `rows` rows, up to 32.
inline void configure(std::size_t rows, std::size_t depth) {
  TileConfig config;
  for (int of_two = 0; of_two < 2; ++of_two) {
    const std::size_t above = of_two == 0 ? 0 : kTileRows;
    const std::size_t tile_rows = rows > above ? smaller(rows - above, kTileRows) : 0;
    if (tile_rows > 0) {
      config.set(kSums + 2 * of_two, tile_rows, kTileBytes);
      config.set(kSums + 2 * of_two + 1, tile_rows, kTileBytes);
      config.set(kActivations + of_two, tile_rows, depth);
    }
    config.set(kWeights + of_two, depth / 4, kTileBytes);
  }
  // Not the intrinsic: GCC 12 does not see that it reads the memory.
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

using Products = std::int32_t[kTileRows][kLanes];
using Sums = float[kChunkRows][kPanelRows];

// The products of one block: activations of a group, of one or two tiles of rows, times 32 rows of the weights.
template <bool Two>
[[gnu::always_inline]] inline void multiply_block(const std::int8_t* values, std::size_t depth,
                                                  const std::uint8_t* weights, std::size_t block, std::size_t step,
                                                  Products (&products)[4]) {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (Two) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::size_t k = 0; k < block; k += step) {
    const std::uint8_t* const packed = weights + k / 4 * avx512::kGroupBytes;
    _tile_loadd(4, values + k, depth);
    _tile_loadd(6, packed, avx512::kGroupBytes);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, packed + kTileBytes, avx512::kGroupBytes);
    _tile_dpbsud(1, 4, 7);
    if constexpr (Two) {
      _tile_loadd(5, values + kTileRows * depth + k, depth);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
  }
  _tile_stored(0, products[0], kTileBytes);
  _tile_stored(1, products[1], kTileBytes);
  if constexpr (Two) {
    _tile_stored(2, products[2], kTileBytes);
    _tile_stored(3, products[3], kTileBytes);
  }
}

// See avx512::add_block: the same operations for each row, in the same order.
template <bool Offsets>
[[gnu::always_inline]] inline void add_products(const PanelTask& task, std::size_t first, std::size_t rows,
                                                std::size_t block, std::size_t column, const Products (&products)[4],
                                                float (*sums)[kPanelRows]) {
  const std::size_t of_block = block * kPanelRows + column;
  __m512 scales[2];
  __m512 offsets[2];
  unroll<2>([&](auto j) __attribute__((always_inline)) {
    const std::size_t at = of_block + j * kLanes;
    scales[j] = avx512::scales_at(task, at);
    offsets[j] = Offsets ? _mm512_loadu_ps(task.offsets + at) : _mm512_setzero_ps();
  });
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t i = (first + r) * task.blocks + block;
    const __m512i initial = _mm512_set1_epi32(Offsets ? 0 : -task.zero_point * task.sums[i]);
    const __m512 scale = _mm512_set1_ps(task.activation_scales[i]);
    unroll<2>([&](auto j) __attribute__((always_inline)) {
      const __m512i exact =
          _mm512_add_epi32(_mm512_load_si512(products[r / kTileRows * 2 + j][r % kTileRows]), initial);
      float* const sum = sums[r] + column + j * kLanes;
      __m512 total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), _mm512_mul_ps(scale, scales[j]), _mm512_load_ps(sum));
      if constexpr (Offsets) {
        const __m512 all_values = _mm512_set1_ps(task.activation_scales[i] * static_cast<float>(task.sums[i]));
        total = _mm512_fmadd_ps(all_values, offsets[j], total);
      }
      _mm512_store_ps(sum, total);
    });
  }
}

// All products of groups of the same number of rows.
template <bool Offsets, bool Two>
void add_groups(const PanelTask& task, std::size_t first, std::size_t end, float (*sums)[kPanelRows]) {
  const std::size_t step = tile_depth(task);
  alignas(64) Products products[4];
  configure(smaller(end - first, kGroupRows), step);
  for (std::size_t block = 0; block < task.blocks; ++block) {
    const std::size_t start = block * task.block;
    const std::uint8_t* const weights = task.weights + start / 4 * avx512::kGroupBytes;
    for (std::size_t row = first; row < end; row += kGroupRows) {
      for (std::size_t column = 0; column < kPanelRows; column += kGroupColumns) {
        multiply_block<Two>(task.values + row * task.depth + start, task.depth, weights + 4 * column, task.block, step,
                            products);
        add_products<Offsets>(task, row, smaller(end - row, kGroupRows), block, column, products, sums + (row - first));
      }
    }
  }
}

template <bool Offsets>
void add_rows(const PanelTask& task, std::size_t first, std::size_t end, Sums& sums) {
  const std::size_t whole = first + (end - first) / kGroupRows * kGroupRows;
  if (whole > first) {
    add_groups<Offsets, true>(task, first, whole, sums);
  }
  if (end - whole > kTileRows) {
    add_groups<Offsets, true>(task, whole, end, sums + (whole - first));
  } else if (end > whole) {
    add_groups<Offsets, false>(task, whole, end, sums + (whole - first));
  }
}

inline void multiply(const PanelTask& task) noexcept {
  // A tile takes whole steps of a block.
  if (task.rows < kLeastRows || task.depth % task.block != 0 || task.block % tile_depth(task) != 0) {
    kAvx512Kernels.multiply[static_cast<std::size_t>(Packing::k8Bits)](task);
    return;
  }
  alignas(64) Sums sums;
  for (std::size_t first = 0; first < task.rows; first += kChunkRows) {
    const std::size_t end = smaller(task.rows, first + kChunkRows);
    for (std::size_t r = 0; r < end - first; ++r) {
      for (std::size_t column = 0; column < kPanelRows; column += kLanes) {
        const __m512 initial = task.bias == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(task.bias + column);
        _mm512_store_ps(sums[r] + column, initial);
      }
    }
    task.offsets == nullptr ? add_rows<false>(task, first, end, sums) : add_rows<true>(task, first, end, sums);
    for (std::size_t r = 0; r < end - first; ++r) {
      avx512::write_row(task, first + r, sums[r]);
    }
  }
  // The operating system saves tiles only while they are in use.
  _tile_release();
}

}  // namespace appliance::ops::amx
