// Rows of activations times a panel of weights.
#pragma once

#include <immintrin.h>

#include "../kernels.h"
#include "vector.h"

namespace appliance::ops::avx512 {

inline constexpr std::size_t kPanelVectors = kPanelRows / kLanes;
inline constexpr std::size_t kStepBytes = 4 * 64;  // of packed weights, loaded at once
inline constexpr std::size_t kTileRows = 6;  // 24 sums, 4 vectors of weights and one of activations fill the registers
inline constexpr std::size_t kPrefetchBytes = 4096;

// sums + weights (unsigned bytes) * activations (signed bytes), four neighbours together.
// Not the intrinsic: with it, GCC 12 copies the sums and takes twice as long.
[[gnu::always_inline]] inline __m512i add_products(__m512i sums, __m512i weights, __m512i activations) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weights), "v"(activations));
  return sums;
}

// A layout says how many groups of four columns a step of packed weights holds, and what the weights of a group are.
struct Layout8Bits {
  static constexpr std::size_t kGroups = 1;
  template <std::size_t Group>
  static __m512i weights(__m512i packed) {
    return packed;
  }
};
struct Layout4Bits {
  static constexpr std::size_t kGroups = 2;
  template <std::size_t Group>
  static __m512i weights(__m512i packed) {
    const __m512i low = _mm512_set1_epi8(15);
    return _mm512_and_si512(Group == 0 ? packed : _mm512_srli_epi16(packed, 4), low);
  }
};

// A step's packed weights. With few rows they stay in a register: GCC would rather load them again for each use.
template <std::size_t Rows>
[[gnu::always_inline]] inline __m512i loaded(const std::uint8_t* bytes) {
  __m512i vector = _mm512_loadu_si512(bytes);
  if constexpr (Rows <= 4) {
    __asm__("" : "+v"(vector));
  }
  return vector;
}

inline __m512i four_activations(const std::int8_t* values) {
  std::int32_t four = 0;
  __builtin_memcpy(&four, values, sizeof four);
  return _mm512_set1_epi32(four);
}

template <std::size_t Rows>
using TileSums = float[Rows][kPanelRows];

// Adds one block: the products as integers, then scaled to floats. The same operations for each row, in the same order.
template <typename Layout, bool Offsets, std::size_t Rows, bool Prefetch>
[[gnu::always_inline]] inline void add_block(const PanelTask& task, std::size_t row, std::size_t block,
                                             TileSums<Rows>& sums) {
  const std::size_t start = block * task.block;
  const std::size_t end = start + smaller(task.block, task.depth - start);
  const std::size_t at = row * task.blocks + block;
  const std::int32_t zero_point = Offsets ? 0 : task.zero_point;

  // Few rows leave registers free: with several sums an addition does not wait for the one before. Integers: exact.
  constexpr std::size_t sets = Rows <= 2 ? Layout::kGroups : 1;
  __m512i products[Rows * sets][kPanelVectors];
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    const __m512i initial = _mm512_set1_epi32(-zero_point * task.sums[at + r * task.blocks]);
    unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
      products[r][j] = initial;
      if constexpr (sets > 1) {
        products[Rows + r][j] = _mm512_setzero_si512();
      }
    });
  });

  constexpr std::size_t step = 4 * Layout::kGroups;
  const std::uint8_t* packed = task.weights + start / step * kStepBytes;
  const std::int8_t* values = task.values + row * task.depth;
  for (std::size_t k = start; k < end; k += step, packed += kStepBytes) {
    __m512i bytes[kPanelVectors];
    unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
      if constexpr (Prefetch) {
        _mm_prefetch(reinterpret_cast<const char*>(packed + kPrefetchBytes + j * 64), _MM_HINT_T0);
      }
      bytes[j] = loaded<Rows>(packed + j * 64);
    });
    unroll<Layout::kGroups>([&](auto group) __attribute__((always_inline)) {
      __m512i weights[kPanelVectors];
      unroll<kPanelVectors>(
          [&](auto j) __attribute__((always_inline)) { weights[j] = Layout::template weights<group.value>(bytes[j]); });
      unroll<Rows>([&](auto r) __attribute__((always_inline)) {
        const __m512i activations = four_activations(values + r * task.depth + k + 4 * group);
        constexpr std::size_t set = group % sets * Rows;
        unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
          products[set + r][j] = add_products(products[set + r][j], weights[j], activations);
        });
      });
    });
  }
  if constexpr (sets > 1) {
    unroll<Rows>([&](auto r) __attribute__((always_inline)) {
      unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
        products[r][j] = _mm512_add_epi32(products[r][j], products[Rows + r][j]);
      });
    });
  }

  // sums += scale of the activations * (scales * products + offsets * sum of the activations)
  const float* scales = task.scales + block * kPanelRows;
  const float* offsets = Offsets ? task.offsets + block * kPanelRows : nullptr;
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    const std::size_t i = at + r * task.blocks;
    const __m512 scale = _mm512_set1_ps(task.activation_scales[i]);
    unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
      float* sum = &sums[r][j * kLanes];
      const __m512 factor = _mm512_mul_ps(scale, _mm512_loadu_ps(scales + j * kLanes));
      __m512 total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[r][j]), factor, _mm512_load_ps(sum));
      if constexpr (Offsets) {
        const __m512 all_values = _mm512_set1_ps(task.activation_scales[i] * static_cast<float>(task.sums[i]));
        total = _mm512_fmadd_ps(all_values, _mm512_loadu_ps(offsets + j * kLanes), total);
      }
      _mm512_store_ps(sum, total);
    });
  });
}

inline __m512 silu(__m512 x) {
  const __m512 e = exponential(_mm512_sub_ps(_mm512_setzero_ps(), x));
  return _mm512_div_ps(x, _mm512_add_ps(e, _mm512_set1_ps(1.0F)));
}

// Writes the columns that the output has; the rest of the last panel is padding.
inline void write_row(const PanelTask& task, std::size_t row, const float* sums) {
  float* output = task.output + row * task.output_stride;
  for (std::size_t column = 0; column < task.columns; column += kLanes) {
    __m512 result = _mm512_load_ps(sums + column);
    if (task.gated) {
      result = _mm512_mul_ps(silu(result), _mm512_load_ps(sums + kPanelRows / 2 + column));
    }
    _mm512_mask_storeu_ps(output + column, first_lanes(task.columns - column), result);
  }
}

template <typename Layout, bool Offsets, std::size_t Rows, bool Prefetch>
void tile(const PanelTask& task, std::size_t row) {
  alignas(64) TileSums<Rows> sums;
  unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
    const __m512 initial = task.bias == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(task.bias + j * kLanes);
    unroll<Rows>([&](auto r) __attribute__((always_inline)) { _mm512_store_ps(&sums[r][j * kLanes], initial); });
  });
  for (std::size_t block = 0; block < task.blocks; ++block) {
    add_block<Layout, Offsets, Rows, Prefetch>(task, row, block, sums);
  }
  for (std::size_t r = 0; r < Rows; ++r) {
    write_row(task, row + r, sums[r]);
  }
}

// Only the first tile prefetches: it brings the panel into the cache for the others.
template <typename Layout, bool Offsets, bool Prefetch>
void tile_of(std::size_t rows, const PanelTask& task, std::size_t row) {
  switch (rows) {
    case 1:
      return tile<Layout, Offsets, 1, Prefetch>(task, row);
    case 2:
      return tile<Layout, Offsets, 2, Prefetch>(task, row);
    case 3:
      return tile<Layout, Offsets, 3, Prefetch>(task, row);
    case 4:
      return tile<Layout, Offsets, 4, Prefetch>(task, row);
    case 5:
      return tile<Layout, Offsets, 5, Prefetch>(task, row);
    default:
      return tile<Layout, Offsets, kTileRows, Prefetch>(task, row);
  }
}

template <typename Layout, bool Offsets>
void multiply_rows(const PanelTask& task) {
  for (std::size_t row = 0; row < task.rows;) {
    const std::size_t rows = tile_rows(task.rows - row, kTileRows);
    row == 0 ? tile_of<Layout, Offsets, true>(rows, task, row) : tile_of<Layout, Offsets, false>(rows, task, row);
    row += rows;
  }
}

template <typename Layout>
void multiply(const PanelTask& task) noexcept {
  task.offsets == nullptr ? multiply_rows<Layout, false>(task) : multiply_rows<Layout, true>(task);
}

template <typename Layout>
void widen(const std::uint8_t* packed, std::size_t depth, std::uint8_t* wide) noexcept {
  for (std::size_t k = 0; k < depth; k += 4 * Layout::kGroups, packed += kStepBytes) {
    unroll<Layout::kGroups>([&](auto group) __attribute__((always_inline)) {
      for (std::size_t j = 0; j < kPanelVectors; ++j, wide += 64) {
        _mm512_storeu_si512(wide, Layout::template weights<group.value>(_mm512_loadu_si512(packed + j * 64)));
      }
    });
  }
}

}  // namespace appliance::ops::avx512
