// Memory for intermediate results. It is taken at the start of some work and given back at its end; it grows only, so
// that a step allocates nothing once the largest step has run.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace appliance::ops {

// Buffers that several threads take and return. Runs of a session may overlap: each then holds a buffer of its own.
class ScratchPool {
  struct Buffer;

 public:
  // One buffer, until the lease ends. Empty if the machine had no memory.
  class Lease {
   public:
    Lease(ScratchPool* pool, Buffer* buffer) : pool_(pool), buffer_(buffer) {}
    Lease(Lease&& other) noexcept : pool_(other.pool_), buffer_(std::exchange(other.buffer_, nullptr)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    // Aligned to 64 bytes; null if the lease is empty.
    unsigned char* bytes() const noexcept;
    // The same; throws std::bad_alloc if the lease is empty.
    unsigned char* required_bytes() const;

   private:
    ScratchPool* pool_;
    Buffer* buffer_;
  };

  ScratchPool() = default;
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;
  ~ScratchPool();

  // A buffer of at least this many bytes, with any content.
  Lease take(std::size_t bytes) noexcept;

 private:
  void give_back(Buffer* buffer) noexcept;

  std::mutex mutex_;
  Buffer* idle_ = nullptr;  // the last one that was given back comes first: its memory is still in a cache
};

// The pools of one session. Work of a step and work of a task differ in size: neither grows the other's buffers.
struct Scratch {
  ScratchPool steps;
  ScratchPool tasks;
};

// Gives the kernels of a session one and the same Scratch, which ends with the last of them.
class ScratchSource {
 public:
  std::shared_ptr<Scratch> get();

 private:
  std::mutex mutex_;
  std::weak_ptr<Scratch> scratch_;
};

}  // namespace appliance::ops
