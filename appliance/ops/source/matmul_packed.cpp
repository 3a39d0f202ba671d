#include "matmul_packed.h"

namespace appliance::ops {

MatMulPacked::MatMulPacked(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels)
    : layout_(MatrixLayout::read(attributes, attributes.integer("bits", 1, 8), attributes.integer("gated", 0, 1) == 1)),
      scratch_(std::move(scratch)),
      kernels_(kernels) {}

void MatMulPacked::compute(const Context& context) const {
  const auto x = context.input<float>(0, "x");
  const PackedMatrix matrix(layout_, context.input<std::uint8_t>(1, "packed"), Scales::read(context, 2),
                            context.optional_input<float>(3, "offsets"), context.optional_input<float>(4, "bias"));
  require(x.shape.rank() > 0 && x.shape[x.shape.rank() - 1] == layout_.depth, "the input x has the shape ",
          x.shape.text(), ", and its last dimension needs ", layout_.depth);
  const std::size_t rows = x.shape.elements(0, x.shape.rank() - 1);
  Shape shape = x.shape;
  shape.replace_last(layout_.columns());
  float* const y = context.output(0, shape);
  if (rows == 0) {
    return;
  }
  const auto step = scratch_->steps.take(QuantisedRows::bytes(rows, layout_.depth, layout_.blocks));
  const auto activations =
      QuantisedRows::quantise(context, kernels_, x.elements, rows, layout_.depth, layout_.block, step.required_bytes());
  matrix.multiply(context, kernels_, scratch_->tasks, activations, y,
                  [](std::size_t, std::size_t, std::size_t) noexcept {});
}

}  // namespace appliance::ops
