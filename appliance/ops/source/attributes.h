// The attributes of a node, read once when ONNX Runtime makes its kernel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guarded.h"
#include "onnxruntime_abi.h"

namespace appliance::ops {

class Attributes {
 public:
  Attributes(const OrtApi& api, const OrtKernelInfo* info) : api_(api), info_(info) {}

  // An integer from `least` to `most`. Throws a fault if the attribute is missing or out of this range.
  std::size_t integer(const char* name, std::size_t least, std::size_t most) const {
    std::int64_t value = 0;
    check(api_, api_.KernelInfoGetAttribute_int64(info_, name, &value));
    require(value >= 0 && static_cast<std::size_t>(value) >= least && static_cast<std::size_t>(value) <= most,
            "the attribute ", name, " is ", value, ", and needs a value from ", least, " to ", most);
    return static_cast<std::size_t>(value);
  }

  float number(const char* name) const {
    float value = 0;
    check(api_, api_.KernelInfoGetAttribute_float(info_, name, &value));
    return value;
  }

 private:
  const OrtApi& api_;
  const OrtKernelInfo* info_;
};

}  // namespace appliance::ops
