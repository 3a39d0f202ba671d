#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "checks.h"
#include "conformance.h"
#include "fenced.h"
#include "packed_panel.h"
#include "random.h"
#include "reference.h"

namespace conformance {
namespace {

using appliance::ops::Half;
using appliance::ops::Kernels;
using appliance::ops::kPackings;
using appliance::ops::kPanelRows;
using appliance::ops::PanelTask;

constexpr std::size_t kMostRows = 20;
constexpr std::size_t kManyRows = 130;

enum class Values { kRandom, kExtreme };

// One panel and rows of activations for it, with what they should give.
class Problem {
 public:
  Problem(Random& random, std::size_t bits, std::size_t depth, std::size_t block, std::size_t rows, Values kind)
      : bits_(bits),
        depth_(depth),
        blocks_((depth + block - 1) / block),
        weights_(kPanelRows * depth),
        packed_(packed_bytes(bits, depth)),
        values_(rows * depth),
        activation_scales_(rows * blocks_),
        sums_(rows * blocks_),
        scales_(blocks_ * kPanelRows),
        offsets_(blocks_ * kPanelRows),
        bias_(kPanelRows) {
    const std::size_t greatest = (std::size_t{1} << bits) - 1;
    for (std::uint8_t& weight : weights_) {
      weight = static_cast<std::uint8_t>(kind == Values::kRandom ? random.below(greatest + 1)
                                         : random.below(4) == 0  ? 0
                                                                 : greatest);
    }
    pack(bits, depth, weights_, packed_);
    for (std::size_t row = 0; row < rows; ++row) {
      // Rows of one sign make the greatest sums.
      const int sign = row % 2 == 0 ? 127 : -127;
      for (std::size_t k = 0; k < depth; ++k) {
        values_[row * depth + k] =
            static_cast<std::int8_t>(kind == Values::kRandom ? static_cast<int>(random.below(255)) - 127
                                                             : (row % 4 < 2 || k % 3 ? sign : -sign));
      }
      for (std::size_t b = 0; b < blocks_; ++b) {
        std::int32_t sum = 0;
        for (std::size_t k = b * block; k < std::min(depth, (b + 1) * block); ++k) {
          sum += values_[row * depth + k];
        }
        sums_[row * blocks_ + b] = sum;
        activation_scales_[row * blocks_ + b] = random.real(0.02F);
      }
    }
    for (Fenced<float>* const floats : {&scales_, &offsets_, &bias_}) {
      for (float& number : *floats) {
        number = random.real(0.01F);
      }
    }
    task_.values = values_.get();
    task_.activation_scales = activation_scales_.get();
    task_.sums = sums_.get();
    task_.depth = depth;
    task_.block = block;
    task_.blocks = blocks_;
    task_.weights = packed_.get();
    task_.scales = scales_.get();
  }

  // Scales of 16 bits, instead of those of 32.
  void use_halves(Random& random) {
    halves_ = std::make_unique<Fenced<Half>>(scales_.size());
    for (std::size_t i = 0; i < scales_.size(); ++i) {
      const std::size_t mantissa = random.below(1024);
      const std::size_t exponent = 5 + random.below(4);
      (*halves_)[i].bits = static_cast<std::uint16_t>(exponent << 10 | mantissa);
      scales_[i] = std::ldexp(1.0F + static_cast<float>(mantissa) / 1024.0F, static_cast<int>(exponent) - 15);
    }
    task_.half_scales = halves_->get();
  }

  // Then the results of this row are NaN.
  void spoil(std::size_t row) {
    activation_scales_[row * blocks_ + blocks_ / 2] = std::numeric_limits<float>::quiet_NaN();
    sums_[row * blocks_ + blocks_ / 2] = 0;
    for (std::size_t k = 0; k < depth_; ++k) {
      values_[row * depth_ + k] = k % 2 == 0 ? -128 : 127;
    }
  }

  void use(bool offsets, bool bias, bool gated, std::int32_t zero_point) {
    task_.offsets = offsets ? offsets_.get() : nullptr;
    task_.bias = bias ? bias_.get() : nullptr;
    task_.gated = gated;
    task_.zero_point = zero_point;
  }

  std::vector<float> expected(std::size_t rows) const {
    std::vector<float> results(rows * kPanelRows);
    for (std::size_t row = 0; row < rows; ++row) {
      float* const of_row = &results[row * kPanelRows];
      for (std::size_t column = 0; column < kPanelRows; ++column) {
        of_row[column] = product(task_, row, column, &weights_[column * depth_]);
      }
      for (std::size_t column = 0; task_.gated && column < kPanelRows / 2; ++column) {
        of_row[column] = silu(of_row[column]) * of_row[kPanelRows / 2 + column];
      }
    }
    return results;
  }

  // Runs the kernel for some rows and columns and compares them with `expected`.
  void compare(const Check& check, const Kernels& kernels, const std::vector<float>& expected, std::size_t first,
               std::size_t rows, std::size_t columns, bool widened) const {
    const std::size_t stride = columns + 3;
    Fenced<float> output((rows - 1) * stride + columns);
    PanelTask task = task_;
    if (halves_ != nullptr) {
      task.scales = nullptr;
    }
    task.values += first * depth_;
    task.activation_scales += first * blocks_;
    task.sums += first * blocks_;
    task.rows = rows;
    task.output = output.get();
    task.output_stride = stride;
    task.columns = columns;
    const std::size_t packing = packing_of(bits_);
    if (widened && kernels.wide.takes(depth_, task.block)) {
      Fenced<std::uint8_t> wide(packed_bytes(8, depth_));
      kernels.wide.widen[packing](packed_.get(), depth_, wide.get());
      task.weights = wide.get();
      kernels.wide.multiply(task);
    } else {
      kernels.multiply[packing](task);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < columns; ++column) {
        check.equal(output[row * stride + column], expected[(first + row) * kPanelRows + column],
                    "result of first row, row, column", first, row, column);
      }
      for (std::size_t i = row * stride + columns; i < std::min(output.size(), (row + 1) * stride); ++i) {
        check.require(output.untouched(i), "written behind the columns of row", row);
      }
    }
  }

 private:
  static std::size_t packing_of(std::size_t bits) {
    std::size_t packing = 0;
    while (kPackings[packing].bits != bits) {
      ++packing;
    }
    return packing;
  }

  std::size_t bits_;
  std::size_t depth_;
  std::size_t blocks_;
  std::vector<std::uint8_t> weights_;
  Fenced<std::uint8_t> packed_;
  Fenced<std::int8_t> values_;
  Fenced<float> activation_scales_;
  Fenced<std::int32_t> sums_;
  Fenced<float> scales_;
  std::unique_ptr<Fenced<Half>> halves_;
  Fenced<float> offsets_;
  Fenced<float> bias_;
  PanelTask task_{};
};

void check_packing(const Kernels& kernels, std::size_t packing) {
  const auto [bits, step, zero_point] = kPackings[packing];
  const std::string name = std::to_string(bits) + " bits";
  const bool widens = kernels.wide.widen[packing] != nullptr;
  Random random(bits);
  for (std::size_t variant = 0; variant < 8; ++variant) {
    const bool offsets = (variant & 1U) != 0;
    const bool bias = (variant & 2U) != 0;
    const bool gated = (variant & 4U) != 0;
    const Check check(kernels.name, "multiply, " + name + (offsets ? ", zero points" : "") + (bias ? ", bias" : "") +
                                        (gated ? ", gated" : ""));
    for (std::size_t round = 0; round < 10; ++round) {
      const std::size_t depth = step * (1 + random.below(320 / step));
      const std::size_t block = round % 3 == 0 ? depth : std::max(step, std::size_t{16} << random.below(4));
      const Values kind = round % 2 == 0 ? Values::kRandom : Values::kExtreme;
      Problem problem(random, bits, depth, std::min(block, depth), kMostRows, kind);
      problem.use(offsets, bias, gated, zero_point);
      if (round % 4 < 2) {
        problem.use_halves(random);
      }
      const std::vector<float> expected = problem.expected(kMostRows);
      for (std::size_t rows = 1; rows <= kMostRows; ++rows) {
        const std::size_t columns = 1 + random.below(gated ? kPanelRows / 2 : kPanelRows);
        const std::size_t first = random.below(kMostRows - rows + 1);
        problem.compare(check, kernels, expected, first, rows, columns, widens && rows % 2 == 0);
      }
      problem.compare(check, kernels, expected, 0, kMostRows, gated ? kPanelRows / 2 : kPanelRows, false);
    }
  }
  {
    const Check check(kernels.name, "multiply, " + name + ", a row of NaN beside others");
    for (std::size_t rows = 1; rows <= kMostRows; ++rows) {
      Problem problem(random, bits, 2 * step * 16, step * 16, rows, Values::kRandom);
      problem.use(rows % 2 == 0, false, rows % 3 == 0, zero_point);
      problem.spoil(rows / 2);
      const std::vector<float> expected = problem.expected(rows);
      check.require(std::isnan(expected[rows / 2 * kPanelRows]), "the reference is no NaN");
      problem.compare(check, kernels, expected, 0, rows, kPanelRows / 2, widens && rows % 4 < 2);
    }
  }
  {
    const Check check(kernels.name, "multiply, " + name + ", many rows");
    for (const std::size_t block :
         {std::max(step, std::size_t{16}), std::size_t{32}, std::size_t{64}, std::size_t{128}, std::size_t{2048}}) {
      // More columns than a kernel takes at once.
      Problem problem(random, bits, std::max(std::size_t{1152}, block), block, kManyRows, Values::kRandom);
      problem.use(block == 64, block == 128, false, zero_point);
      const std::vector<float> expected = problem.expected(kManyRows);
      for (const std::size_t rows : {31U, 33U, 48U, 49U, 96U, 97U, 128U, 130U}) {
        problem.compare(check, kernels, expected, kManyRows - rows, rows, kPanelRows, widens);
      }
    }
  }
  const Check check(kernels.name, "multiply, " + name + ", the greatest sums");
  for (const bool offsets : {false, true}) {
    Problem problem(random, bits, appliance::ops::kMostBlock, appliance::ops::kMostBlock, 2, Values::kExtreme);
    problem.use(offsets, false, false, zero_point);
    problem.compare(check, kernels, problem.expected(2), 0, 2, kPanelRows, false);
  }
}

}  // namespace

void check_panels(const Kernels& kernels) {
  for (std::size_t packing = 0; packing < appliance::ops::kPackingCount; ++packing) {
    check_packing(kernels, packing);
  }
}

}  // namespace conformance
