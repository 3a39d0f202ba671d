// The likeliest tokens of a row of logits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sizes.h"

namespace appliance::ops {

// Collects the `most` candidates with the greatest keys; of equal keys, those with the lower ids. In bounded memory.
class Candidates {
 public:
  // `memory` holds capacity(most) elements.
  Candidates(std::uint64_t* memory, std::size_t most) : entries_(memory), most_(most) {}
  static constexpr std::size_t capacity(std::size_t most) { return 4 * most; }

  // The candidates of a row of `count` logits, at least `most`, given the greatest key of each panel of 64 logits.
  // `memory` holds bytes(panels, most), aligned to 64 bytes.
  static Candidates of(const float* logits, std::size_t count, const std::int32_t* keys, std::size_t most,
                       unsigned char* memory) noexcept;
  static constexpr std::size_t bytes(std::size_t panels, std::size_t most) {
    return aligned(panels * sizeof(std::int32_t)) + aligned(capacity(most) * sizeof(std::uint64_t));
  }

  // The keys of the candidates are at least this, once so many were offered.
  std::int32_t least_key() const noexcept { return least_key_; }
  void offer(std::int32_t key, std::uint32_t id) noexcept;
  // Drops what is too much. Then ids 0 to size() - 1 are the candidates, in no order.
  void finish() noexcept;
  // After finish(): the greatest key first; of equal keys the lower id.
  void sort() noexcept;
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
