// Attention over the cache of one head, with the softmax computed block by block.
#pragma once

#include "../head_dims.h"
#include "../kernels.h"
#include "numbers.h"

namespace appliance::ops::narrow {

inline constexpr float kBelowAll = -3e38F;
inline constexpr std::size_t kTileRows = 6;      // of products of floats
inline constexpr std::size_t kTileColumns = 16;  // with them, the sums of a tile fill three quarters of the registers

// c[rows][columns] (+)= a[rows][depth] * b[depth][columns]: each sum runs along the depth in ascending order.
struct Product {
  const float* a;
  std::size_t a_stride;
  const float* b;
  std::size_t b_stride;
  float* c;
  std::size_t c_stride;
  std::size_t columns;  // a multiple of kTileColumns
  bool add;
};

// The depths from `first` to before `end` of a tile.
struct Piece {
  std::size_t row;
  std::size_t first;
  std::size_t end;
  bool add;
};

template <typename Lanes, std::size_t Vectors, std::size_t Rows>
[[gnu::always_inline]] inline void product_tile(const Product& product, const Piece& piece, std::size_t column) {
  using Floats = typename Lanes::Floats;
  constexpr std::size_t lanes = Lanes::kLanes;
  Floats sums[Rows][Vectors];
  float* const c = product.c + piece.row * product.c_stride + column;
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    unroll<Vectors>([&](auto j) __attribute__((always_inline)) {
      sums[r][j] = piece.add ? Lanes::load(c + r * product.c_stride + j * lanes) : Lanes::all(0.0F);
    });
  });
  const float* const a = product.a + piece.row * product.a_stride;
  const float* b = product.b + piece.first * product.b_stride + column;
  for (std::size_t k = piece.first; k < piece.end; ++k, b += product.b_stride) {
    Floats right[Vectors];
    unroll<Vectors>([&](auto j) __attribute__((always_inline)) { right[j] = Lanes::load(b + j * lanes); });
    unroll<Rows>([&](auto r) __attribute__((always_inline)) {
      const Floats left = Lanes::all(a[r * product.a_stride + k]);
      unroll<Vectors>(
          [&](auto j) __attribute__((always_inline)) { sums[r][j] = Lanes::add_product(sums[r][j], left, right[j]); });
    });
  }
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    unroll<Vectors>(
        [&](auto j) __attribute__((always_inline)) { Lanes::store(c + r * product.c_stride + j * lanes, sums[r][j]); });
  });
}

// Few rows take more columns at once: with more sums, an addition does not wait for the one before.
template <typename Lanes, std::size_t Rows>
void product_piece(const Product& product, const Piece& piece) {
  constexpr std::size_t vectors = kTileColumns / Lanes::kLanes;
  constexpr std::size_t wide = Rows == 1 ? 4 : (Rows == 2 ? 2 : 1);
  std::size_t column = 0;
  for (; column + wide * kTileColumns <= product.columns; column += wide * kTileColumns) {
    product_tile<Lanes, wide * vectors, Rows>(product, piece, column);
  }
  for (; wide > 1 && column < product.columns; column += kTileColumns) {
    product_tile<Lanes, vectors, Rows>(product, piece, column);
  }
}

// How deep each row of a product goes. `ends` ascends; null: all rows end at `end`.
struct Depths {
  const std::size_t* ends;
  std::size_t end;
};

template <typename Lanes, std::size_t Rows>
void product_rows(const Product& product, std::size_t row, const Depths& depths) {
  const std::size_t common = depths.ends == nullptr ? depths.end : depths.ends[row];
  product_piece<Lanes, Rows>(product, {row, 0, common, product.add});
  for (std::size_t r = row + 1; depths.ends != nullptr && r < row + Rows; ++r) {
    if (depths.ends[r] > common) {
      product_piece<Lanes, 1>(product, {r, common, depths.ends[r], true});
    }
  }
}

template <typename Lanes>
void multiply_rows(const Product& product, std::size_t first, std::size_t end, const Depths& depths) {
  for (std::size_t row = first; row < end;) {
    const std::size_t rows = tile_rows(end - row, kTileRows);
    switch (rows) {
      case 1:
        product_rows<Lanes, 1>(product, row, depths);
        break;
      case 2:
        product_rows<Lanes, 2>(product, row, depths);
        break;
      case 3:
        product_rows<Lanes, 3>(product, row, depths);
        break;
      case 4:
        product_rows<Lanes, 4>(product, row, depths);
        break;
      case 5:
        product_rows<Lanes, 5>(product, row, depths);
        break;
      default:
        product_rows<Lanes, kTileRows>(product, row, depths);
        break;
    }
    row += rows;
  }
}

// The greatest score of a row so far, and the sum of its weights.
struct RowSoftmax {
  float greatest;
  float total;
};

// Turns the scores of one block into weights; the scores behind the first `valid` may be anything, also NaN.
// Returns the factor for what the row summed up before.
template <typename Lanes>
inline float weigh(float* scores, std::size_t valid, RowSoftmax& row) {
  using Floats = typename Lanes::Floats;
  constexpr std::size_t lanes = Lanes::kLanes;
  for (std::size_t i = valid; i < kCacheBlock; ++i) {
    scores[i] = kBelowAll;
  }
  Floats most = Lanes::all(kBelowAll);
  for (std::size_t i = 0; i < kCacheBlock; i += lanes) {
    most = Lanes::greatest(most, Lanes::load(scores + i));
  }
  const float block_most = Lanes::greatest_of(most);
  const float greatest = row.greatest > block_most ? row.greatest : block_most;
  const Floats shift = Lanes::all(greatest);
  Floats sums[kParts<Lanes>];
  unroll<kParts<Lanes>>([&](auto part) __attribute__((always_inline)) { sums[part] = Lanes::all(0.0F); });
  for (std::size_t start = 0; start < kCacheBlock; start += kPartialSums) {
    unroll<kParts<Lanes>>([&](auto part) __attribute__((always_inline)) {
      const std::size_t i = start + part * lanes;
      const Floats weight = exponential<Lanes>(Lanes::subtract(Lanes::load(scores + i), shift));
      // Behind the valid ones, the weight is zero.
      const Floats kept = Lanes::keep_first(weight, valid > i ? smaller(valid - i, lanes) : 0);
      sums[part] = Lanes::add(sums[part], kept);
      Lanes::store(scores + i, kept);
    });
  }
  const float factor =
      greatest == row.greatest ? 1.0F : Lanes::first(exponential<Lanes>(Lanes::all(row.greatest - greatest)));
  row.total = row.total * factor + total_of<Lanes>(sums);
  row.greatest = greatest;
  return factor;
}

// to[i] = factor * from[i]
template <typename Lanes>
inline void scale_row(const float* from, std::size_t count, float factor, float* to) {
  for (std::size_t i = 0; i < count; i += Lanes::kLanes) {
    Lanes::store(to + i, Lanes::multiply(Lanes::all(factor), Lanes::load(from + i)));
  }
}

// The scores and sums of these rows stay in the first-level cache.
inline constexpr std::size_t kAttendRows = 84;

template <typename Lanes, std::size_t HeadDim>
void attend(const AttendTask& task) noexcept {
  static_assert(HeadDim % kTileColumns == 0 && kCacheBlock % kTileColumns == 0);
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
    const float* const keys = task.keys + start * HeadDim;
    const Product to_scores{task.queries, HeadDim, keys, kCacheBlock, scores, kCacheBlock, kCacheBlock, false};
    multiply_rows<Lanes>(to_scores, first, task.rows, {nullptr, HeadDim});
    for (std::size_t row = first; row < task.rows; ++row) {
      ends[row] = smaller(kCacheBlock, task.positions[row] - start + 1);
      const float factor = weigh<Lanes>(scores + row * kCacheBlock, ends[row], softmax[row]);
      if (factor != 1.0F) {
        scale_row<Lanes>(sums + row * HeadDim, HeadDim, factor, sums + row * HeadDim);
      }
    }
    // Each row reads the values up to its own position only: a later row's NaN times a weight of zero would be NaN.
    const float* const values = task.values + start * HeadDim;
    const Product to_sums{scores, kCacheBlock, values, HeadDim, sums, HeadDim, HeadDim, true};
    multiply_rows<Lanes>(to_sums, first, task.rows, {ends, kCacheBlock});
  }
  for (std::size_t row = 0; row < task.rows; ++row) {
    scale_row<Lanes>(sums + row * HeadDim, HeadDim, 1.0F / softmax[row].total, task.outputs[row]);
  }
}

template <typename Lanes>
AttendKernel attend_for(std::size_t head_dim) noexcept {
  return attend_kernel(head_dim, [](auto dim) -> AttendKernel { return attend<Lanes, dim.value>; });
}

template <typename Lanes>
void rotate(const RotateTask& task) noexcept {
  using Floats = typename Lanes::Floats;
  const Floats scale = Lanes::all(task.scale);
  const auto turn = [&](std::size_t i, const auto& load, const auto& store) __attribute__((always_inline)) {
    const Floats a = load(task.vector + i);
    const Floats b = load(task.vector + task.half + i);
    const Floats c = load(task.cosines + i);
    const Floats s = load(task.sines + i);
    const Floats first = Lanes::product_less(a, c, Lanes::multiply(b, s));
    const Floats second = Lanes::add_product(Lanes::multiply(a, s), b, c);
    store(task.output + i, Lanes::multiply(first, scale));
    store(task.output + task.half + i, Lanes::multiply(second, scale));
  };
  for_each_vector<Lanes>(
      task.half, [&](auto, std::size_t i) __attribute__((always_inline)) { turn(i, Lanes::load, Lanes::store); },
      [&](auto, std::size_t i, std::size_t left) __attribute__((always_inline)) {
        turn(
            i, [left](const float* from) { return load_first<Lanes>(from, left); },
            [left](float* to, Floats vector) { store_first<Lanes>(to, left, vector); });
      });
}

}  // namespace appliance::ops::narrow
