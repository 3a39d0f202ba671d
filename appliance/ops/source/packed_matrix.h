// A quantised matrix in panels, and the product of activations with it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "attributes.h"
#include "context.h"
#include "kernels.h"
#include "packing.h"
#include "quantised_rows.h"
#include "scratch.h"

namespace appliance::ops {

// What the attributes of a node say about its matrix.
struct MatrixLayout {
  std::size_t depth;  // columns of the matrix, K
  std::size_t rows;   // rows of the matrix, N; of gate and up together if gated
  Packing packing;
  std::size_t block;   // columns that share a scale
  std::size_t blocks;  // of a row
  std::size_t panels;
  bool gated;

  // Checks the attributes; throws a fault.
  static MatrixLayout read(const Attributes& attributes, std::size_t bits, bool gated);

  const PackingFacts& facts() const { return kPackings[static_cast<std::size_t>(packing)]; }
  std::size_t columns() const { return gated ? rows / 2 : rows; }  // of the output
  std::size_t panel_columns() const { return gated ? kPanelRows / 2 : kPanelRows; }
  std::size_t panel_bytes() const { return depth * kPanelRows * facts().bits / 8; }
};

// Checks that a block size is a power of two that the kernels take, or the whole depth; gives the columns of a block.
std::size_t checked_block(const Attributes& attributes, const char* name, std::size_t depth);

// The scales of the blocks, as 32-bit or as 16-bit floats.
struct Scales {
  Tensor<const float> floats;
  Tensor<const Half> halves;

  // The input at this position. Throws a fault if it is absent or has another element type.
  static Scales read(const Context& context, std::size_t index);
};

class PackedMatrix {
 public:
  // Checks the shapes of the tensors; throws a fault. `offsets` and `bias` may be absent.
  PackedMatrix(const MatrixLayout& layout, const Tensor<const std::uint8_t>& packed, const Scales& scales,
               const Tensor<const float>& offsets, const Tensor<const float>& bias);

  // output[rows][columns] = activations * matrix, on all threads. Calls after(first row, end row, panel), on the thread
  // that computed them, while these results are in its cache.
  template <typename AfterPanel>
  void multiply(const Context& context, const Kernels& kernels, ScratchPool& pool, const QuantisedRows& activations,
                float* output, const AfterPanel& after) const;

  std::size_t panel_columns(std::size_t panel) const;

 private:
  // A piece of the product: some rows of activations with some neighbouring panels.
  struct Tiling {
    std::size_t rows;
    std::size_t panels;
    std::size_t row_tasks;
    std::size_t panel_tasks;
  };
  Tiling tiling(const Kernels& kernels, std::size_t rows) const;
  // `wide` has memory for one panel of 8 bits, or is null.
  void multiply_panel(const Kernels& kernels, const QuantisedRows& activations, std::size_t first, std::size_t end,
                      std::size_t panel, std::uint8_t* wide, float* output) const noexcept;
  bool widens(const Kernels& kernels, std::size_t rows) const noexcept;

  MatrixLayout layout_;
  const std::uint8_t* packed_;
  const float* scales_;
  const Half* half_scales_;
  const float* offsets_;
  const float* bias_;
};

template <typename AfterPanel>
void PackedMatrix::multiply(const Context& context, const Kernels& kernels, ScratchPool& pool,
                            const QuantisedRows& activations, float* output, const AfterPanel& after) const {
  if (activations.rows == 1) {
    // Memory bounds this work: each thread reads one run of panels.
    context.split(layout_.panels, [&](std::size_t panel) noexcept {
      multiply_panel(kernels, activations, 0, 1, panel, nullptr, output);
      after(std::size_t{0}, std::size_t{1}, panel);
    });
    return;
  }
  const Tiling tiles = tiling(kernels, activations.rows);
  context.share(tiles.row_tasks * tiles.panel_tasks, [&](std::size_t task) noexcept {
    // Neighbouring tasks share panels: their weights stay in the cache.
    const std::size_t first = task % tiles.row_tasks * tiles.rows;
    const std::size_t end = std::min(activations.rows, first + tiles.rows);
    const std::size_t panel = task / tiles.row_tasks * tiles.panels;
    const std::size_t panel_end = std::min(layout_.panels, panel + tiles.panels);
    // Without memory the results are the same.
    const ScratchPool::Lease wide =
        widens(kernels, end - first) ? pool.take(layout_.depth * kPanelRows) : ScratchPool::Lease(nullptr, nullptr);
    for (std::size_t p = panel; p < panel_end; ++p) {
      multiply_panel(kernels, activations, first, end, p, wide.bytes(), output);
      after(first, end, p);
    }
  });
}

}  // namespace appliance::ops
