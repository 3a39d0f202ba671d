#include <cmath>
#include <limits>
#include <vector>

#include "checks.h"
#include "conformance.h"
#include "fenced.h"
#include "random.h"
#include "reference.h"

namespace conformance {
namespace {

struct Rounded {
  Rounded(std::size_t rows, std::size_t depth, std::size_t blocks)
      : values(rows * depth), scales(rows * blocks), sums(rows * blocks) {}
  Fenced<std::int8_t> values;
  Fenced<float> scales;
  Fenced<std::int32_t> sums;
};

void compare(const Check& check, const appliance::ops::Kernels& kernels, const Fenced<float>& activations,
             std::size_t rows, std::size_t depth, std::size_t block) {
  const std::size_t blocks = (depth + block - 1) / block;
  Rounded found(rows, depth, blocks);
  kernels.quantise({activations.get(), rows, depth, block, found.values.get(), found.scales.get(), found.sums.get()});
  std::vector<std::int8_t> values(block);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::size_t first = row * depth + b * block;
      const std::size_t count = std::min(block, depth - b * block);
      float scale = 0;
      std::int32_t sum = 0;
      quantise_block(activations.get() + first, count, values.data(), &scale, &sum);
      check.equal(found.scales[row * blocks + b], scale, "scale of row, block", row, b);
      check.require(found.sums[row * blocks + b] == sum, "sum of row, block", row, b);
      for (std::size_t i = 0; !std::isnan(scale) && i < count; ++i) {
        check.require(found.values[first + i] == values[i], "value of row, block, column", row, b, i);
      }
    }
  }
}

}  // namespace

void check_quantise(const appliance::ops::Kernels& kernels) {
  Random random(1);
  {
    const Check check(kernels.name, "quantise");
    for (std::size_t round = 0; round < 200; ++round) {
      const std::size_t depth = 4 * (1 + random.below(80));
      const std::size_t block = round % 5 == 0 ? depth : std::size_t{16} << random.below(4);
      const std::size_t rows = 1 + random.below(4);
      Fenced<float> activations(rows * depth);
      const float most = std::ldexp(1.0F, static_cast<int>(random.below(200)) - 110);
      for (float& number : activations) {
        number = random.below(10) == 0 ? 0.0F : random.real(most);
      }
      compare(check, kernels, activations, rows, depth, std::min(block, depth));
    }
  }
  {
    const Check check(kernels.name, "quantise numbers half-way between two integers");
    Fenced<float> activations(256);
    for (std::size_t i = 0; i < 256; ++i) {
      activations[i] = static_cast<float>(i % 128) * (i < 128 ? 1.0F : -1.0F) - 0.5F;
    }
    activations[0] = 127.0F;
    activations[128] = -127.0F;
    compare(check, kernels, activations, 1, 256, 256);
  }
  const Check check(kernels.name, "quantise NaN, infinities and the smallest numbers");
  const float strange[] = {std::numeric_limits<float>::quiet_NaN(),  -std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity(),   -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
                           std::numeric_limits<float>::min(),        0.0F};
  for (const float number : strange) {
    for (std::size_t at = 0; at < 100; ++at) {
      for (const float others : {0.0F, 1e-38F, 1.0F}) {
        Fenced<float> activations(3 * 100);
        for (std::size_t i = 0; i < activations.size(); ++i) {
          activations[i] = i < 100 || i >= 200 ? random.real(1.0F) : random.real(others);
        }
        activations[100 + at] = number;
        compare(check, kernels, activations, 3, 100, 32);
      }
    }
  }
}

}  // namespace conformance
