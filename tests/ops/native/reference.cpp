#include "reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace conformance {
namespace {

constexpr std::size_t kPartialSums = 16;

// The two halves are added until one number is left.
float total_of(float (&sums)[kPartialSums]) {
  for (std::size_t half = kPartialSums / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) {
      sums[i] += sums[i + half];
    }
  }
  return sums[0];
}

std::size_t key_at(std::size_t position, std::size_t i, std::size_t head_dim) {
  const std::size_t block = appliance::ops::kCacheBlock;
  return (position / block * head_dim + i) * block + position % block;
}

// Rounded to bfloat16: to the nearest number, ties to even.
float rounded(float x) {
  if (!std::isfinite(x)) {
    return x;
  }
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7FFFU + (bits >> 16 & 1U)) & 0xFFFF0000U;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// What tiles of AMX add to `sum`: 32 products after 32, those of even and of odd places apart (Intel's Software
// Developer's Manual, TDPBF16PS).
float tile_product(float sum, const float* left, const float* right, std::size_t count) {
  constexpr std::size_t depth = 32;
  for (std::size_t first = 0; first < count; first += depth) {
    float parts[2] = {};
    for (std::size_t i = first; i < std::min(count, first + depth); ++i) {
      parts[i % 2] = std::fma(rounded(left[i]), rounded(right[i]), parts[i % 2]);
    }
    sum += parts[0] + parts[1];
  }
  return sum;
}

// e^x for x up to 0, as AMX's attention computes it.
float rounded_weight(float x) {
  x *= 1.44269504F;
  if (std::isnan(x)) {
    return x;
  }
  x = std::max(-100.0F, x);
  const float n = std::nearbyint(x);
  float p = 9.6181291e-3F;
  for (const float c : {5.5504109e-2F, 2.4022651e-1F, 6.9314718e-1F, 1.0F}) {
    p = std::fma(p, x - n, c);
  }
  return std::ldexp(p, static_cast<int>(n));
}

float plain_product(float sum, const float* left, const float* right, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    sum = std::fma(left[i], right[i], sum);
  }
  return sum;
}

// A sum, to which the products of two arrays are added.
using Product = float (*)(float sum, const float* left, const float* right, std::size_t count);

// `weight` is the weight of a score, given its distance from the greatest score so far.
std::vector<float> attention_with(Product product, float (*weight)(float), const float* query, std::size_t position,
                                  std::size_t head_dim, const float* keys, const float* values) {
  constexpr std::size_t block = appliance::ops::kCacheBlock;
  std::vector<float> context(head_dim, 0.0F);
  float greatest = -3e38F;
  float total = 0;
  for (std::size_t start = 0; start <= position; start += block) {
    const std::size_t count = std::min(block, position - start + 1);
    float weights[block] = {};
    float most = greatest;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<float> key(head_dim);
      for (std::size_t d = 0; d < head_dim; ++d) {
        key[d] = keys[key_at(start + i, d, head_dim)];
      }
      weights[i] = product(0.0F, query, key.data(), head_dim);
      most = std::max(most, weights[i]);
    }
    float sums[kPartialSums] = {};
    for (std::size_t i = 0; i < count; ++i) {
      weights[i] = weight(weights[i] - most);
      sums[i % kPartialSums] += weights[i];
    }
    const float factor = most == greatest ? 1.0F : exponential(greatest - most);
    total = total * factor + total_of(sums);
    greatest = most;
    for (std::size_t d = 0; d < head_dim; ++d) {
      std::vector<float> column(count);
      for (std::size_t i = 0; i < count; ++i) {
        column[i] = values[(start + i) * head_dim + d];
      }
      context[d] = product(context[d] * factor, weights, column.data(), count);
    }
  }
  for (float& number : context) {
    number *= 1.0F / total;
  }
  return context;
}

}  // namespace

float exponential(float x) {
  if (std::isnan(x)) {
    return x;
  }
  x = std::max(-87.3F, std::min(89.0F, x));
  const float n = std::nearbyint(x * 1.44269504F);
  float r = std::fma(-n, 0.693359375F, x);
  r = std::fma(-n, -2.12194440e-4F, r);
  float p = 1.9875691500e-4F;
  for (const float c : {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
    p = std::fma(p, r, c);
  }
  p = std::fma(p, r * r, r + 1.0F);
  return std::ldexp(p, static_cast<int>(n));
}

float silu(float x) { return x / (exponential(0.0F - x) + 1.0F); }

void quantise_block(const float* numbers, std::size_t count, std::int8_t* values, float* scale, std::int32_t* sum) {
  float magnitude = 0;
  bool finite = true;
  for (std::size_t i = 0; i < count; ++i) {
    finite = finite && std::isfinite(numbers[i]);
    magnitude = std::max(magnitude, std::fabs(numbers[i]));
  }
  const bool zero = magnitude < 1e-30F;
  *scale = finite ? (zero ? 0.0F : magnitude / 127.0F) : std::nanf("");
  *sum = 0;
  const float factor = zero ? 0.0F : 127.0F / magnitude;
  for (std::size_t i = 0; finite && i < count; ++i) {
    const float rounded = std::nearbyint(numbers[i] * factor);
    values[i] = static_cast<std::int8_t>(rounded);
    *sum += values[i];
  }
}

float product(const appliance::ops::PanelTask& task, std::size_t row, std::size_t column, const std::uint8_t* weights) {
  float total = task.bias == nullptr ? 0.0F : task.bias[column];
  for (std::size_t block = 0; block < task.blocks; ++block) {
    const std::size_t end = std::min(task.depth, (block + 1) * task.block);
    std::int64_t products = 0;
    for (std::size_t k = block * task.block; k < end; ++k) {
      const std::int32_t weight = weights[k] - (task.offsets == nullptr ? task.zero_point : 0);
      products += std::int64_t{weight} * task.values[row * task.depth + k];
    }
    const std::size_t at = row * task.blocks + block;
    const std::size_t of_column = block * appliance::ops::kPanelRows + column;
    const float scale = task.activation_scales[at];
    total = std::fma(static_cast<float>(products), scale * task.scales[of_column], total);
    if (task.offsets != nullptr) {
      total = std::fma(scale * static_cast<float>(task.sums[at]), task.offsets[of_column], total);
    }
  }
  return total;
}

std::vector<float> attention(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                             const float* values) {
  return attention_with(plain_product, exponential, query, position, head_dim, keys, values);
}

std::vector<float> rounded_attention(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                                     const float* values) {
  return attention_with(tile_product, rounded_weight, query, position, head_dim, keys, values);
}

std::vector<double> exact_attention(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                                    const float* values) {
  std::vector<double> weights(position + 1);
  for (std::size_t i = 0; i <= position; ++i) {
    for (std::size_t d = 0; d < head_dim; ++d) {
      weights[i] += double{query[d]} * double{keys[key_at(i, d, head_dim)]};
    }
  }
  const double most = *std::max_element(weights.begin(), weights.end());
  double total = 0;
  std::vector<double> context(head_dim);
  for (std::size_t i = 0; i <= position; ++i) {
    const double weight = std::exp(weights[i] - most);
    total += weight;
    for (std::size_t d = 0; d < head_dim; ++d) {
      context[d] += weight * double{values[i * head_dim + d]};
    }
  }
  for (double& number : context) {
    number /= total;
  }
  return context;
}

std::vector<float> rotated(const appliance::ops::RotateTask& task) {
  std::vector<float> result(2 * task.half);
  for (std::size_t i = 0; i < task.half; ++i) {
    const float a = task.vector[i];
    const float b = task.vector[task.half + i];
    const float c = task.cosines[i];
    const float s = task.sines[i];
    result[i] = std::fma(a, c, -(b * s)) * task.scale;
    result[task.half + i] = std::fma(b, c, a * s) * task.scale;
  }
  return result;
}

std::int32_t greatest_key(const float* numbers, std::size_t count) {
  std::int32_t greatest = INT32_MIN;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isnan(numbers[i])) {
      continue;
    }
    const float magnitude = std::fabs(numbers[i]);
    std::int32_t key = 0;
    std::memcpy(&key, &magnitude, sizeof key);
    if (numbers[i] < 0) {
      key = -1 - key;
    }
    greatest = std::max(greatest, key);
  }
  return greatest;
}

float dot(const appliance::ops::DotTask& task) {
  float sums[kPartialSums] = {};
  for (std::size_t start = 0, block = 0; start < task.depth; start += task.block, ++block) {
    float of_block[kPartialSums] = {};
    for (std::size_t i = start; i < std::min(task.depth, start + task.block); ++i) {
      float& sum = of_block[(i - start) % kPartialSums];
      sum = std::fma(static_cast<float>(task.values[i] - 128), task.activations[i], sum);
    }
    for (std::size_t lane = 0; lane < kPartialSums; ++lane) {
      sums[lane] = std::fma(of_block[lane], task.scales[block], sums[lane]);
    }
  }
  return total_of(sums);
}

float sum_of_exponentials(const float* numbers, std::size_t count, float shift) {
  constexpr std::size_t vectors = 4;
  float sums[vectors][kPartialSums] = {};
  const std::size_t whole = count / (vectors * kPartialSums) * (vectors * kPartialSums);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t vector = i < whole ? i / kPartialSums % vectors : 0;
    sums[vector][i % kPartialSums] += exponential(numbers[i] - shift);
  }
  float total[kPartialSums];
  for (std::size_t lane = 0; lane < kPartialSums; ++lane) {
    total[lane] = (sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane]);
  }
  return total_of(total);
}

}  // namespace conformance
