// The sizes of a tensor, outermost first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "fault.h"

namespace appliance::ops {

class Shape {
 public:
  static constexpr std::size_t kMostRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::size_t> sizes) {
    for (const std::size_t size : sizes) {
      append(size);
    }
  }

  void append(std::size_t size) {
    require(rank_ < kMostRank, "a tensor has more than ", kMostRank, " dimensions");
    sizes_[rank_++] = static_cast<std::int64_t>(size);
  }
  void replace_last(std::size_t size) { sizes_.at(rank_ - 1) = static_cast<std::int64_t>(size); }

  std::size_t rank() const { return rank_; }
  std::size_t operator[](std::size_t axis) const { return static_cast<std::size_t>(sizes_.at(axis)); }
  const std::int64_t* sizes() const { return sizes_.data(); }

  // How many elements the axes from `first` to before `last` hold together. ONNX Runtime made the tensor: no overflow.
  std::size_t elements(std::size_t first, std::size_t last) const {
    std::size_t product = 1;
    for (std::size_t axis = first; axis < last; ++axis) {
      product *= (*this)[axis];
    }
    return product;
  }

  bool operator==(const Shape& other) const {
    bool same = rank_ == other.rank_;
    for (std::size_t axis = 0; same && axis < rank_; ++axis) {
      same = sizes_[axis] == other.sizes_[axis];
    }
    return same;
  }

  std::string text() const {
    std::string text = "[";
    for (std::size_t axis = 0; axis < rank_; ++axis) {
      text += (axis == 0 ? "" : ", ") + std::to_string(sizes_[axis]);
    }
    return text + "]";
  }

 private:
  std::array<std::int64_t, kMostRank> sizes_{};
  std::size_t rank_ = 0;
};

}  // namespace appliance::ops
