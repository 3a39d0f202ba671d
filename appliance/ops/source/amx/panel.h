// Many rows of activations times a panel of weights, in tiles of AMX. The results have the bits of the AVX-512 kernels:
// the products are exact integers, and the floats are added by the same operations in the same order.
#pragma once

#include <immintrin.h>

#include "../avx512/panel.h"
#include "../kernels.h"
#include "tiles.h"

namespace appliance::ops::amx {

using avx512::kLanes;
using avx512::kPanelVectors;

// Rows of activations and columns of the depth whose operands stay in the caches: activations of 96 rows in the second
// level, and the weights of 16 columns of the output in the first.
inline constexpr std::size_t kChunkRows = 96;
inline constexpr std::size_t kSegment = 1024;
inline constexpr std::size_t kMostBlocks = kSegment / kLeastBlock;
// Fewer rows leave the tiles empty: vectors are as fast.
inline constexpr std::size_t kLeastRows = 12;
// The products of a block are read only when the tiles of the next block were started: a tile, and its way through the
// memory, take longer than the float operations.
inline constexpr std::size_t kLag = 1;
inline constexpr std::size_t kProductTiles = 2;

// The numbers of the tiles: literals, for GCC 12 writes the names of constants into the assembler code.
//   0: sums, 4: activations, 6: weights.

// Columns of the depth that one tile takes.
inline std::size_t tile_depth(std::size_t block) { return smaller(kTileBytes, block); }

// Tiles for `rows` rows, up to 16.
inline void configure(std::size_t rows, std::size_t depth) {
  TileConfig config;
  config.set(0, rows, kTileBytes);
  config.set(4, rows, depth);
  config.set(6, depth / 4, kTileBytes);
  config.load();
}

// A tile takes whole steps of a block.
inline bool takes(std::size_t depth, std::size_t block) noexcept {
  return depth % block == 0 && block % tile_depth(block) == 0;
}

// The weights as signed bytes, their zero point subtracted: [4 vectors of rows][depth / 4][16 rows][4 columns].
template <typename Layout, int ZeroPoint>
void widen(const std::uint8_t* packed, std::size_t depth, std::uint8_t* wide) noexcept {
  const __m512i zero_point = _mm512_set1_epi8(static_cast<char>(ZeroPoint));
  const std::size_t of_vector = depth * kLanes;
  for (std::size_t k = 0; k < depth; k += 4 * Layout::kFours, packed += Layout::kGroups * avx512::kGroupBytes) {
    unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
      avx512::Step<Layout::kGroups> step;
      avx512::load(packed + j * 64, step);
      unroll<Layout::kFours>([&](auto four) __attribute__((always_inline)) {
        const __m512i weights = Layout::template weights<four.value>(step);
        _mm512_store_si512(wide + j * of_vector + k * kLanes + four * 64, _mm512_sub_epi8(weights, zero_point));
      });
    });
  }
}

using Products = std::int32_t[kTileRows][kLanes];

// Neighbouring blocks of the depth.
struct Segment {
  std::size_t first;
  std::size_t blocks;
};

// What the rows of a tile contribute to each block of a segment, beside their values. Zeros behind the last row.
struct RowFactors {
  alignas(64) float scales[kMostBlocks][kTileRows];
  alignas(64) std::int32_t sums[kMostBlocks][kTileRows];

  void read(const PanelTask& task, std::size_t row, std::size_t rows, const Segment& segment, bool with_sums) {
    const __mmask16 lanes = avx512::first_lanes(rows);
    const __m512i one_row = _mm512_set1_epi32(static_cast<std::int32_t>(task.blocks));
    const __m512i at =
        _mm512_mullo_epi32(one_row, _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
    const std::size_t first = row * task.blocks + segment.first;
    for (std::size_t b = 0; b < segment.blocks; ++b) {
      const float* const scale = task.activation_scales + first + b;
      _mm512_store_ps(scales[b], _mm512_mask_i32gather_ps(_mm512_setzero_ps(), lanes, at, scale, sizeof(float)));
      if (with_sums) {
        const std::int32_t* const sum = task.sums + first + b;
        const __m512i zeros = _mm512_setzero_si512();
        _mm512_store_si512(sums[b], _mm512_mask_i32gather_epi32(zeros, lanes, at, sum, sizeof(std::int32_t)));
      }
    }
  }
};

// The products of the values of a tile's rows with the weights of 16 columns, in one block.
[[gnu::always_inline]] inline void multiply_block(const std::int8_t* values, std::size_t depth,
                                                  const std::uint8_t* weights, std::size_t block, std::size_t step,
                                                  Products& products) {
  _tile_zero(0);
  for (std::size_t k = 0; k < block; k += step) {
    _tile_loadd(4, values + k, depth);
    _tile_loadd(6, weights + k * kLanes, kTileBytes);
    _tile_dpbssd(0, 4, 6);
  }
  _tile_stored(0, products, kTileBytes);
}

// See avx512::add_block: the same operations for each row, in the same order.
template <bool Offsets, std::size_t Rows>
[[gnu::always_inline]] inline void add_block(const PanelTask& task, std::size_t at, const Products& products,
                                             const float* row_scales, const std::int32_t* row_sums,
                                             __m512 (&totals)[Rows]) {
  const __m512 scales = avx512::scales_at(task, at);
  const __m512 offsets = Offsets ? _mm512_loadu_ps(task.offsets + at) : _mm512_setzero_ps();
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    const __m512 scale = _mm512_set1_ps(row_scales[r]);
    __m512i exact = _mm512_load_si512(products[r]);
    if constexpr (Offsets) {
      // The products with the weights as they were before their zero point was subtracted.
      exact = _mm512_add_epi32(exact, _mm512_set1_epi32(task.zero_point * row_sums[r]));
    }
    totals[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), _mm512_mul_ps(scale, scales), totals[r]);
    if constexpr (Offsets) {
      const __m512 all_values = _mm512_set1_ps(row_scales[r] * static_cast<float>(row_sums[r]));
      totals[r] = _mm512_fmadd_ps(all_values, offsets, totals[r]);
    }
  });
}

// One tile of results in one segment: `Rows` rows, of which the last ones may be behind the end, and 16 columns.
template <bool Offsets, std::size_t Rows>
void add_tile(const PanelTask& task, const Segment& segment, std::size_t row, std::size_t column,
              const RowFactors& factors, Products (&products)[kProductTiles], float (*sums)[kPanelRows]) {
  const std::size_t step = tile_depth(task.block);
  const std::size_t start = segment.first * task.block;
  const std::int8_t* const values = task.values + row * task.depth + start;
  const std::uint8_t* const weights = task.weights + column * task.depth + start * kLanes;
  __m512 totals[Rows];
  unroll<Rows>([&](auto r) __attribute__((always_inline)) { totals[r] = _mm512_load_ps(sums[r] + column); });
  for (std::size_t b = 0; b < segment.blocks + kLag; ++b) {
    if (b < segment.blocks) {
      multiply_block(values + b * task.block, task.depth, weights + b * task.block * kLanes, task.block, step,
                     products[b % kProductTiles]);
    }
    if (b >= kLag) {
      const std::size_t done = b - kLag;
      add_block<Offsets, Rows>(task, (segment.first + done) * kPanelRows + column, products[done % kProductTiles],
                               factors.scales[done], factors.sums[done], totals);
    }
  }
  unroll<Rows>([&](auto r) __attribute__((always_inline)) { _mm512_store_ps(sums[r] + column, totals[r]); });
}

// All products of tiles of the same number of rows; the floats of a tile are added for `Rows` rows.
template <bool Offsets, std::size_t Rows>
void add_tiles(const PanelTask& task, std::size_t first, std::size_t end, float (*sums)[kPanelRows]) {
  alignas(64) Products products[kProductTiles] = {};
  RowFactors factors[kChunkRows / kTileRows];
  const std::size_t rows = smaller(end - first, kTileRows);
  const std::size_t blocks = task.block >= kSegment ? 1 : kSegment / task.block;
  configure(rows, tile_depth(task.block));
  for (std::size_t block = 0; block < task.blocks; block += blocks) {
    const Segment segment{block, smaller(blocks, task.blocks - block)};
    for (std::size_t row = first; row < end; row += kTileRows) {
      factors[(row - first) / kTileRows].read(task, row, rows, segment, Offsets);
    }
    for (std::size_t column = 0; column < kPanelRows; column += kLanes) {
      for (std::size_t row = first; row < end; row += kTileRows) {
        add_tile<Offsets, Rows>(task, segment, row, column, factors[(row - first) / kTileRows], products,
                                sums + (row - first));
      }
    }
  }
}

template <bool Offsets>
void add_rows(const PanelTask& task, std::size_t first, std::size_t end, float (*sums)[kPanelRows]) {
  const std::size_t whole = first + (end - first) / kTileRows * kTileRows;
  if (whole > first) {
    add_tiles<Offsets, kTileRows>(task, first, whole, sums);
  }
  if (end == whole) {
    return;
  }
  float (*const rest)[kPanelRows] = sums + (whole - first);
  switch ((end - whole - 1) / 4) {
    case 0:
      return add_tiles<Offsets, 4>(task, whole, end, rest);
    case 1:
      return add_tiles<Offsets, 8>(task, whole, end, rest);
    case 2:
      return add_tiles<Offsets, 12>(task, whole, end, rest);
    default:
      return add_tiles<Offsets, kTileRows>(task, whole, end, rest);
  }
}

inline void multiply(const PanelTask& task) noexcept {
  alignas(64) float sums[kChunkRows][kPanelRows];
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
