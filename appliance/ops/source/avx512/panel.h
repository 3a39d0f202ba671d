// Rows of activations times a panel of weights.
#pragma once

#include <immintrin.h>

#include "../kernels.h"
#include "vector.h"

namespace appliance::ops::avx512 {

inline constexpr std::size_t kPanelVectors = kPanelRows / kLanes;
inline constexpr std::size_t kGroupBytes = 4 * kPanelRows;  // of packed weights
inline constexpr std::size_t kTileRows = 6;  // 24 sums, 4 vectors of weights and one of activations fill the registers
inline constexpr std::size_t kPrefetchBytes = 4096;

// sums + weights (unsigned bytes) * activations (signed bytes), four neighbours together.
// Not the intrinsic: with it, GCC 12 copies the sums and takes twice as long.
[[gnu::always_inline]] inline __m512i add_products(__m512i sums, __m512i weights, __m512i activations) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weights), "v"(activations));
  return sums;
}

// The packed weights of a step for the rows of one vector: one vector of each group.
template <std::size_t Groups>
using Step = __m512i[Groups];

// Where to find the low 4 bits of the weights of four columns: they are half of a packed group.
template <std::size_t Four, std::size_t Groups>
[[gnu::always_inline]] inline __m512i nibbles(const Step<Groups>& packed) {
  return Four % 2 == 0 ? packed[Four / 2] : _mm512_srli_epi16(packed[Four / 2], 4);
}

// Four columns of 5 or 6 bits: the nibbles below, and above them bits of the last group, from bit `First` of a byte.
template <std::size_t Four, std::size_t First, int UpperMask, std::size_t Groups>
[[gnu::always_inline]] inline __m512i with_upper_bits(const Step<Groups>& packed) {
  const __m512i bits = packed[Groups - 1];
  const __m512i moved = First <= 4 ? _mm512_slli_epi16(bits, First <= 4 ? 4 - First : 0)
                                   : _mm512_srli_epi16(bits, First > 4 ? First - 4 : 0);
  const __m512i upper = _mm512_and_si512(moved, _mm512_set1_epi8(UpperMask));
  constexpr int kWhereSet = 0xCA;  // of the first operand: the second, else the third
  return _mm512_ternarylogic_epi32(_mm512_set1_epi8(15), nibbles<Four>(packed), upper, kWhereSet);
}

// A layout says how many groups a step of packed weights has, how many times four columns, and what the weights of each
// four columns are.
struct Layout8Bits {
  static constexpr std::size_t kGroups = 1;
  static constexpr std::size_t kFours = 1;
  template <std::size_t Four>
  static __m512i weights(const Step<kGroups>& packed) {
    return packed[0];
  }
};
struct Layout4Bits {
  static constexpr std::size_t kGroups = 1;
  static constexpr std::size_t kFours = 2;
  template <std::size_t Four>
  static __m512i weights(const Step<kGroups>& packed) {
    return _mm512_and_si512(nibbles<Four>(packed), _mm512_set1_epi8(15));
  }
};
struct Layout6Bits {
  static constexpr std::size_t kGroups = 3;
  static constexpr std::size_t kFours = 4;
  template <std::size_t Four>
  static __m512i weights(const Step<kGroups>& packed) {
    return with_upper_bits<Four, 2 * Four, 0x30>(packed);
  }
};
struct Layout5Bits {
  static constexpr std::size_t kGroups = 5;
  static constexpr std::size_t kFours = 8;
  template <std::size_t Four>
  static __m512i weights(const Step<kGroups>& packed) {
    return with_upper_bits<Four, Four, 0x10>(packed);
  }
};

// A step's packed weights for one vector of rows.
template <std::size_t Groups>
[[gnu::always_inline]] inline void load(const std::uint8_t* packed, Step<Groups>& step) {
  unroll<Groups>([&](auto group) __attribute__((always_inline)) {
    step[group] = _mm512_loadu_si512(packed + group * kGroupBytes);
  });
}

// With few rows, a single group stays in registers: GCC would rather load it again for each use. Several groups do not
// fit: the compiler has to load them again, for it cannot tell that the address is the same.
template <std::size_t Rows>
[[gnu::always_inline]] inline void stay(Step<1>& step) {
  if constexpr (Rows <= 4) {
    __asm__("" : "+v"(step[0]));
  }
}
[[gnu::always_inline]] inline const std::uint8_t* same_address(const std::uint8_t* packed) {
  __asm__("" : "+r"(packed));
  return packed;
}

inline __m512i four_activations(const std::int8_t* values) {
  std::int32_t four = 0;
  __builtin_memcpy(&four, values, sizeof four);
  return _mm512_set1_epi32(four);
}

// Scales of 16 rows, from an index of [blocks][64].
[[gnu::always_inline]] inline __m512 scales_at(const PanelTask& task, std::size_t at) {
  if (task.scales != nullptr) {
    return _mm512_loadu_ps(task.scales + at);
  }
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(task.half_scales + at)));
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
  constexpr std::size_t sets = Rows <= 2 ? smaller(Layout::kFours, 2) : 1;
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

  constexpr std::size_t columns = 4 * Layout::kFours;
  constexpr std::size_t step_bytes = Layout::kGroups * kGroupBytes;
  const std::uint8_t* packed = task.weights + start / columns * step_bytes;
  const std::int8_t* values = task.values + row * task.depth;
  for (std::size_t k = start; k < end; k += columns, packed += step_bytes) {
    if constexpr (Prefetch) {
      unroll<step_bytes / 64>([&](auto line) __attribute__((always_inline)) {
        _mm_prefetch(reinterpret_cast<const char*>(packed + kPrefetchBytes + line * 64), _MM_HINT_T0);
      });
    }
    Step<Layout::kGroups> steps[kPanelVectors];
    if constexpr (Layout::kGroups == 1) {
      unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
        load(packed + j * 64, steps[j]);
        stay<Rows>(steps[j]);
      });
    }
    unroll<Layout::kFours>([&](auto four) __attribute__((always_inline)) {
      __m512i weights[kPanelVectors];
      const std::uint8_t* const again = same_address(packed);
      unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
        if constexpr (Layout::kGroups > 1) {
          load(again + j * 64, steps[j]);
        }
        weights[j] = Layout::template weights<four.value>(steps[j]);
      });
      unroll<Rows>([&](auto r) __attribute__((always_inline)) {
        const __m512i activations = four_activations(values + r * task.depth + k + 4 * four);
        constexpr std::size_t set = four % sets * Rows;
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
  __m512 scales[kPanelVectors];
  unroll<kPanelVectors>(
      [&](auto j) __attribute__((always_inline)) { scales[j] = scales_at(task, block * kPanelRows + j * kLanes); });
  const float* offsets = Offsets ? task.offsets + block * kPanelRows : nullptr;
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    const std::size_t i = at + r * task.blocks;
    const __m512 scale = _mm512_set1_ps(task.activation_scales[i]);
    unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
      float* sum = &sums[r][j * kLanes];
      const __m512 factor = _mm512_mul_ps(scale, scales[j]);
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
  for (std::size_t k = 0; k < depth; k += 4 * Layout::kFours, packed += Layout::kGroups * kGroupBytes) {
    unroll<kPanelVectors>([&](auto j) __attribute__((always_inline)) {
      Step<Layout::kGroups> step;
      load(packed + j * 64, step);
      unroll<Layout::kFours>([&](auto four) __attribute__((always_inline)) {
        _mm512_storeu_si512(wide + four * kGroupBytes + j * 64, Layout::template weights<four.value>(step));
      });
    });
    wide += Layout::kFours * kGroupBytes;
  }
}

}  // namespace appliance::ops::avx512
