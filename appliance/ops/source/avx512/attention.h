// Attention over the cache of one head, with the softmax computed block by block.
#pragma once

#include <immintrin.h>

#include "../head_dims.h"
#include "../kernels.h"
#include "vector.h"

namespace appliance::ops::avx512 {

inline constexpr float kBelowAll = -3e38F;

// c[Rows][16 * Vectors] (+)= a[Rows][depth] * b[depth][16 * Vectors]: each sum runs along the depth in ascending order.
struct Product {
  const float* a;
  std::size_t a_stride;
  const float* b;
  std::size_t b_stride;
  float* c;
  std::size_t c_stride;
  bool add;
};

template <std::size_t Vectors, std::size_t Rows>
[[gnu::always_inline]] inline void product_tile(const Product& product, std::size_t row, std::size_t first,
                                                std::size_t end, bool add) {
  __m512 sums[Rows][Vectors];
  float* c = product.c + row * product.c_stride;
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    unroll<Vectors>([&](auto j) __attribute__((always_inline)) {
      sums[r][j] = add ? _mm512_loadu_ps(c + r * product.c_stride + j * kLanes) : _mm512_setzero_ps();
    });
  });
  const float* a = product.a + row * product.a_stride;
  const float* b = product.b + first * product.b_stride;
  for (std::size_t k = first; k < end; ++k, b += product.b_stride) {
    __m512 right[Vectors];
    unroll<Vectors>([&](auto j) __attribute__((always_inline)) { right[j] = _mm512_loadu_ps(b + j * kLanes); });
    unroll<Rows>([&](auto r) __attribute__((always_inline)) {
      const __m512 left = _mm512_set1_ps(a[r * product.a_stride + k]);
      unroll<Vectors>([&](auto j)
                          __attribute__((always_inline)) { sums[r][j] = _mm512_fmadd_ps(left, right[j], sums[r][j]); });
    });
  }
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    unroll<Vectors>([&](auto j) __attribute__((always_inline)) {
      _mm512_storeu_ps(c + r * product.c_stride + j * kLanes, sums[r][j]);
    });
  });
}

// How deep each row of a product goes. `ends` ascends; null: all rows end at `end`.
struct Depths {
  const std::size_t* ends;
  std::size_t end;
};

template <std::size_t Vectors, std::size_t Rows>
void product_rows(const Product& product, std::size_t row, const Depths& depths) {
  const std::size_t common = depths.ends == nullptr ? depths.end : depths.ends[row];
  product_tile<Vectors, Rows>(product, row, 0, common, product.add);
  if (depths.ends != nullptr) {
    for (std::size_t r = row + 1; r < row + Rows; ++r) {
      if (depths.ends[r] > common) {
        product_tile<Vectors, 1>(product, r, common, depths.ends[r], true);
      }
    }
  }
}

template <std::size_t Vectors>
void multiply_rows(const Product& product, std::size_t first, std::size_t end, const Depths& depths) {
  constexpr std::size_t most = Vectors > 4 ? 5 : 6;  // what the registers hold
  for (std::size_t row = first; row < end;) {
    const std::size_t rows = tile_rows(end - row, most);
    switch (rows) {
      case 1:
        product_rows<Vectors, 1>(product, row, depths);
        break;
      case 2:
        product_rows<Vectors, 2>(product, row, depths);
        break;
      case 3:
        product_rows<Vectors, 3>(product, row, depths);
        break;
      case 4:
        product_rows<Vectors, 4>(product, row, depths);
        break;
      case 5:
        product_rows<Vectors, 5>(product, row, depths);
        break;
      default:
        product_rows<Vectors, most>(product, row, depths);
        break;
    }
    row += rows;
  }
}

// Up to which factor the earlier sums of a row shrink when a greater score comes, and the weights of the block.
struct RowSoftmax {
  float greatest;
  float total;
};

// Turns the scores of one block into weights; the scores behind the first `valid` may be anything, also NaN.
// Returns the factor for what the row summed up before.
inline float weigh(float* scores, std::size_t valid, RowSoftmax& row) {
  const __m512 below_all = _mm512_set1_ps(kBelowAll);
  constexpr std::size_t vectors = kCacheBlock / kLanes;
  __m512 score[vectors];
  __mmask16 lanes[vectors];
  __m512 most = below_all;
  unroll<vectors>([&](auto j) __attribute__((always_inline)) {
    lanes[j] = first_lanes(valid > j * kLanes ? valid - j * kLanes : 0);
    score[j] = _mm512_mask_loadu_ps(below_all, lanes[j], scores + j * kLanes);
    most = _mm512_max_ps(most, score[j]);
  });
  const float block_most = _mm512_reduce_max_ps(most);
  const float greatest = row.greatest > block_most ? row.greatest : block_most;
  const __m512 shift = _mm512_set1_ps(greatest);
  __m512 sum = _mm512_setzero_ps();
  unroll<vectors>([&](auto j) __attribute__((always_inline)) {
    const __m512 weight = _mm512_maskz_mov_ps(lanes[j], exponential(_mm512_sub_ps(score[j], shift)));
    sum = _mm512_add_ps(sum, weight);
    _mm512_storeu_ps(scores + j * kLanes, weight);
  });
  const float factor =
      greatest == row.greatest ? 1.0F : _mm512_cvtss_f32(exponential(_mm512_set1_ps(row.greatest - greatest)));
  row.total = row.total * factor + _mm512_reduce_add_ps(sum);
  row.greatest = greatest;
  return factor;
}

template <std::size_t HeadDim>
inline void scale_row(float* row, float factor) {
  for (std::size_t i = 0; i < HeadDim; i += kLanes) {
    _mm512_store_ps(row + i, _mm512_mul_ps(_mm512_set1_ps(factor), _mm512_load_ps(row + i)));
  }
}

// In vectors: the columns of a head that one product takes.
template <std::size_t HeadDim>
inline constexpr std::size_t kChunk = HeadDim % 64 == 0 ? 4 : (HeadDim % 80 == 0 ? 5 : 3);

// The scores and sums of these rows stay in the first-level cache.
inline constexpr std::size_t kAttendRows = 84;

template <std::size_t HeadDim>
void attend(const AttendTask& task) noexcept {
  alignas(64) float scores[kAttendRows * kCacheBlock];
  alignas(64) float sums[kAttendRows * HeadDim];
  RowSoftmax softmax[kAttendRows];
  std::size_t ends[kAttendRows];
  for (std::size_t row = 0; row < task.rows; ++row) {
    softmax[row] = {kBelowAll, 0.0F};
  }
  __builtin_memset(sums, 0, task.rows * HeadDim * sizeof(float));

  std::size_t first = 0;  // rows before this one end in an earlier block
  for (std::size_t start = 0; start <= task.positions[task.rows - 1]; start += kCacheBlock) {
    while (task.positions[first] < start) {
      ++first;
    }
    const Product to_scores{task.queries, HeadDim, task.keys + start * HeadDim, kCacheBlock, scores,
                            kCacheBlock,  false};
    multiply_rows<kCacheBlock / kLanes>(to_scores, first, task.rows, {nullptr, HeadDim});
    for (std::size_t row = first; row < task.rows; ++row) {
      ends[row] = smaller(kCacheBlock, task.positions[row] - start + 1);
      const float factor = weigh(scores + row * kCacheBlock, ends[row], softmax[row]);
      if (factor != 1.0F) {
        scale_row<HeadDim>(sums + row * HeadDim, factor);
      }
    }
    // Each row reads the values up to its own position only: a later row's NaN times a weight of zero would be NaN.
    for (std::size_t column = 0; column < HeadDim; column += kChunk<HeadDim> * kLanes) {
      const Product to_sums{scores,  kCacheBlock, task.values + start * HeadDim + column, HeadDim, sums + column,
                            HeadDim, true};
      multiply_rows<kChunk<HeadDim>>(to_sums, first, task.rows, {ends, kCacheBlock});
    }
  }
  for (std::size_t row = 0; row < task.rows; ++row) {
    const __m512 factor = _mm512_set1_ps(1.0F / softmax[row].total);
    for (std::size_t i = 0; i < HeadDim; i += kLanes) {
      _mm512_storeu_ps(task.outputs[row] + i, _mm512_mul_ps(factor, _mm512_load_ps(sums + row * HeadDim + i)));
    }
  }
}

inline AttendKernel attend_for(std::size_t head_dim) noexcept {
  return attend_kernel(head_dim, [](auto dim) -> AttendKernel { return attend<dim.value>; });
}

inline void rotate(const RotateTask& task) noexcept {
  const __m512 scale = _mm512_set1_ps(task.scale);
  for (std::size_t i = 0; i < task.half; i += kLanes) {
    const __mmask16 lanes = first_lanes(task.half - i);
    const __m512 a = _mm512_maskz_loadu_ps(lanes, task.vector + i);
    const __m512 b = _mm512_maskz_loadu_ps(lanes, task.vector + task.half + i);
    const __m512 c = _mm512_maskz_loadu_ps(lanes, task.cosines + i);
    const __m512 s = _mm512_maskz_loadu_ps(lanes, task.sines + i);
    const __m512 first = _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s));
    const __m512 second = _mm512_fmadd_ps(b, c, _mm512_mul_ps(a, s));
    _mm512_mask_storeu_ps(task.output + i, lanes, _mm512_mul_ps(first, scale));
    _mm512_mask_storeu_ps(task.output + task.half + i, lanes, _mm512_mul_ps(second, scale));
  }
}

}  // namespace appliance::ops::avx512
