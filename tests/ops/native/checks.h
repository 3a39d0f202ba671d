// One line for each check; the program ends at the first difference.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace conformance {

// The same bits, or both NaN: which NaN an instruction makes is up to the CPU.
inline bool same(float a, float b) { return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0; }

// A check of one kernel. Prints its line at the end of its scope.
class Check {
 public:
  Check(const char* kernels, std::string name) : name_(std::string(kernels) + ": " + std::move(name)) {}
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;
  ~Check() {
    std::printf("%s: ok\n", name_.c_str());
    std::fflush(stdout);
  }

  // `where` names the element: for example the row and the column.
  template <typename... Where>
  void require(bool holds, const char* what, Where... where) const {
    if (!holds) {
      std::printf("%s: DIFFERENT: %s, at", name_.c_str(), what);
      (std::printf(" %zu", static_cast<std::size_t>(where)), ...);
      std::printf("\n");
      std::fflush(stdout);
      std::_Exit(1);
    }
  }

  template <typename... Where>
  void equal(float found, float expected, const char* what, Where... where) const {
    if (!same(found, expected)) {
      std::printf("%s: found %.9g, expected %.9g\n", name_.c_str(), static_cast<double>(found),
                  static_cast<double>(expected));
      require(false, what, where...);
    }
  }

 private:
  std::string name_;
};

}  // namespace conformance
