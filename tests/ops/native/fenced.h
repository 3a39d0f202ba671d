// Arrays that end where memory ends: a kernel that reads or writes one element too many stops the program.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace conformance {

template <typename Element>
class Fenced {
 public:
  explicit Fenced(std::size_t size) : size_(size) {
#if defined(__SANITIZE_ADDRESS__)
    // The sanitizer guards both ends.
    void* allocated = nullptr;
    if (posix_memalign(&allocated, 64, bytes()) != 0) {
      std::abort();
    }
    memory_ = static_cast<unsigned char*>(allocated);
    elements_ = reinterpret_cast<Element*>(memory_);
#else
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t pages = (bytes() + page - 1) / page * page;
    length_ = pages + page;
    void* const mapped = mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED || mprotect(static_cast<unsigned char*>(mapped) + pages, page, PROT_NONE) != 0) {
      std::perror("mmap");
      std::abort();
    }
    memory_ = static_cast<unsigned char*>(mapped);
    before_ = pages - bytes();
    elements_ = reinterpret_cast<Element*>(memory_ + before_);
    std::memset(memory_, kFill, before_);
#endif
    std::memset(static_cast<void*>(elements_), kFill, bytes());
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  ~Fenced() {
#if defined(__SANITIZE_ADDRESS__)
    std::free(memory_);
#else
    for (std::size_t i = 0; i < before_; ++i) {
      if (memory_[i] != kFill) {
        std::printf("DIFFERENT: a kernel wrote %zu bytes before an array\n", before_ - i);
        std::fflush(stdout);
        std::_Exit(1);
      }
    }
    munmap(memory_, length_);
#endif
  }

  Element& operator[](std::size_t i) { return elements_[i]; }
  const Element& operator[](std::size_t i) const { return elements_[i]; }
  Element* get() { return elements_; }
  const Element* get() const { return elements_; }
  std::size_t size() const { return size_; }
  Element* begin() { return elements_; }
  Element* end() { return elements_ + size_; }

  // Whether nothing was written to this element.
  bool untouched(std::size_t i) const {
    unsigned char fill[sizeof(Element)];
    std::memset(fill, kFill, sizeof fill);
    return std::memcmp(elements_ + i, fill, sizeof fill) == 0;
  }

 private:
  static constexpr unsigned char kFill = 0xFE;  // as a float, no number that a kernel computes
  std::size_t bytes() const { return size_ * sizeof(Element); }

  std::size_t size_;
  Element* elements_;
  unsigned char* memory_;
#if !defined(__SANITIZE_ADDRESS__)
  std::size_t before_;
  std::size_t length_;
#endif
};

}  // namespace conformance
