#include "slot_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sizes.h"

namespace appliance::ops {
namespace {

constexpr std::size_t kMostHeads = 1024;
constexpr std::size_t kMostHeadDim = 256;
// Rows of a sequence that one task rotates and writes to the cache.
constexpr std::size_t kCacheTaskRows = 16;

}  // namespace

// The tensors of one call, checked.
struct SlotAttention::Step {
  std::size_t batch;
  std::size_t rows;
  std::size_t head_dim;
  std::size_t capacity;
  const float* query;
  const float* key;
  const float* value;
  std::size_t query_stride;  // elements from one row to the next
  std::size_t key_stride;    // of keys and of values
  const std::int32_t* last_positions;
  const float* cosines;
  const float* sines;
  float* keys;
  float* values;
  float* output;
  float* rotated;  // [batch][groups][rows][heads of a group][head dim], in scratch memory
  AttendKernel kernel;

  std::size_t position(std::size_t sequence, std::size_t row) const {
    return static_cast<std::size_t>(last_positions[sequence]) + 1 - rows + row;
  }
};

SlotAttention::SlotAttention(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels)
    : heads_(attributes.integer("num_heads", 1, kMostHeads)),
      groups_(attributes.integer("kv_num_heads", 1, kMostHeads)),
      group_heads_(heads_ / groups_),
      scale_(attributes.number("scale")),
      scratch_(std::move(scratch)),
      kernels_(kernels) {
  require(heads_ % groups_ == 0, "the attribute num_heads is ", heads_, ", and needs a multiple of kv_num_heads, ",
          groups_);
  require(std::isfinite(scale_) && scale_ > 0, "the attribute scale is ", scale_, ", and needs a positive number");
}

SlotAttention::Step SlotAttention::read(const Context& context) const {
  const auto query = context.input<float>(0, "query");
  const auto key = context.optional_input<float>(1, "key");
  const auto value = context.optional_input<float>(2, "value");
  const auto past_key = context.input<float>(3, "past_key");
  const auto past_value = context.input<float>(4, "past_value");
  const auto seqlens_k = context.input<std::int32_t>(5, "seqlens_k");
  const auto cosines = context.input<float>(6, "cos");
  const auto sines = context.input<float>(7, "sin");

  Step step{};
  query.require_rank(3);
  past_key.require_rank(4);
  cosines.require_rank(2);
  step.batch = query.shape[0];
  step.rows = query.shape[1];
  step.capacity = past_key.shape[2];
  step.head_dim = past_key.shape[3];
  step.kernel = kernels_.attend(step.head_dim);
  require(step.kernel != nullptr, "the heads have ", step.head_dim,
          " dimensions, and the operator has 64, 80, 96, 128 and 256");
  require(step.capacity % kCacheBlock == 0, "the cache has ", step.capacity, " positions, and needs a multiple of ",
          kCacheBlock);
  past_key.require_shape({step.batch, groups_, step.capacity, step.head_dim});
  past_value.require_shape(past_key.shape);
  seqlens_k.require_shape({step.batch});
  cosines.require_shape({cosines.shape[0], step.head_dim / 2});
  sines.require_shape(cosines.shape);

  const std::size_t query_width = heads_ * step.head_dim;
  const std::size_t key_width = groups_ * step.head_dim;
  require(key.present == value.present, "one of the inputs key and value is missing: leave out both or none");
  step.query = query.elements;
  if (key.present) {
    query.require_shape({step.batch, step.rows, query_width});
    key.require_shape({step.batch, step.rows, key_width});
    value.require_shape(key.shape);
    step.key = key.elements;
    step.value = value.elements;
    step.query_stride = query_width;
    step.key_stride = key_width;
  } else {
    query.require_shape({step.batch, step.rows, query_width + 2 * key_width});
    step.key = query.elements + query_width;
    step.value = step.key + key_width;
    step.query_stride = query_width + 2 * key_width;
    step.key_stride = step.query_stride;
  }
  step.cosines = cosines.elements;
  step.sines = sines.elements;

  // Before anything is written: a step that fails leaves the cache as it was.
  const std::size_t positions = std::min(step.capacity, cosines.shape[0]);
  step.last_positions = seqlens_k.elements;
  for (std::size_t sequence = 0; step.rows > 0 && sequence < step.batch; ++sequence) {
    const std::int64_t last = step.last_positions[sequence];
    require(last + 1 >= static_cast<std::int64_t>(step.rows) && last < static_cast<std::int64_t>(positions),
            "seqlens_k[", sequence, "] is ", last, ", and needs a value from ",
            static_cast<std::int64_t>(step.rows) - 1, " to ", static_cast<std::int64_t>(positions) - 1,
            ": the step has ", step.rows, " rows, the cache ", step.capacity, " positions, and cos ", cosines.shape[0],
            " rows");
  }

  step.output = context.output(0, {step.batch, step.rows, query_width});
  step.keys = context.output(1, past_key.shape);
  step.values = context.output(2, past_value.shape);
  // A copy of the cache in each step would hide the fault, and cost more than the attention.
  const bool empty = past_key.shape.elements(0, past_key.shape.rank()) == 0;
  require(
      empty || (step.keys == past_key.elements && step.values == past_value.elements),
      "present_key and present_value are not in the memory of past_key and past_value: bind the outputs to the inputs");
  require(empty || step.keys != step.values, "past_key and past_value are in the same memory");
  return step;
}

void SlotAttention::compute(const Context& context) const {
  Step step = read(context);
  if (step.batch == 0 || step.rows == 0) {
    return;
  }
  const std::size_t bytes = step.batch * step.rows * heads_ * step.head_dim * sizeof(float);
  const auto scratch = scratch_->steps.take(bytes);
  step.rotated = reinterpret_cast<float*>(scratch.required_bytes());

  // All rows of the step are in the cache before one of them attends to it.
  const std::size_t writers = quotient_up(step.rows, kCacheTaskRows);
  const auto write = [&](std::size_t task) noexcept {
    const std::size_t first = task % writers * kCacheTaskRows;
    write_cache(step, task / writers, first, std::min(step.rows, first + kCacheTaskRows));
  };
  if (step.batch * step.rows < 4) {  // less work than it takes to wake a thread
    for (std::size_t task = 0; task < step.batch * writers; ++task) {
      write(task);
    }
  } else {
    context.share(step.batch * writers, write);
  }

  // A task has queries of one head of the cache: neighbouring positions, and all heads of the group at each.
  const std::size_t queries = step.rows * group_heads_;
  const std::size_t whole_positions = kernels_.attend_rows / group_heads_ * group_heads_;
  const std::size_t task_queries = whole_positions == 0 ? kernels_.attend_rows : whole_positions;
  const std::size_t pieces = quotient_up(queries, task_queries);
  const std::size_t heads = step.batch * groups_;
  const std::size_t total = pieces * heads;
  context.share(total, [&](std::size_t index) noexcept {
    const std::size_t task = total - 1 - index;  // the last positions see the most keys: they start first
    const std::size_t head = task % heads;
    const std::size_t first = task / heads * task_queries;
    attend(step, head / groups_, head % groups_, first, std::min(queries, first + task_queries));
  });
}

void SlotAttention::write_cache(const Step& step, std::size_t sequence, std::size_t first,
                                std::size_t end) const noexcept {
  const std::size_t head_dim = step.head_dim;
  const std::size_t half = head_dim / 2;
  for (std::size_t row = first; row < end; ++row) {
    const std::size_t position = step.position(sequence, row);
    const float* const cosines = step.cosines + position * half;
    const float* const sines = step.sines + position * half;
    const std::size_t at = sequence * step.rows + row;
    for (std::size_t head = 0; head < heads_; ++head) {
      const std::size_t group = head / group_heads_;
      const std::size_t to = ((sequence * groups_ + group) * step.rows + row) * group_heads_ + head % group_heads_;
      kernels_.rotate({step.query + at * step.query_stride + head * head_dim, cosines, sines, half, scale_,
                       step.rotated + to * head_dim});
    }
    for (std::size_t group = 0; group < groups_; ++group) {
      const std::size_t piece = (sequence * groups_ + group) * step.capacity * head_dim;
      const std::size_t from = at * step.key_stride + group * head_dim;
      float rotated[kMostHeadDim];
      kernels_.rotate({step.key + from, cosines, sines, half, 1.0F, rotated});
      float* const keys = step.keys + piece + position / kCacheBlock * kCacheBlock * head_dim + position % kCacheBlock;
      for (std::size_t i = 0; i < head_dim; ++i) {
        keys[i * kCacheBlock] = rotated[i];
      }
      std::memcpy(step.values + piece + position * head_dim, step.value + from, head_dim * sizeof(float));
    }
  }
}

void SlotAttention::attend(const Step& step, std::size_t sequence, std::size_t group, std::size_t first,
                           std::size_t end) const noexcept {
  const std::size_t head = sequence * groups_ + group;
  const std::size_t piece = head * step.capacity * step.head_dim;
  std::size_t positions[AttendTask::kMostRows];
  float* outputs[AttendTask::kMostRows];
  for (std::size_t query = first; query < end; ++query) {
    const std::size_t row = query / group_heads_;
    const std::size_t of_row = (sequence * step.rows + row) * heads_ + group * group_heads_ + query % group_heads_;
    positions[query - first] = step.position(sequence, row);
    outputs[query - first] = step.output + of_row * step.head_dim;
  }
  const float* const queries = step.rotated + (head * step.rows * group_heads_ + first) * step.head_dim;
  step.kernel({queries, end - first, positions, step.keys + piece, step.values + piece, outputs});
}

}  // namespace appliance::ops
