// The likeliest tokens of a row of logits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace appliance::ops {

// Collects the `most` candidates with the greatest keys; of equal keys, those with the lower ids. In bounded memory.
class Candidates {
 public:
  // `memory` holds capacity(most) elements.
  Candidates(std::uint64_t* memory, std::size_t most) : entries_(memory), most_(most) {}
  static constexpr std::size_t capacity(std::size_t most) { return 4 * most; }

  // The keys of the candidates are at least this, once so many were offered.
  std::int32_t least_key() const noexcept { return least_key_; }
  void offer(std::int32_t key, std::uint32_t id) noexcept;
  // Drops what is too much. Then ids 0 to size() - 1 are the candidates, in no order.
  void finish() noexcept;
  std::size_t size() const noexcept { return size_; }
  std::uint32_t id(std::size_t index) const noexcept { return ~static_cast<std::uint32_t>(entries_[index]); }

 private:
  void keep_most() noexcept;

  std::uint64_t* entries_;  // the key above the inverted id: greater is better, and no two are equal
  std::size_t most_;
  std::size_t size_ = 0;
  std::int32_t least_key_ = INT32_MIN;
};

}  // namespace appliance::ops
