#include "rescored_head.h"

#include <algorithm>

#include "candidates.h"
#include "sizes.h"

namespace appliance::ops {
namespace {

constexpr std::size_t kCoarseBits = 4;

}  // namespace

RescoredHead::RescoredHead(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels)
    : layout_(MatrixLayout::read(attributes, kCoarseBits, false)),
      tokens_(attributes.integer("tokens", 1, layout_.rows)),
      table_block_(checked_block(attributes, "table_block", layout_.depth)),
      table_blocks_((layout_.depth + table_block_ - 1) / table_block_),
      scratch_(std::move(scratch)),
      kernels_(kernels) {}

void RescoredHead::compute(const Context& context) const {
  const auto x = context.input<float>(0, "x");
  const PackedMatrix matrix(layout_, context.input<std::uint8_t>(1, "packed"), Scales::read(context, 2),
                            context.optional_input<float>(3, "offsets"), Tensor<const float>{});
  const auto table = context.input<std::uint8_t>(4, "table");
  const auto table_scales = context.input<float>(5, "table_scales");
  x.require_rank(2);
  const std::size_t rows = x.shape[0];
  x.require_shape({rows, layout_.depth});
  table.require_shape({layout_.rows, layout_.depth});
  table_scales.require_shape({layout_.rows, table_blocks_});
  float* const logits = context.output(0, {rows, layout_.rows});
  if (rows == 0) {
    return;
  }
  const std::size_t of_activations = QuantisedRows::bytes(rows, layout_.depth, layout_.blocks);
  const std::size_t of_row = Candidates::bytes(layout_.panels, tokens_);
  const std::size_t of_keys = aligned(rows * layout_.panels * sizeof(std::int32_t));
  const auto step = scratch_->steps.take(of_activations + of_keys + rows * of_row);
  unsigned char* const memory = step.required_bytes();
  auto* const keys = reinterpret_cast<std::int32_t*>(memory + of_activations);
  unsigned char* const of_rows = memory + of_activations + of_keys;

  const auto activations =
      QuantisedRows::quantise(context, kernels_, x.elements, rows, layout_.depth, layout_.block, memory);
  matrix.multiply(context, kernels_, scratch_->tasks, activations, logits,
                  [&](std::size_t first, std::size_t end, std::size_t panel) noexcept {
                    for (std::size_t row = first; row < end; ++row) {
                      const float* const of_panel = logits + row * layout_.rows + panel * kPanelRows;
                      keys[row * layout_.panels + panel] = kernels_.greatest_key(of_panel, matrix.panel_columns(panel));
                    }
                  });
  context.share(rows, [&](std::size_t row) noexcept {
    rescore({table.elements, table_scales.elements}, x.elements + row * layout_.depth, keys + row * layout_.panels,
            of_rows + row * of_row, logits + row * layout_.rows);
  });
}

void RescoredHead::rescore(const Table& table, const float* x, const std::int32_t* keys, unsigned char* memory,
                           float* logits) const noexcept {
  const Candidates candidates = Candidates::of(logits, layout_.rows, keys, tokens_, memory);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::size_t id = candidates.id(i);
    logits[id] = kernels_.dot(
        {x, table.values + id * layout_.depth, table.scales + id * table_blocks_, layout_.depth, table_block_});
  }
}

}  // namespace appliance::ops
