#include <algorithm>
#include <cmath>
#include <limits>

#include "checks.h"
#include "conformance.h"
#include "fenced.h"
#include "random.h"
#include "reference.h"

namespace conformance {

void check_head(const appliance::ops::Kernels& kernels) {
  Random random(11);
  {
    const Check check(kernels.name, "greatest_key");
    const float strange[] = {std::numeric_limits<float>::quiet_NaN(),
                             -std::numeric_limits<float>::quiet_NaN(),
                             std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity(),
                             0.0F,
                             -0.0F,
                             std::numeric_limits<float>::denorm_min(),
                             -std::numeric_limits<float>::denorm_min()};
    for (std::size_t count = 0; count <= 64; ++count) {
      for (std::size_t round = 0; round < 40; ++round) {
        Fenced<float> numbers(count);
        for (float& number : numbers) {
          number = round < 10 ? strange[random.below(round % 2 == 0 ? 2 : 8)] : random.real(1.0F);
          if (round % 4 == 3) {
            number = -std::max(number, -number);
          }
        }
        check.require(kernels.greatest_key(numbers.get(), count) == greatest_key(numbers.get(), count),
                      "key of count, round", count, round);
      }
    }
  }
  {
    const Check check(kernels.name, "sum_of_exponentials");
    for (std::size_t count = 0; count <= 300; ++count) {
      Fenced<float> numbers(count);
      for (float& number : numbers) {
        number = random.real(20.0F);
      }
      check.equal(kernels.sum_of_exponentials(numbers.get(), count, 19.0F),
                  sum_of_exponentials(numbers.get(), count, 19.0F), "count", count);
    }
    Fenced<float> numbers(100);
    for (float& number : numbers) {
      number = 1.0F;
    }
    for (const std::size_t where : {0, 63, 64, 99}) {
      numbers[where] = std::numeric_limits<float>::quiet_NaN();
      check.require(std::isnan(kernels.sum_of_exponentials(numbers.get(), 100, 1.0F)), "NaN is lost at", where);
      numbers[where] = 1.0F;
    }
  }
  const Check check(kernels.name, "dot");
  for (std::size_t round = 0; round < 300; ++round) {
    const std::size_t depth = 1 + random.below(500);
    const std::size_t block = round % 4 == 0 ? depth : std::size_t{16} << random.below(4);
    Fenced<float> activations(depth);
    Fenced<std::uint8_t> values(depth);
    Fenced<float> scales((depth + block - 1) / block);
    for (float& number : activations) {
      number = random.real(2.0F);
    }
    for (std::uint8_t& value : values) {
      value = static_cast<std::uint8_t>(random.below(256));
    }
    for (float& scale : scales) {
      scale = random.real(0.01F);
    }
    const appliance::ops::DotTask task{activations.get(), values.get(), scales.get(), depth, block};
    check.equal(kernels.dot(task), dot(task), "depth, block", depth, block);
  }
}

}  // namespace conformance
