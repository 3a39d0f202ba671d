#include "list_candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "candidates.h"
#include "ordering_key.h"
#include "packing.h"
#include "sizes.h"

namespace appliance::ops {
namespace {

constexpr std::size_t kMostTokens = std::size_t{1} << 24;
constexpr std::size_t kMostCount = 4096;
// Columns of one task: they stay in the first-level cache between their two passes. The sums of a row are added in the
// order of its pieces, whichever thread computes which.
constexpr std::size_t kPiece = 8192;
static_assert(kPiece % kPanelRows == 0);

}  // namespace

ListCandidates::ListCandidates(const Attributes& attributes, std::shared_ptr<Scratch> scratch, const Kernels& kernels)
    : tokens_(attributes.integer("tokens", 1, kMostTokens)),
      count_(attributes.integer("count", 1, std::min(tokens_, kMostCount))),
      panels_(quotient_up(tokens_, kPanelRows)),
      pieces_(quotient_up(tokens_, kPiece)),
      scratch_(std::move(scratch)),
      kernels_(kernels) {}

std::size_t ListCandidates::row_bytes() const {
  return aligned(panels_ * sizeof(std::int32_t)) + 2 * aligned(pieces_ * sizeof(float)) +
         Candidates::bytes(panels_, count_);
}

ListCandidates::Row ListCandidates::row(unsigned char* memory, std::size_t index) const {
  unsigned char* const keys = memory + index * row_bytes();
  unsigned char* const shifts = keys + aligned(panels_ * sizeof(std::int32_t));
  unsigned char* const sums = shifts + aligned(pieces_ * sizeof(float));
  return {reinterpret_cast<std::int32_t*>(keys), reinterpret_cast<float*>(shifts), reinterpret_cast<float*>(sums),
          sums + aligned(pieces_ * sizeof(float))};
}

void ListCandidates::compute(const Context& context) const {
  const auto logits = context.input<float>(0, "logits");
  logits.require_rank(2);
  const std::size_t rows = logits.shape[0];
  const std::size_t columns = logits.shape[1];
  require(columns >= tokens_, "the input logits has the shape ", logits.shape.text(), ", and ", tokens_,
          " tokens need as many columns");
  auto* const ids = context.output<std::int64_t>(0, {rows, count_});
  float* const listed = context.output(1, {rows, count_});
  float* const normalisers = context.output(2, {rows});
  if (rows == 0) {
    return;
  }
  const auto step = scratch_->steps.take(rows * row_bytes());
  unsigned char* const memory = step.required_bytes();
  const auto piece = [&](std::size_t task) noexcept {
    const std::size_t index = task / pieces_;
    reduce(logits.elements + index * columns, row(memory, index), task % pieces_);
  };
  if (rows == 1) {
    // Each thread takes neighbouring pieces, as for the head: much of them is in its cache.
    context.split(pieces_, piece);
  } else {
    context.share(rows * pieces_, piece);
  }
  context.share(rows, [&](std::size_t index) noexcept {
    const float* const of_row = logits.elements + index * columns;
    const Row own = row(memory, index);
    Candidates candidates = Candidates::of(of_row, tokens_, own.keys, count_, own.memory);
    candidates.sort();
    for (std::size_t i = 0; i < count_; ++i) {
      const std::size_t id = candidates.id(i);
      ids[index * count_ + i] = static_cast<std::int64_t>(id);
      listed[index * count_ + i] = of_row[id];
    }
    normalisers[index] = normaliser(own);
  });
}

void ListCandidates::reduce(const float* logits, const Row& row, std::size_t piece) const noexcept {
  const std::size_t first = piece * kPiece;
  const std::size_t end = std::min(tokens_, first + kPiece);
  std::int32_t greatest = kLeastKey;
  for (std::size_t start = first; start < end; start += kPanelRows) {
    const std::int32_t key = kernels_.greatest_key(logits + start, std::min(kPanelRows, end - start));
    row.keys[start / kPanelRows] = key;
    greatest = std::max(greatest, key);
  }
  // Without a finite logit, the difference to the shift still has no NaN of its own.
  row.shifts[piece] = std::max(number_of(greatest), std::numeric_limits<float>::lowest());
  row.sums[piece] = kernels_.sum_of_exponentials(logits + first, end - first, row.shifts[piece]);
}

float ListCandidates::normaliser(const Row& row) const noexcept {
  const float greatest = number_of(*std::max_element(row.keys, row.keys + panels_));
  if (!std::isfinite(greatest)) {
    return greatest;
  }
  double sum = 0;
  for (std::size_t piece = 0; piece < pieces_; ++piece) {
    sum += row.sums[piece] * std::exp(static_cast<double>(row.shifts[piece]) - greatest);
  }
  return static_cast<float>(greatest + std::log(sum));
}

}  // namespace appliance::ops
