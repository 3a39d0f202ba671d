// The border between this library's exceptions and ONNX Runtime's statuses, in both directions.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "fault.h"
#include "onnxruntime_abi.h"

namespace appliance::ops {

// Runs the body; an exception becomes a status. Null means success.
template <typename Body>
OrtStatus* guarded(const OrtApi& api, const Body& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const Fault& fault) {
    return api.CreateStatus(fault.code(), fault.what());
  } catch (const std::bad_alloc&) {
    return api.CreateStatus(ORT_FAIL, "the machine has no memory left");
  } catch (const std::exception& error) {
    return api.CreateStatus(ORT_FAIL, error.what());
  }
}

// Throws ONNX Runtime's failure as a fault, and releases the status.
inline void check(const OrtApi& api, OrtStatus* status) {
  if (status == nullptr) {
    return;
  }
  std::string message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  throw Fault(ORT_FAIL, std::move(message));
}

}  // namespace appliance::ops
