// What is wrong with a graph, a tensor or the machine. It never leaves the library: see guarded.h.
#pragma once

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "onnxruntime_abi.h"

namespace appliance::ops {

class Fault : public std::exception {
 public:
  Fault(OrtErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  OrtErrorCode code() const noexcept { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  OrtErrorCode code_;
  std::string message_;
};

template <typename Part>
std::string text_of(const Part& part) {
  if constexpr (std::is_arithmetic_v<Part>) {
    return std::to_string(part);
  } else {
    return std::string(part);
  }
}

// Throws an "invalid argument" fault with the joined parts unless `holds`. The parts become text only then.
template <typename... Parts>
void require(bool holds, const Parts&... parts) {
  if (!holds) {
    throw Fault(ORT_INVALID_ARGUMENT, (text_of(parts) + ...));
  }
}

}  // namespace appliance::ops
