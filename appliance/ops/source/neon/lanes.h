// Vectors of 16 bytes, with NEON's dot product: each is exact.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "../packing.h"

namespace appliance::ops::neon {

struct Lanes {
  static constexpr std::size_t kLanes = 4;
  using Floats = float32x4_t;
  using Ints = int32x4_t;
  using Bytes = uint8x16_t;

  // Floats.
  static Floats all(float number) { return vdupq_n_f32(number); }
  static Floats load(const float* from) { return vld1q_f32(from); }
  static Floats load_halves(const Half* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(from))));
  }
  static void store(float* to, Floats vector) { vst1q_f32(to, vector); }
  // The first `count` lanes; the others become zero.
  static Floats keep_first(Floats vector, std::size_t count) {
    return vreinterpretq_f32_s32(both(bits(vector), first_lanes(count)));
  }
  static float first(Floats vector) { return vgetq_lane_f32(vector, 0); }
  static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
  static Floats subtract(Floats a, Floats b) { return vsubq_f32(a, b); }
  static Floats multiply(Floats a, Floats b) { return vmulq_f32(a, b); }
  static Floats divide(Floats a, Floats b) { return vdivq_f32(a, b); }
  // sum + a * b, sum - a * b, a * b - c: rounded once.
  static Floats add_product(Floats sum, Floats a, Floats b) { return vfmaq_f32(sum, a, b); }
  static Floats subtract_product(Floats sum, Floats a, Floats b) { return vfmsq_f32(sum, a, b); }
  static Floats product_less(Floats a, Floats b, Floats c) { return vfmaq_f32(vnegq_f32(c), a, b); }
  // If a number is NaN, the result is NaN.
  static Floats least(Floats a, Floats b) { return vminq_f32(a, b); }
  static Floats greatest(Floats a, Floats b) { return vmaxq_f32(a, b); }
  static Floats rounded(Floats vector) { return vrndnq_f32(vector); }
  static Ints is_number(Floats vector) { return vreinterpretq_s32_u32(vceqq_f32(vector, vector)); }
  static float greatest_of(Floats vector) { return vmaxvq_f32(vector); }
  static float total(Floats vector) { return vpadds_f32(vadd_f32(vget_low_f32(vector), vget_high_f32(vector))); }

  // Integers.
  static Ints all(std::int32_t number) { return vdupq_n_s32(number); }
  static Ints bits(Floats vector) { return vreinterpretq_s32_f32(vector); }
  static Ints integers(Floats vector) { return vcvtnq_s32_f32(vector); }
  static Floats floats(Ints vector) { return vcvtq_f32_s32(vector); }
  static Floats power_of_two(Ints vector) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vector, all(127)), 23));
  }
  static Ints add(Ints a, Ints b) { return vaddq_s32(a, b); }
  static Ints subtract(Ints a, Ints b) { return vsubq_s32(a, b); }
  static Ints greatest(Ints a, Ints b) { return vmaxq_s32(a, b); }
  static Ints both(Ints a, Ints b) { return vandq_s32(a, b); }
  static Ints different(Ints a, Ints b) { return veorq_s32(a, b); }
  template <int Count>
  static Ints shifted_right(Ints vector) {
    return vshrq_n_s32(vector, Count);
  }
  // Lanes of the mask are all ones or all zeros.
  static Ints select(Ints mask, Ints a, Ints b) { return vbslq_s32(vreinterpretq_u32_s32(mask), a, b); }
  static Ints first_lanes(std::size_t count) {
    static constexpr std::int32_t kNumbers[kLanes] = {0, 1, 2, 3};
    return vreinterpretq_s32_u32(vcltq_s32(vld1q_s32(kNumbers), all(static_cast<std::int32_t>(count))));
  }
  static std::int32_t greatest_of(Ints vector) { return vmaxvq_s32(vector); }
  static std::int32_t total(Ints vector) { return vaddvq_s32(vector); }

  // Bytes.
  static Bytes load_bytes(const std::uint8_t* from) { return vld1q_u8(from); }
  static void store_bytes(std::uint8_t* to, Bytes vector) { vst1q_u8(to, vector); }
  static Bytes either(Bytes a, Bytes b) { return vorrq_u8(a, b); }
  // The bits `Mask` << From of each byte, moved to Mask << To.
  template <std::size_t From, std::size_t To, unsigned Mask>
  static Bytes field(Bytes vector) {
    if constexpr (From > To) {
      vector = vshrq_n_u8(vector, From - To);
    } else if constexpr (From < To) {
      vector = vshlq_n_u8(vector, To - From);
    }
    return vandq_u8(vector, vdupq_n_u8(static_cast<std::uint8_t>(Mask << To)));
  }
  // One integer of each byte, and one byte of each integer.
  static Ints widened(const std::uint8_t* from) {
    std::uint32_t four = 0;
    __builtin_memcpy(&four, from, sizeof four);
    const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
  }
  static void store_bytes(std::int8_t* to, Ints vector) {
    const int16x4_t words = vqmovn_s32(vector);
    const int8x8_t bytes = vqmovn_s16(vcombine_s16(words, words));
    const std::int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
    __builtin_memcpy(to, &four, sizeof four);
  }
  static Bytes four_activations(const std::int8_t* values) {
    std::int32_t four = 0;
    __builtin_memcpy(&four, values, sizeof four);
    return vreinterpretq_u8_s32(all(four));
  }
};

// sdot multiplies signed bytes: 128 is subtracted from weights of 8 bits; weights of fewer bits are signed as they are.
struct WithDotProduct : Lanes {
  using Lanes = neon::Lanes;
  static constexpr bool kWidens = true;
  // 24 sums, 4 vectors of weights and one of activations fill most of the registers.
  static constexpr std::size_t kTileRows = 6;
  static constexpr std::size_t vectors(std::size_t rows) { return rows == 1 ? 16 : (rows == 2 ? 8 : 4); }

  template <std::size_t Bits>
  static constexpr std::size_t kGroupsTogether = 1;
  template <std::size_t Bits>
  static constexpr std::int32_t kSubtracted = Bits == 8 ? 128 : 0;
  template <std::size_t Bits>
  using Weights = int8x16_t;
  template <std::size_t Bits>
  static int8x16_t prepared(Bytes weights) {
    return vreinterpretq_s8_u8(Bits == 8 ? veorq_u8(weights, vdupq_n_u8(0x80)) : weights);
  }
  template <std::size_t Bits>
  static Ints add_products(Ints sums, const int8x16_t (&weights)[1], const Bytes (&activations)[1]) {
    return vdotq_s32(sums, weights[0], vreinterpretq_s8_u8(activations[0]));
  }
};

}  // namespace appliance::ops::neon
