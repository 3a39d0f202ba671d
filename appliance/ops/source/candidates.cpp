#include "candidates.h"

#include <algorithm>
#include <functional>

#include "ordering_key.h"
#include "packing.h"

namespace appliance::ops {
namespace {

constexpr std::uint32_t kSignBit = 0x80000000U;

// Signed keys as unsigned ones of the same order.
std::uint64_t entry(std::int32_t key, std::uint32_t id) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(key) ^ kSignBit) << 32) | ~id;
}

std::int32_t key_of(std::uint64_t entry) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(entry >> 32) ^ kSignBit);
}

}  // namespace

void Candidates::offer(std::int32_t key, std::uint32_t id) noexcept {
  if (key < least_key_) {
    return;
  }
  if (size_ == capacity(most_)) {
    keep_most();
  }
  entries_[size_++] = entry(key, id);
}

void Candidates::finish() noexcept {
  if (size_ > most_) {
    keep_most();
  }
}

void Candidates::sort() noexcept { std::sort(entries_, entries_ + size_, std::greater<std::uint64_t>()); }

Candidates Candidates::of(const float* logits, std::size_t count, const std::int32_t* keys, std::size_t most,
                          unsigned char* memory) noexcept {
  const std::size_t panels = (count + kPanelRows - 1) / kPanelRows;
  // At least `most` logits are as great as the greatest of so many panels: only panels that reach this have candidates.
  std::int32_t least = kLeastKey;
  if (most <= panels) {
    auto* const sorted = reinterpret_cast<std::int32_t*>(memory);
    std::copy(keys, keys + panels, sorted);
    std::nth_element(sorted, sorted + most - 1, sorted + panels, std::greater<std::int32_t>());
    least = sorted[most - 1];
  }
  const std::size_t of_panels = aligned(panels * sizeof(std::int32_t));
  Candidates candidates(reinterpret_cast<std::uint64_t*>(memory + of_panels), most);
  for (std::size_t panel = 0; panel < panels; ++panel) {
    if (keys[panel] < std::max(least, candidates.least_key())) {
      continue;
    }
    const std::size_t end = std::min(count, (panel + 1) * kPanelRows);
    for (std::size_t id = panel * kPanelRows; id < end; ++id) {
      const std::int32_t key = ordering_key(logits[id]);
      if (key >= least) {
        candidates.offer(key, static_cast<std::uint32_t>(id));
      }
    }
  }
  candidates.finish();
  return candidates;
}

void Candidates::keep_most() noexcept {
  std::nth_element(entries_, entries_ + most_ - 1, entries_ + size_, std::greater<std::uint64_t>());
  size_ = most_;
  least_key_ = key_of(entries_[most_ - 1]);
}

}  // namespace appliance::ops
