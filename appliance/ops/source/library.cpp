// What the library exports: the functions that ONNX Runtime and the product call.
#include <memory>
#include <mutex>
#include <vector>

#include "custom_operator.h"
#include "guarded.h"
#include "kernels.h"
#include "list_candidates.h"
#include "matmul_packed.h"
#include "onnxruntime_abi.h"
#include "rescored_head.h"
#include "slot_attention.h"

namespace appliance::ops {
namespace {

constexpr const char* kDomain = "appliance";

// The operators of one session's options, and the memory that its kernels share.
class Registration {
 public:
  Registration(const OrtApi& api, const Kernels& kernels)
      : matmul_packed_(scratch_, kernels),
        slot_attention_(scratch_, kernels),
        rescored_head_(scratch_, kernels),
        list_candidates_(scratch_, kernels),
        domain_(nullptr, api.ReleaseCustomOpDomain) {
    OrtCustomOpDomain* domain = nullptr;
    check(api, api.CreateCustomOpDomain(kDomain, &domain));
    domain_.reset(domain);
    check(api, api.CustomOpDomain_Add(domain, &matmul_packed_));
    check(api, api.CustomOpDomain_Add(domain, &slot_attention_));
    check(api, api.CustomOpDomain_Add(domain, &rescored_head_));
    check(api, api.CustomOpDomain_Add(domain, &list_candidates_));
  }

  OrtCustomOpDomain* domain() const { return domain_.get(); }

 private:
  ScratchSource scratch_;
  CustomOperator<MatMulPacked> matmul_packed_;
  CustomOperator<SlotAttention> slot_attention_;
  CustomOperator<RescoredHead> rescored_head_;
  CustomOperator<ListCandidates> list_candidates_;
  std::unique_ptr<OrtCustomOpDomain, void (*)(OrtCustomOpDomain*) noexcept> domain_;
};

// ONNX Runtime keeps pointers to a domain and its operators for as long as a session lives, and does not tell when that
// ends. So they stay until the process ends: about a kilobyte a session. It is the library's only global state. There
// is no destructor: ONNX Runtime may unload the library first, and then the C library would call code that is gone.
class Registrations {
 public:
  static Registrations& of_library() {
    static Registrations* const all = new Registrations;
    return *all;
  }

  OrtCustomOpDomain* add(const OrtApi& api, const Kernels& kernels) {
    auto registration = std::make_unique<Registration>(api, kernels);
    const std::lock_guard<std::mutex> lock(mutex_);
    return all_.emplace_back(std::move(registration))->domain();
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Registration>> all_;
};

}  // namespace
}  // namespace appliance::ops

extern "C" {

// The name of the kernels for this CPU, or an empty string if there are none.
[[gnu::visibility("default")]] const char* appliance_ops_kernels() noexcept {
  const appliance::ops::Kernels* kernels = appliance::ops::kernels_for_this_cpu();
  return kernels == nullptr ? "" : kernels->name;
}

// Adds the operators to a session's options. ONNX Runtime calls it by this name.
[[gnu::visibility("default")]] OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                            const OrtApiBase* base) noexcept {
  const OrtApi* api = base->GetApi(appliance::ops::kApiVersion);
  if (api == nullptr) {
    // Without an interface there is no status to make: version 1 has been there always.
    return base->GetApi(1)->CreateStatus(ORT_NOT_IMPLEMENTED, "the operators need ONNX Runtime 1.20 or newer");
  }
  return appliance::ops::guarded(*api, [&] {
    const appliance::ops::Kernels* kernels = appliance::ops::kernels_for_this_cpu();
    if (kernels == nullptr) {
      throw appliance::ops::Fault(
          ORT_NOT_IMPLEMENTED,
          "the operators have no kernels for this CPU: x86-64 needs AVX2 and FMA, arm64 the dot product");
    }
    OrtCustomOpDomain* domain = appliance::ops::Registrations::of_library().add(*api, *kernels);
    appliance::ops::check(*api, api->AddCustomOpDomain(options, domain));
  });
}

}  // extern "C"
