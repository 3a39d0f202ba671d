// What each kind of CPU implements on its own: loops over plain memory, without checks, allocations and threads.
//
// The rule of exactness: each row of a result is computed from its own operands by one fixed sequence of operations,
// whatever rows are computed beside it. Tiles of several rows share loads of weights, never sums; sums run along the
// depth (or the positions) in ascending order, and their borders depend on the matrix and on absolute positions alone.
//
// Only plain structs here: this header is compiled with several instruction sets, and an inline function would get into
// the library with any of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu.h"
#include "packing.h"

namespace appliance::ops {

// Rows of activations, to be rounded to signed bytes: one scale and one sum a block.
// A row with a NaN or an infinity in a block gets the scale NaN there: its results are NaN, and no other row's.
struct QuantiseTask {
  const float* activations;  // [rows][depth]
  std::size_t rows;
  std::size_t depth;
  std::size_t block;    // columns of a block; the last block may be shorter
  std::int8_t* values;  // [rows][depth]
  float* scales;        // [rows][blocks]
  std::int32_t* sums;   // [rows][blocks], of the values
};

// Rows of activations times one panel of weights.
struct PanelTask {
  const std::int8_t* values;       // [rows][depth]
  const float* activation_scales;  // [rows][blocks]
  const std::int32_t* sums;        // [rows][blocks]
  std::size_t rows;
  std::size_t depth;
  std::size_t block;
  std::size_t blocks;
  const std::uint8_t* weights;  // the panel
  const float* scales;          // [blocks][64], or null
  const Half* half_scales;      // [blocks][64] if there are no `scales`
  const float* offsets;         // [blocks][64] -scale * zero point; null if all zero points are `zero_point`
  std::int32_t zero_point;
  const float* bias;  // [64], or null
  bool gated;         // the panel has 32 rows of the gate, then 32 of up; the output is silu(gate) * up
  float* output;
  std::size_t output_stride;  // elements from one row of the output to the next
  std::size_t columns;        // of the output to write: up to 64, and 32 if gated
};
using PanelKernel = void (*)(const PanelTask& task) noexcept;

// Writes the weights of one panel as bytes, in the order of the set.
using WidenKernel = void (*)(const std::uint8_t* packed, std::size_t depth, std::uint8_t* wide) noexcept;

// Many rows times a panel that was widened first: the same results as from the packed panel, faster.
struct WidePanels {
  WidenKernel widen[kPackingCount];  // to depth * 64 bytes, aligned to 64; null where it would not be faster
  PanelKernel multiply;              // its task has the widened weights
  std::size_t least_rows;
  bool (*takes)(std::size_t depth, std::size_t block) noexcept;
};

inline constexpr std::size_t kCacheBlock = 64;  // positions whose keys lie transposed together

// Rows of queries of heads that share one head of the cache.
struct AttendTask {
  // Of any set. With more rows, keys and values are read less often, but there are fewer tasks for the threads.
  static constexpr std::size_t kMostRows = 252;
  const float* queries;          // [rows][head dim], rotated and scaled
  std::size_t rows;              // up to attend_rows of the set
  const std::size_t* positions;  // [rows], ascending; a row sees the keys up to its own position
  const float* keys;             // [capacity / 64][head dim][64]
  const float* values;           // [capacity][head dim]
  float* const* outputs;         // [rows] -> [head dim]
};
using AttendKernel = void (*)(const AttendTask& task) noexcept;

// One vector of a head, halves rotated against each other.
struct RotateTask {
  const float* vector;   // [2 * half]
  const float* cosines;  // [half]
  const float* sines;    // [half]
  std::size_t half;
  float scale;
  float* output;  // [2 * half]
};

// A row of activations times a row of bytes with zero point 128.
struct DotTask {
  const float* activations;    // [depth]
  const std::uint8_t* values;  // [depth]
  const float* scales;         // [blocks]
  std::size_t depth;
  std::size_t block;
};

struct Kernels {
  const char* name;
  void (*quantise)(const QuantiseTask& task) noexcept;
  PanelKernel multiply[kPackingCount];
  const WidePanels& wide;
  std::size_t task_rows;  // whose activations stay in the second-level cache
  void (*rotate)(const RotateTask& task) noexcept;
  AttendKernel (*attend)(std::size_t head_dim) noexcept;  // null for a head dim without a kernel
  std::size_t attend_rows;                                // of a task, at most
  // The greatest ordering key of the numbers: see ordering_key.h.
  std::int32_t (*greatest_key)(const float* numbers, std::size_t count) noexcept;
  float (*dot)(const DotTask& task) noexcept;
  // The sum of e^(number - shift); NaN if a number is NaN.
  float (*sum_of_exponentials)(const float* numbers, std::size_t count, float shift) noexcept;
};

#if defined(__x86_64__)
// Defined as constants: no code for other instructions runs before the CPU was asked.
extern const Kernels kAmxKernels;
extern const Kernels kAvx512Kernels;
// What kAmxKernels has beyond kAvx512Kernels.
extern const WidePanels kAmxPanels;
AttendKernel amx_attend_for(std::size_t head_dim) noexcept;  // rounds to bfloat16
extern const Kernels kAvxVnniKernels;
extern const Kernels kAvx2Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonDotKernels;
#endif

// The kernels of this architecture, the fastest first.
struct KernelSet {
  const Kernels& kernels;
  bool (*runs_on)(const Cpu& cpu) noexcept;
};
extern const KernelSet kKernelSets[];
extern const std::size_t kKernelSetCount;

// The first set that runs on the CPU; null if there is none.
const Kernels* kernels_for(const Cpu& cpu) noexcept;

// The same for the CPU that this process runs on, chosen once.
const Kernels* kernels_for_this_cpu() noexcept;

}  // namespace appliance::ops
