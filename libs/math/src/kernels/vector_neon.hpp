// Eight 32-bit lanes in two NEON registers, under the names the kernel templates use.
//
// Long products come from neighbouring words here (UMULL, UMULL2, and with a sum UMLAL), not from every second one as
// on x86. So "even" words are the first four and "odd" ones the last four, and a register of 64-bit lanes is a type of
// its own.
#pragma once

#ifndef BRAINLOCK_EMULATE_SIMD
#include <arm_neon.h>
#endif

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/one_block.hpp"
#include "kernels/two_halves.hpp"

namespace brainlock::math::detail {
namespace {

struct Neon : OneBlock<Neon> {
  struct Reg {
    uint32x4_t low, high;  ///< words 0 to 3 and 4 to 7
  };
  struct Wide {
    uint64x2_t low, high;
  };
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kGemmOutputs = 5;  ///< 20 accumulators of the 32 registers; with more, some would live on the stack

  BRAINLOCK_INLINE static Reg load(const std::uint32_t* p) { return {vld1q_u32(p), vld1q_u32(p + 4)}; }
  BRAINLOCK_INLINE static Reg load_odd(const std::uint32_t* p) { return both(vld1q_u32(p + 4)); }
  BRAINLOCK_INLINE static void store(std::uint32_t* p, Reg v) {
    vst1q_u32(p, v.low);
    vst1q_u32(p + 4, v.high);
  }
  BRAINLOCK_INLINE static Reg both(uint32x4_t x) { return {x, x}; }
  BRAINLOCK_INLINE static Reg zero() { return both(vdupq_n_u32(0)); }
  BRAINLOCK_INLINE static Reg set1(std::uint32_t x) { return both(vdupq_n_u32(x)); }

  BRAINLOCK_INLINE static Reg add(Reg a, Reg b) { return {vaddq_u32(a.low, b.low), vaddq_u32(a.high, b.high)}; }
  BRAINLOCK_INLINE static Reg sub(Reg a, Reg b) { return {vsubq_u32(a.low, b.low), vsubq_u32(a.high, b.high)}; }
  BRAINLOCK_INLINE static Reg min(Reg a, Reg b) { return {vminq_u32(a.low, b.low), vminq_u32(a.high, b.high)}; }
  BRAINLOCK_INLINE static Reg shift_right32_1(Reg a) { return {vshrq_n_u32(a.low, 1), vshrq_n_u32(a.high, 1)}; }
  BRAINLOCK_INLINE static Reg mul_low(Reg a, Reg b) { return {vmulq_u32(a.low, b.low), vmulq_u32(a.high, b.high)}; }
  BRAINLOCK_INLINE static Reg sub_mul(Reg a, Reg b, Reg c) {
    return {vmlsq_u32(a.low, b.low, c.low), vmlsq_u32(a.high, b.high, c.high)};
  }
  // Thirty-two registers: constants of a loop stay in them.
  BRAINLOCK_INLINE static Reg keep(Reg x) { return x; }
  BRAINLOCK_INLINE static Wide mul_even_from(Reg a, const Reg& b) { return mul_even(a, b); }
  BRAINLOCK_INLINE static Reg mul_low_from(Reg a, const Reg& b) { return mul_low(a, b); }
  /// b where the signed a > limit, else 0.
  BRAINLOCK_INLINE static Reg if_greater(Reg a, Reg limit, Reg b) {
    return {vandq_u32(greater(a.low, limit.low), b.low), vandq_u32(greater(a.high, limit.high), b.high)};
  }

  // 64-bit lanes
  BRAINLOCK_INLINE static Wide add64(Wide a, Wide b) { return {vaddq_u64(a.low, b.low), vaddq_u64(a.high, b.high)}; }
  BRAINLOCK_INLINE static Wide mul_even(Reg a, Reg b) {
    return {vmull_u32(vget_low_u32(a.low), vget_low_u32(b.low)), vmull_high_u32(a.low, b.low)};
  }
  BRAINLOCK_INLINE static Wide mul_even(Wide a, Reg b) { return mul_even(both(low_words(a)), b); }
  BRAINLOCK_INLINE static Reg mul_low_halves(Wide a, Reg b) { return both(vmulq_u32(low_words(a), b.low)); }
  BRAINLOCK_INLINE static Reg odd_to_even(Reg a) { return both(a.high); }
  BRAINLOCK_INLINE static Reg odd_to_even(Wide a) { return both(high_words(a)); }
  BRAINLOCK_INLINE static Wide low_halves(Wide a) {
    const uint64x2_t mask = vdupq_n_u64(0xffffffff);
    return {vandq_u64(a.low, mask), vandq_u64(a.high, mask)};
  }
  BRAINLOCK_INLINE static Wide shift_right64(Wide a, int bits) {
    const int64x2_t by = vdupq_n_s64(-bits);
    return {vshlq_u64(a.low, by), vshlq_u64(a.high, by)};
  }
  BRAINLOCK_INLINE static Reg merge_high(Wide even, Wide odd) { return {high_words(even), high_words(odd)}; }

  // float32
  struct Float {
    float32x4_t low, high;
  };
  BRAINLOCK_INLINE static Float to_float(Reg a) {
    return {vcvtq_f32_s32(vreinterpretq_s32_u32(a.low)), vcvtq_f32_s32(vreinterpretq_s32_u32(a.high))};
  }
  BRAINLOCK_INLINE static Float float_zero() { return float_set1(0); }
  BRAINLOCK_INLINE static Float float_set1(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
  BRAINLOCK_INLINE static Float fma(Float a, Float b, Float c) {
#ifndef BRAINLOCK_EMULATE_SIMD
    return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
#else
    return {emulated_fma(a.low, b.low, c.low), emulated_fma(a.high, b.high, c.high)};
#endif
  }
  /// Round to nearest, ties to even.
  BRAINLOCK_INLINE static Reg round_to_int(Float a) {
#ifndef BRAINLOCK_EMULATE_SIMD
    return {vreinterpretq_u32_s32(vcvtnq_s32_f32(a.low)), vreinterpretq_u32_s32(vcvtnq_s32_f32(a.high))};
#else
    return {emulated_round(a.low), emulated_round(a.high)};
#endif
  }

  /// Places of the automorphism: `in` holds the aligned source block of words [block_of(t), + kLanes).
  struct Lanes {
    uint8x16_t low, high;  ///< where the result's bytes lie among the source's 32
  };
  struct Places {
    std::size_t block;
    Lanes lanes;
  };
  template <typename Table>
  BRAINLOCK_INLINE static Places places(const Table& table, std::size_t vector) {
    const Reg lanes = load(table.patterns[table.pattern[vector]]);
    return {table.source[vector], {bytes_of(lanes.low), bytes_of(lanes.high)}};
  }
  BRAINLOCK_INLINE static Reg permute(Reg v, const Lanes& at) {
    const uint8x16x2_t source = {{vreinterpretq_u8_u32(v.low), vreinterpretq_u8_u32(v.high)}};
    return {vreinterpretq_u32_u8(vqtbl2q_u8(source, at.low)), vreinterpretq_u32_u8(vqtbl2q_u8(source, at.high))};
  }
  /// kLanes / kRun words, each in kRun (2 or 4) neighbouring lanes.
  template <std::size_t kRun>
  BRAINLOCK_INLINE static Reg load_runs(const std::uint32_t* p) {
    if constexpr (kRun == 2) {
      const uint32x4_t words = vld1q_u32(p);
      return {vzip1q_u32(words, words), vzip2q_u32(words, words)};
    } else {
      return {vld1q_dup_u32(p), vld1q_dup_u32(p + 1)};
    }
  }

  BRAINLOCK_INLINE static void transpose8(Reg (&v)[8]) { transpose_halves<Neon>(v); }
  BRAINLOCK_INLINE static void transpose4(uint32x4_t* x) {
    const uint64x2_t a = pairs(vzip1q_u32(x[0], x[1])), b = pairs(vzip2q_u32(x[0], x[1]));
    const uint64x2_t c = pairs(vzip1q_u32(x[2], x[3])), d = pairs(vzip2q_u32(x[2], x[3]));
    x[0] = words(vzip1q_u64(a, c));
    x[1] = words(vzip2q_u64(a, c));
    x[2] = words(vzip1q_u64(b, d));
    x[3] = words(vzip2q_u64(b, d));
  }

 private:
  BRAINLOCK_INLINE static uint32x4_t low_words(Wide a) {
    return vuzp1q_u32(vreinterpretq_u32_u64(a.low), vreinterpretq_u32_u64(a.high));
  }
  BRAINLOCK_INLINE static uint32x4_t high_words(Wide a) {
    return vuzp2q_u32(vreinterpretq_u32_u64(a.low), vreinterpretq_u32_u64(a.high));
  }
  BRAINLOCK_INLINE static uint32x4_t greater(uint32x4_t a, uint32x4_t b) {
    return vcgtq_s32(vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b));
  }
  BRAINLOCK_INLINE static uint64x2_t pairs(uint32x4_t x) { return vreinterpretq_u64_u32(x); }
  BRAINLOCK_INLINE static uint32x4_t words(uint64x2_t x) { return vreinterpretq_u32_u64(x); }
  /// Places of words, 0 to 7, as places of their bytes.
  BRAINLOCK_INLINE static uint8x16_t bytes_of(uint32x4_t places) {
    return vreinterpretq_u8_u32(vmlaq_u32(vdupq_n_u32(0x03020100), places, vdupq_n_u32(0x04040404)));
  }
};

}  // namespace
}  // namespace brainlock::math::detail
