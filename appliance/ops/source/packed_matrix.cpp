#include "packed_matrix.h"

#include <algorithm>

#include "sizes.h"

namespace appliance::ops {
namespace {

constexpr std::size_t kMostDepth = std::size_t{1} << 20;
constexpr std::size_t kMostRows = std::size_t{1} << 24;

// Products of a task, at least: handing out a task costs far less than these.
constexpr std::size_t kTaskProducts = std::size_t{1} << 21;

constexpr bool is_power_of_two(std::size_t number) { return number != 0 && (number & (number - 1)) == 0; }

Packing packing_of(std::size_t bits) {
  for (std::size_t i = 0; i < kPackingCount; ++i) {
    if (kPackings[i].bits == bits) {
      return static_cast<Packing>(i);
    }
  }
  throw Fault(ORT_NOT_IMPLEMENTED,
              "the attribute bits is " + std::to_string(bits) + ", and the operator has 4, 5, 6 and 8");
}

}  // namespace

std::size_t checked_block(const Attributes& attributes, const char* name, std::size_t depth) {
  const std::size_t block = attributes.integer(name, 1, kMostDepth);
  require(block == depth || (is_power_of_two(block) && block >= kLeastBlock), "the attribute ", name, " is ", block,
          ", and needs a power of two from ", kLeastBlock, ", or the whole row of ", depth);
  require(std::min(block, depth) <= kMostBlock, "the attribute ", name, " is ", block, ", and sums of more than ",
          kMostBlock, " products would overflow");
  return std::min(block, depth);
}

MatrixLayout MatrixLayout::read(const Attributes& attributes, std::size_t bits, bool gated) {
  MatrixLayout layout{};
  layout.packing = packing_of(bits);
  layout.gated = gated;
  layout.depth = attributes.integer("K", 1, kMostDepth);
  layout.rows = attributes.integer("N", 1, kMostRows);
  require(layout.depth % layout.facts().depth_step == 0, "the attribute K is ", layout.depth,
          ", and needs a multiple of ", layout.facts().depth_step);
  require(!gated || layout.rows % 2 == 0, "the attribute N is ", layout.rows,
          ", and gate and up need the same rows each");
  layout.block = checked_block(attributes, "block_size", layout.depth);
  require(layout.block % layout.facts().depth_step == 0, "the attribute block_size is ", layout.block,
          ", and needs a multiple of ", layout.facts().depth_step);
  layout.blocks = quotient_up(layout.depth, layout.block);
  layout.panels = quotient_up(layout.rows, kPanelRows);
  return layout;
}

Scales Scales::read(const Context& context, std::size_t index) {
  Scales scales;
  if (context.has_type<Half>(index)) {
    scales.halves = context.input<Half>(index, "scales");
  } else {
    scales.floats = context.input<float>(index, "scales");
  }
  return scales;
}

PackedMatrix::PackedMatrix(const MatrixLayout& layout, const Tensor<const std::uint8_t>& packed, const Scales& scales,
                           const Tensor<const float>& offsets, const Tensor<const float>& bias)
    : layout_(layout),
      packed_(packed.elements),
      scales_(scales.floats.elements),
      half_scales_(scales.halves.elements),
      offsets_(offsets.elements),
      bias_(bias.elements) {
  const Shape of_blocks{layout.panels, layout.blocks, kPanelRows};
  const std::size_t step = layout.facts().depth_step;
  packed.require_shape({layout.panels, layout.depth / step, layout.facts().step_groups() * kPanelRows, 4});
  if (scales.halves.present) {
    scales.halves.require_shape(of_blocks);
  } else {
    scales.floats.require_shape(of_blocks);
  }
  if (offsets.present) {
    offsets.require_shape(of_blocks);
  }
  if (bias.present) {
    bias.require_shape({layout.panels * kPanelRows});
  }
}

std::size_t PackedMatrix::panel_columns(std::size_t panel) const {
  const std::size_t columns = layout_.panel_columns();
  return std::min(columns, layout_.columns() - panel * columns);
}

PackedMatrix::Tiling PackedMatrix::tiling(const Kernels& kernels, std::size_t rows) const {
  Tiling tiles{};
  // A few rows more than a task should have are no task of their own.
  tiles.rows = rows > kernels.task_rows + kernels.task_rows / 3 ? kernels.task_rows : std::max<std::size_t>(rows, 1);
  tiles.row_tasks = quotient_up(rows, tiles.rows);
  tiles.panels = std::min(layout_.panels, quotient_up(kTaskProducts, tiles.rows * layout_.depth * kPanelRows));
  tiles.panel_tasks = quotient_up(layout_.panels, tiles.panels);
  return tiles;
}

bool PackedMatrix::widens(const Kernels& kernels, std::size_t rows) const noexcept {
  const WidePanels& wide = kernels.wide;
  return rows >= wide.least_rows && wide.widen[static_cast<std::size_t>(layout_.packing)] != nullptr &&
         wide.takes(layout_.depth, layout_.block);
}

void PackedMatrix::multiply_panel(const Kernels& kernels, const QuantisedRows& activations, std::size_t first,
                                  std::size_t end, std::size_t panel, std::uint8_t* wide,
                                  float* output) const noexcept {
  const std::size_t of_panel = panel * layout_.blocks * kPanelRows;
  const std::size_t columns = layout_.columns();
  PanelTask task{};
  task.values = activations.values + first * layout_.depth;
  task.activation_scales = activations.scales + first * layout_.blocks;
  task.sums = activations.sums + first * layout_.blocks;
  task.rows = end - first;
  task.depth = layout_.depth;
  task.block = layout_.block;
  task.blocks = layout_.blocks;
  task.weights = packed_ + panel * layout_.panel_bytes();
  task.scales = scales_ == nullptr ? nullptr : scales_ + of_panel;
  task.half_scales = half_scales_ == nullptr ? nullptr : half_scales_ + of_panel;
  task.offsets = offsets_ == nullptr ? nullptr : offsets_ + of_panel;
  task.zero_point = layout_.facts().zero_point;
  task.bias = bias_ == nullptr ? nullptr : bias_ + panel * kPanelRows;
  task.gated = layout_.gated;
  task.output = output + first * columns + panel * layout_.panel_columns();
  task.output_stride = columns;
  task.columns = panel_columns(panel);
  const auto packing = static_cast<std::size_t>(layout_.packing);
  if (wide == nullptr) {
    kernels.multiply[packing](task);
    return;
  }
  kernels.wide.widen[packing](task.weights, layout_.depth, wide);
  task.weights = wide;
  kernels.wide.multiply(task);
}

}  // namespace appliance::ops
