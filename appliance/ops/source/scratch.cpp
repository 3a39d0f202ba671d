#include "scratch.h"

#include <sys/mman.h>

#include <limits>
#include <new>

namespace appliance::ops {

// A mapping in units of huge pages: the kernels read it at many places at once.
struct ScratchPool::Buffer {
  static constexpr std::size_t kUnit = std::size_t{1} << 21;

  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { unmap(); }

  bool hold(std::size_t bytes) noexcept {
    if (bytes <= capacity) {
      return true;
    }
    if (bytes > std::numeric_limits<std::size_t>::max() - kUnit) {
      return false;
    }
    unmap();
    const std::size_t rounded = (bytes + kUnit - 1) / kUnit * kUnit;
    void* mapped = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
      return false;
    }
    madvise(mapped, rounded, MADV_HUGEPAGE);  // advice only: without huge pages the results are the same
    memory = static_cast<unsigned char*>(mapped);
    capacity = rounded;
    return true;
  }

  void unmap() noexcept {
    if (memory != nullptr) {
      munmap(memory, capacity);
    }
    memory = nullptr;
    capacity = 0;
  }

  unsigned char* memory = nullptr;
  std::size_t capacity = 0;
  Buffer* next = nullptr;
};

ScratchPool::Lease::~Lease() {
  if (buffer_ != nullptr) {
    pool_->give_back(buffer_);
  }
}

unsigned char* ScratchPool::Lease::bytes() const noexcept { return buffer_ == nullptr ? nullptr : buffer_->memory; }

unsigned char* ScratchPool::Lease::required_bytes() const {
  if (bytes() == nullptr) {
    throw std::bad_alloc();
  }
  return bytes();
}

ScratchPool::~ScratchPool() {
  while (idle_ != nullptr) {
    delete std::exchange(idle_, idle_->next);
  }
}

ScratchPool::Lease ScratchPool::take(std::size_t bytes) noexcept {
  Buffer* buffer = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    buffer = idle_;
    if (buffer != nullptr) {
      idle_ = buffer->next;
    }
  }
  if (buffer == nullptr) {
    buffer = new (std::nothrow) Buffer;
  }
  if (buffer != nullptr && !buffer->hold(bytes)) {
    give_back(buffer);
    buffer = nullptr;
  }
  return Lease(this, buffer);
}

void ScratchPool::give_back(Buffer* buffer) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  buffer->next = idle_;
  idle_ = buffer;
}

std::shared_ptr<Scratch> ScratchSource::get() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<Scratch> scratch = scratch_.lock();
  if (scratch == nullptr) {
    scratch = std::make_shared<Scratch>();
    scratch_ = scratch;
  }
  return scratch;
}

}  // namespace appliance::ops
