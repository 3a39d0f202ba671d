// What the kernels compute, one number after the other. All sets of kernels have the same bits, but for the attention
// of AMX: sums that a kernel spreads over lanes have 16 partial sums, whatever the width of the vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels.h"

namespace conformance {

// As the kernels compute it.
float exponential(float x);

// Rounds one block; values have no meaning where the scale is NaN.
void quantise_block(const float* numbers, std::size_t count, std::int8_t* values, float* scale, std::int32_t* sum);

// The result of one row and one row of weights, as `task` says; `weights` has the row's weights, one byte each.
float product(const appliance::ops::PanelTask& task, std::size_t row, std::size_t column, const std::uint8_t* weights);

float silu(float x);

// The context of one query with the keys and values up to `position`.
std::vector<float> attention(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                             const float* values);
// The same as AMX computes it, in bfloat16.
std::vector<float> rounded_attention(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                                     const float* values);
// The same with the textbook's softmax, in double precision.
std::vector<double> exact_attention(const float* query, std::size_t position, std::size_t head_dim, const float* keys,
                                    const float* values);

std::vector<float> rotated(const appliance::ops::RotateTask& task);
std::int32_t greatest_key(const float* numbers, std::size_t count);
float dot(const appliance::ops::DotTask& task);
float sum_of_exponentials(const float* numbers, std::size_t count, float shift);

}  // namespace conformance
