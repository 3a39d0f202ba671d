#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "checks.h"
#include "conformance.h"
#include "fenced.h"
#include "random.h"
#include "reference.h"

namespace conformance {
namespace {

using appliance::ops::AttendTask;
using appliance::ops::kCacheBlock;
using appliance::ops::Kernels;

constexpr std::size_t kCapacity = 4 * kCacheBlock;

// Queries at ascending positions, and a cache that is NaN behind the last of them.
struct Problem {
  Problem(Random& random, std::size_t dim, std::vector<std::size_t> of_rows, float most)
      : head_dim(dim),
        positions(std::move(of_rows)),
        queries(positions.size() * dim),
        keys(kCapacity * dim),
        values(kCapacity * dim) {
    std::sort(positions.begin(), positions.end());
    for (float& number : queries) {
      number = random.real(most);
    }
    for (std::size_t i = 0; i < kCapacity * dim; ++i) {
      const bool seen = i / dim <= positions.back();
      const std::size_t position = i / (kCacheBlock * dim) * kCacheBlock + i % kCacheBlock;
      values[i] = seen ? random.real(1.0F) : std::numeric_limits<float>::quiet_NaN();
      keys[i] = position <= positions.back() ? random.real(1.0F) : std::numeric_limits<float>::quiet_NaN();
    }
  }

  // The contexts of the rows from `first` to before `end`.
  std::vector<float> run(const Kernels& kernels, std::size_t first, std::size_t end) const {
    const std::size_t rows = end - first;
    Fenced<float> contexts(rows * head_dim);
    Fenced<std::size_t> at(rows);
    std::copy(positions.begin() + static_cast<std::ptrdiff_t>(first),
              positions.begin() + static_cast<std::ptrdiff_t>(end), at.get());
    std::vector<float*> outputs;
    for (std::size_t row = 0; row < rows; ++row) {
      outputs.push_back(contexts.get() + row * head_dim);
    }
    kernels.attend(head_dim)(
        {queries.get() + first * head_dim, rows, at.get(), keys.get(), values.get(), outputs.data()});
    return std::vector<float>(contexts.begin(), contexts.end());
  }

  std::size_t head_dim;
  std::vector<std::size_t> positions;
  Fenced<float> queries;
  Fenced<float> keys;
  Fenced<float> values;
};

// What the kernels compute for one row, and how far it may be from the exact context if the queries are up to 1. With
// greater ones, the scores are greater, and so are their errors.
struct Arithmetic {
  std::vector<float> (*context)(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                                const float* values);
  double error;

  static Arithmetic of([[maybe_unused]] const Kernels& kernels) {
#if defined(__x86_64__)
    if (&kernels == &appliance::ops::kAmxKernels) {
      return {rounded_attention, 3e-2};
    }
#endif
    return {attention, 2e-4};
  }
};

std::vector<std::size_t> random_positions(Random& random, std::size_t rows) {
  std::vector<std::size_t> positions(rows);
  const std::size_t first = random.below(kCapacity - 20);
  for (std::size_t& position : positions) {
    position = rows % 2 == 0 ? first + random.below(20) : random.below(kCapacity);
  }
  return positions;
}

void check_head_dim(const Kernels& kernels, std::size_t head_dim) {
  Random random(head_dim);
  const Arithmetic arithmetic = Arithmetic::of(kernels);
  const std::string name = "attend, head dimension " + std::to_string(head_dim);
  {
    const Check check(kernels.name, name);
    for (const std::size_t rows :
         {1UL, 2UL, 3UL, 4UL, 5UL, 6UL, 7UL, 8UL, 9UL, 10UL, 11UL, 13UL, 14UL, 20UL, kernels.attend_rows}) {
      const float most = rows % 3 == 0 ? 20.0F : 0.3F;
      const Problem problem(random, head_dim, random_positions(random, rows), most);
      const std::vector<float> found = problem.run(kernels, 0, rows);
      for (std::size_t row = 0; row < rows; ++row) {
        const float* const query = problem.queries.get() + row * head_dim;
        const std::size_t position = problem.positions[row];
        const auto expected = arithmetic.context(query, position, head_dim, problem.keys.get(), problem.values.get());
        const auto exact = exact_attention(query, position, head_dim, problem.keys.get(), problem.values.get());
        for (std::size_t i = 0; i < head_dim; ++i) {
          check.equal(found[row * head_dim + i], expected[i], "context of rows, row, element", rows, row, i);
          const double error = std::fabs(double{expected[i]} - exact[i]);
          check.require(error < arithmetic.error * std::max(1.0F, most),
                        "far from the exact context: rows, row, element", rows, row, i);
        }
      }
    }
  }
  {
    const Check check(kernels.name, name + ", rows beside others");
    const Problem problem(random, head_dim, random_positions(random, 20), 1.0F);
    const std::vector<float> together = problem.run(kernels, 0, 20);
    for (std::size_t round = 0; round < 40; ++round) {
      const std::size_t first = round % 20;
      const std::size_t end = round < 20 ? first + 1 : first + 1 + random.below(20 - first);
      const std::vector<float> apart = problem.run(kernels, first, end);
      for (std::size_t i = 0; i < apart.size(); ++i) {
        check.equal(apart[i], together[first * head_dim + i], "context of first row, end, element", first, end, i);
      }
    }
  }
  const Check check(kernels.name, name + ", NaN and infinity");
  for (const float strange : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (std::size_t bad = 0; bad < 20; ++bad) {
      Problem problem(random, head_dim, random_positions(random, 20), 1.0F);
      const std::vector<float> clean = problem.run(kernels, 0, 20);
      problem.queries[bad * head_dim + random.below(head_dim)] = strange;
      // A value that only later rows see.
      const std::size_t seen = problem.positions[bad];
      const bool of_cache = bad + 1 < 20 && problem.positions[bad + 1] > seen;
      if (of_cache) {
        problem.values[(seen + 1) * head_dim + random.below(head_dim)] = strange;
      }
      const std::vector<float> found = problem.run(kernels, 0, 20);
      // One that is not NaN only if it sees nothing but scores of minus infinity.
      const auto expected = arithmetic.context(problem.queries.get() + bad * head_dim, problem.positions[bad], head_dim,
                                               problem.keys.get(), problem.values.get());
      for (std::size_t row = 0; row < 20; ++row) {
        for (std::size_t i = 0; i < head_dim; ++i) {
          const float context = found[row * head_dim + i];
          if (row == bad) {
            check.equal(context, expected[i], "context of the bad row, element", row, i);
          } else if (row < bad || !of_cache) {
            check.equal(context, clean[row * head_dim + i], "context of bad row, row, element", bad, row, i);
          }
        }
      }
    }
  }
}

}  // namespace

void check_attention(const Kernels& kernels) {
  for (const std::size_t head_dim : {64, 80, 96, 128, 256}) {
    check_head_dim(kernels, head_dim);
  }
  const Check check(kernels.name, "attend, other head dimensions");
  for (std::size_t head_dim = 0; head_dim <= 512; ++head_dim) {
    const bool supported = head_dim == 64 || head_dim == 80 || head_dim == 96 || head_dim == 128 || head_dim == 256;
    check.require((kernels.attend(head_dim) != nullptr) == supported, "a kernel for", head_dim);
  }
}

void check_rotate(const Kernels& kernels) {
  const Check check(kernels.name, "rotate");
  Random random(7);
  for (std::size_t half = 1; half <= 128; ++half) {
    Fenced<float> vector(2 * half);
    Fenced<float> cosines(half);
    Fenced<float> sines(half);
    Fenced<float> output(2 * half);
    for (Fenced<float>* const numbers : {&vector, &cosines, &sines}) {
      for (float& number : *numbers) {
        number = random.real(2.0F);
      }
    }
    const appliance::ops::RotateTask task{vector.get(), cosines.get(), sines.get(), half, 0.3F, output.get()};
    kernels.rotate(task);
    const std::vector<float> expected = rotated(task);
    for (std::size_t i = 0; i < 2 * half; ++i) {
      check.equal(output[i], expected[i], "element of half, element", half, i);
    }
  }
}

}  // namespace conformance
