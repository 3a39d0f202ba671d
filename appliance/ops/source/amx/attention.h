// Attention over the cache of one head, with the softmax computed block by block. Queries, keys, weights and values are
// rounded to bfloat16, and tiles of AMX add their products to 32-bit floats.
//
// The contexts differ from those of the other kernels, but a row has the same bits whatever rows are computed beside
// it: an instruction adds the products of a row in one fixed order (Intel's Software Developer's Manual, TDPBF16PS).
#pragma once

#include <immintrin.h>

#include "../avx512/attention.h"
#include "../head_dims.h"
#include "../kernels.h"
#include "tiles.h"

namespace appliance::ops::amx {

using avx512::kLanes;
using avx512::RowSoftmax;

using Brain = std::uint16_t;                   // bfloat16
inline constexpr std::size_t kTileDepth = 32;  // bfloat16 in a row of a tile
inline constexpr std::size_t kBlockTiles = kCacheBlock / kLanes;

// Two rows of 16 columns as pairs of bfloat16, as the right factor of a product has them.
[[gnu::always_inline]] inline __m512i pairs(__m512 first, __m512 second) {
  alignas(64) static constexpr Brain kInterleaved[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                         8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512bh halves = _mm512_cvtne2ps_pbh(second, first);
  return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleaved), reinterpret_cast<const __m512i&>(halves));
}

// 2^x for x up to 0, with an error far below what rounding to bfloat16 changes. NaN stays NaN. Below -100 the result is
// 2^-100: it adds nothing to a sum of weights, and its products are no denormals, which the tiles would drop.
[[gnu::always_inline]] inline __m512 power_of_two(__m512 x) {
  const __m512 limited = _mm512_max_ps(_mm512_set1_ps(-100.0F), x);
  const __m512 n = _mm512_roundscale_ps(limited, 0);
  const __m512 r = _mm512_sub_ps(limited, n);
  __m512 p = _mm512_set1_ps(9.6181291e-3F);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.5504109e-2F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4022651e-1F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9314718e-1F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(p, n);
}

template <std::size_t HeadDim>
struct Attention {
  static constexpr std::size_t kDepth = (HeadDim + kTileDepth - 1) / kTileDepth * kTileDepth;
  // The last tile may begin at any row.
  static constexpr std::size_t kRows = AttendTask::kMostRows + kTileRows - 1;
  static constexpr std::size_t kHeadTiles = HeadDim / kLanes;

  alignas(64) Brain queries[kRows][kDepth];
  alignas(64) Brain keys[kBlockTiles][kDepth / 2][kLanes][2];        // pairs of elements of a key
  alignas(64) Brain values[kHeadTiles][kCacheBlock / 2][kLanes][2];  // pairs of positions
  alignas(64) float scores[kTileRows][kCacheBlock];
  alignas(64) Brain weights[kTileRows][kCacheBlock];
  alignas(64) float sums[kRows][HeadDim];

  // Rounds the queries. What tiles read behind the last row, and behind the last element of a head, is zero.
  void begin(const AttendTask& task) {
    const std::size_t rows = task.rows + kTileRows - 1;
    __builtin_memset(queries[task.rows], 0, (rows - task.rows) * sizeof queries[0]);
    __builtin_memset(sums, 0, rows * sizeof sums[0]);
    __builtin_memset(weights, 0, sizeof weights);
    if constexpr (kDepth > HeadDim) {
      __builtin_memset(keys, 0, sizeof keys);
    }
    for (std::size_t row = 0; row < task.rows; ++row) {
      for (std::size_t i = 0; i < kDepth; i += kLanes) {
        const __m512 numbers = i < HeadDim ? _mm512_loadu_ps(task.queries + row * HeadDim + i) : _mm512_setzero_ps();
        const __m256bh rounded = _mm512_cvtneps_pbh(numbers);
        _mm256_store_si256(reinterpret_cast<__m256i*>(&queries[row][i]), reinterpret_cast<const __m256i&>(rounded));
      }
    }
  }

  // Keys of one block: [head dim][64].
  void round_keys(const float* block) {
    for (std::size_t i = 0; i < HeadDim; i += 2) {
      unroll<kBlockTiles>([&](auto j) __attribute__((always_inline)) {
        const float* const first = block + i * kCacheBlock + j * kLanes;
        _mm512_store_si512(keys[j][i / 2], pairs(_mm512_loadu_ps(first), _mm512_loadu_ps(first + kCacheBlock)));
      });
    }
  }

  // Values of one block: [64][head dim]. Those behind the first `valid` become zeros: they may be anything.
  void round_values(const float* block, std::size_t valid) {
    for (std::size_t position = 0; position < kCacheBlock; position += 2) {
      for (std::size_t j = 0; j < kHeadTiles; ++j) {
        const float* const first = block + position * HeadDim + j * kLanes;
        const __m512 upper = position < valid ? _mm512_loadu_ps(first) : _mm512_setzero_ps();
        const __m512 lower = position + 1 < valid ? _mm512_loadu_ps(first + HeadDim) : _mm512_setzero_ps();
        _mm512_store_si512(values[j][position / 2], pairs(upper, lower));
      }
    }
  }

  // scores = queries * keys, for the rows of one tile.
  void multiply_keys(std::size_t row) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (std::size_t i = 0; i < kDepth; i += kTileDepth) {
      _tile_loadd(4, &queries[row][i], sizeof queries[0]);
      _tile_loadd(6, keys[0][i / 2], kTileBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, keys[1][i / 2], kTileBytes);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(6, keys[2][i / 2], kTileBytes);
      _tile_dpbf16ps(2, 4, 6);
      _tile_loadd(7, keys[3][i / 2], kTileBytes);
      _tile_dpbf16ps(3, 4, 7);
    }
    _tile_stored(0, &scores[0][0 * kLanes], sizeof scores[0]);
    _tile_stored(1, &scores[0][1 * kLanes], sizeof scores[0]);
    _tile_stored(2, &scores[0][2 * kLanes], sizeof scores[0]);
    _tile_stored(3, &scores[0][3 * kLanes], sizeof scores[0]);
  }

  // sums += weights * values, for the rows of one tile; the first one's weights are at `of_tile`.
  void multiply_values(std::size_t row, std::size_t of_tile = 0) {
    for (std::size_t j = 0; j < kHeadTiles; ++j) {
      float* const columns = &sums[row][j * kLanes];
      _tile_loadd(0, columns, sizeof sums[0]);
      _tile_loadd(4, &weights[of_tile][0], sizeof weights[0]);
      _tile_loadd(6, values[j][0], kTileBytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(5, &weights[of_tile][kTileDepth], sizeof weights[0]);
      _tile_loadd(7, values[j][kTileDepth / 2], kTileBytes);
      _tile_dpbf16ps(0, 5, 7);
      _tile_stored(0, columns, sizeof sums[0]);
    }
  }

  // Turns the scores of a row into weights, as avx512::weigh does. `Whole`: all 64 scores are valid.
  template <bool Whole>
  float weigh(std::size_t of_tile, std::size_t valid, RowSoftmax& row) {
    const __m512 below_all = _mm512_set1_ps(avx512::kBelowAll);
    const __m512 binary = _mm512_set1_ps(1.44269504F);  // e^x is 2^(x * binary)
    __m512 score[kBlockTiles];
    __mmask16 lanes[kBlockTiles];
    unroll<kBlockTiles>([&](auto j) __attribute__((always_inline)) {
      const float* const from = &scores[of_tile][j * kLanes];
      lanes[j] = Whole ? 0xFFFF : avx512::first_lanes(valid > j * kLanes ? valid - j * kLanes : 0);
      score[j] = Whole ? _mm512_load_ps(from) : _mm512_mask_load_ps(below_all, lanes[j], from);
    });
    __m512 most = below_all;
    unroll<kBlockTiles>([&](auto j) __attribute__((always_inline)) { most = _mm512_max_ps(most, score[j]); });
    const float block_most = _mm512_reduce_max_ps(most);
    const float greatest = row.greatest > block_most ? row.greatest : block_most;
    const __m512 shift = _mm512_set1_ps(greatest);
    __m512 found[kBlockTiles];
    unroll<kBlockTiles>([&](auto j) __attribute__((always_inline)) {
      found[j] = power_of_two(_mm512_mul_ps(_mm512_sub_ps(score[j], shift), binary));
      if constexpr (!Whole) {
        found[j] = _mm512_maskz_mov_ps(lanes[j], found[j]);
      }
    });
    unroll<kBlockTiles / 2>([&](auto j) __attribute__((always_inline)) {
      const __m512bh rounded = _mm512_cvtne2ps_pbh(found[2 * j + 1], found[2 * j]);
      _mm512_store_si512(&weights[of_tile][2 * j * kLanes], reinterpret_cast<const __m512i&>(rounded));
    });
    __m512 sum = _mm512_setzero_ps();
    unroll<kBlockTiles>([&](auto j) __attribute__((always_inline)) { sum = _mm512_add_ps(sum, found[j]); });
    const float factor = greatest == row.greatest
                             ? 1.0F
                             : _mm512_cvtss_f32(avx512::exponential(_mm512_set1_ps(row.greatest - greatest)));
    row.total = row.total * factor + _mm512_reduce_add_ps(sum);
    row.greatest = greatest;
    return factor;
  }
};

// Whether the values that only later rows of the block see are numbers.
template <std::size_t HeadDim>
inline bool are_finite(const float* block, std::size_t first, std::size_t end) {
  const __m512 infinity = _mm512_set1_ps(__builtin_inff());
  __mmask16 finite = 0xFFFF;
  for (std::size_t i = first * HeadDim; i < end * HeadDim; i += kLanes) {
    finite &= _mm512_cmp_ps_mask(_mm512_abs_ps(_mm512_loadu_ps(block + i)), infinity, _CMP_LT_OQ);
  }
  return finite == 0xFFFF;
}

inline void configure_rows(std::size_t rows) {
  TileConfig config;
  for (int i = 0; i < 4; ++i) {
    config.set(i, rows, kTileBytes);
  }
  for (int i = 0; i < 2; ++i) {
    config.set(4 + i, rows, kTileBytes);
    config.set(6 + i, kTileRows, kTileBytes);
  }
  config.load();
}

// The same as multiply_values, with only those values for each row that it sees.
template <std::size_t HeadDim>
void multiply_apart(Attention<HeadDim>& attention, const float* block, const std::size_t* ends, std::size_t first,
                    std::size_t end) {
  configure_rows(1);
  for (std::size_t row = first; row < end; ++row) {
    attention.round_values(block, ends[row]);
    attention.multiply_values(row, row - first);
  }
}

template <std::size_t HeadDim>
void attend(const AttendTask& task) noexcept {
  Attention<HeadDim> attention;
  RowSoftmax softmax[AttendTask::kMostRows];
  std::size_t ends[AttendTask::kMostRows];
  for (std::size_t row = 0; row < task.rows; ++row) {
    softmax[row] = {avx512::kBelowAll, 0.0F};
  }
  const std::size_t tile_rows = smaller(task.rows, kTileRows);
  attention.begin(task);
  configure_rows(tile_rows);

  std::size_t first = 0;  // rows before this one end in an earlier block
  const std::size_t last = task.positions[task.rows - 1];
  for (std::size_t start = 0; start <= last; start += kCacheBlock) {
    while (task.positions[first] < start) {
      ++first;
    }
    const float* const values = task.values + start * HeadDim;
    const std::size_t valid = smaller(kCacheBlock, last - start + 1);
    for (std::size_t row = first; row < task.rows; ++row) {
      ends[row] = smaller(kCacheBlock, task.positions[row] - start + 1);
    }
    attention.round_keys(task.keys + start * HeadDim);
    attention.round_values(values, valid);
    // A value that a row does not see has the weight zero: zero times NaN would be NaN.
    const bool together = ends[first] == valid || are_finite<HeadDim>(values, ends[first], valid);
    for (std::size_t row = first; row < task.rows; row += kTileRows) {
      const std::size_t end = smaller(task.rows, row + kTileRows);
      attention.multiply_keys(row);
      for (std::size_t r = row; r < end; ++r) {
        const float factor = ends[r] == kCacheBlock ? attention.template weigh<true>(r - row, ends[r], softmax[r])
                                                    : attention.template weigh<false>(r - row, ends[r], softmax[r]);
        if (factor != 1.0F) {
          avx512::scale_row<HeadDim>(attention.sums[r], factor);
        }
      }
      if (together) {
        attention.multiply_values(row);
      } else {
        multiply_apart(attention, values, ends, row, end);
        configure_rows(tile_rows);
      }
    }
  }
  _tile_release();
  for (std::size_t row = 0; row < task.rows; ++row) {
    const __m512 factor = _mm512_set1_ps(1.0F / softmax[row].total);
    for (std::size_t i = 0; i < HeadDim; i += kLanes) {
      _mm512_storeu_ps(task.outputs[row] + i, _mm512_mul_ps(factor, _mm512_load_ps(&attention.sums[row][i])));
    }
  }
}

inline AttendKernel attend_for(std::size_t head_dim) noexcept {
  return attend_kernel(head_dim, [](auto dim) -> AttendKernel { return attend<dim.value>; });
}

}  // namespace appliance::ops::amx
