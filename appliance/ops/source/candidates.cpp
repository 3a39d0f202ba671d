#include "candidates.h"

#include <algorithm>
#include <functional>

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

void Candidates::keep_most() noexcept {
  std::nth_element(entries_, entries_ + most_ - 1, entries_ + size_, std::greater<std::uint64_t>());
  size_ = most_;
  least_key_ = key_of(entries_[most_ - 1]);
}

}  // namespace appliance::ops
