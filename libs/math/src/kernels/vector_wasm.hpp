// Eight 32-bit lanes in two of WebAssembly's registers, under the names the kernel templates use: those that transforms
// and pointwise kernels need.
#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/one_block.hpp"
#include "kernels/two_halves.hpp"

namespace brainlock::math::detail {
namespace {

struct Simd128 : OneBlock<Simd128> {
  struct Reg {
    v128_t low, high;  ///< words 0 to 3 and 4 to 7
  };
  using Wide = Reg;
  static constexpr std::size_t kLanes = 8;

  BRAINLOCK_INLINE static Reg load(const std::uint32_t* p) { return {wasm_v128_load(p), wasm_v128_load(p + 4)}; }
  BRAINLOCK_INLINE static Reg load_odd(const std::uint32_t* p) { return load(p + 1); }
  BRAINLOCK_INLINE static void store(std::uint32_t* p, Reg v) {
    wasm_v128_store(p, v.low);
    wasm_v128_store(p + 4, v.high);
  }
  BRAINLOCK_INLINE static Reg both(v128_t x) { return {x, x}; }
  BRAINLOCK_INLINE static Reg set1(std::uint32_t x) { return both(wasm_u32x4_splat(x)); }

  BRAINLOCK_INLINE static Reg add(Reg a, Reg b) {
    return {wasm_i32x4_add(a.low, b.low), wasm_i32x4_add(a.high, b.high)};
  }
  BRAINLOCK_INLINE static Reg sub(Reg a, Reg b) {
    return {wasm_i32x4_sub(a.low, b.low), wasm_i32x4_sub(a.high, b.high)};
  }
  BRAINLOCK_INLINE static Reg min(Reg a, Reg b) {
    return {wasm_u32x4_min(a.low, b.low), wasm_u32x4_min(a.high, b.high)};
  }
  BRAINLOCK_INLINE static Reg shift_right32_1(Reg a) { return {wasm_u32x4_shr(a.low, 1), wasm_u32x4_shr(a.high, 1)}; }
  BRAINLOCK_INLINE static Reg mul_low(Reg a, Reg b) {
    return {wasm_i32x4_mul(a.low, b.low), wasm_i32x4_mul(a.high, b.high)};
  }
  BRAINLOCK_INLINE static Reg sub_mul(Reg a, Reg b, Reg c) { return sub(a, mul_low(b, c)); }
  // Engines compile once more, and do what they like with expressions and registers.
  BRAINLOCK_INLINE static Reg keep(Reg x) { return x; }
  BRAINLOCK_INLINE static Reg mul_even_from(Reg a, const Reg& b) { return mul_even(a, b); }
  BRAINLOCK_INLINE static Reg mul_low_from(Reg a, const Reg& b) { return mul_low(a, b); }
  // 64-bit halves: a register is also four 64-bit lanes; "even" words are their low halves.
  BRAINLOCK_INLINE static Reg add64(Reg a, Reg b) {
    return {wasm_i64x2_add(a.low, b.low), wasm_i64x2_add(a.high, b.high)};
  }
  /// The even words of both halves side by side.
  BRAINLOCK_INLINE static v128_t evens(Reg a) { return wasm_i32x4_shuffle(a.low, a.high, 0, 2, 4, 6); }
  BRAINLOCK_INLINE static Reg mul_even(Reg a, Reg b) {
    const v128_t x = evens(a), y = evens(b);
    return {wasm_u64x2_extmul_low_u32x4(x, y), wasm_u64x2_extmul_high_u32x4(x, y)};
  }
  BRAINLOCK_INLINE static Reg odd_to_even(Reg a) { return {wasm_u64x2_shr(a.low, 32), wasm_u64x2_shr(a.high, 32)}; }
  BRAINLOCK_INLINE static Reg shift_right64(Reg a, int bits) {
    const auto by = static_cast<std::uint32_t>(bits);
    return {wasm_u64x2_shr(a.low, by), wasm_u64x2_shr(a.high, by)};
  }
  /// Words: high halves of `even` at even places, high halves of `odd` at odd places.
  BRAINLOCK_INLINE static Reg merge_high(Reg even, Reg odd) {
    return {wasm_i32x4_shuffle(even.low, odd.low, 1, 5, 3, 7), wasm_i32x4_shuffle(even.high, odd.high, 1, 5, 3, 7)};
  }

  /// Places of the automorphism: `in` holds the aligned source block of words [block_of(t), + kLanes).
  struct Lanes {
    v128_t low, high;                      ///< of the result's halves: where its bytes lie in the source's low half
    v128_t low_from_high, high_from_high;  ///< and in its high half. Places beyond a half give 0
  };
  struct Places {
    std::size_t block;
    Lanes lanes;
  };
  template <typename Table>
  BRAINLOCK_INLINE static Places places(const Table& table, std::size_t vector) {
    const Reg lanes = load(table.patterns[table.pattern[vector]]);
    const v128_t low = bytes_of(lanes.low), high = bytes_of(lanes.high), half = wasm_i8x16_const_splat(16);
    return {table.source[vector], {low, high, wasm_i8x16_sub(low, half), wasm_i8x16_sub(high, half)}};
  }
  BRAINLOCK_INLINE static Reg permute(Reg v, const Lanes& at) {
    return {wasm_v128_or(wasm_i8x16_swizzle(v.low, at.low), wasm_i8x16_swizzle(v.high, at.low_from_high)),
            wasm_v128_or(wasm_i8x16_swizzle(v.low, at.high), wasm_i8x16_swizzle(v.high, at.high_from_high))};
  }

  BRAINLOCK_INLINE static void transpose8(Reg (&v)[8]) { transpose_halves<Simd128>(v); }
  BRAINLOCK_INLINE static void transpose4(v128_t* x) {
    const v128_t a = wasm_i32x4_shuffle(x[0], x[1], 0, 4, 1, 5), b = wasm_i32x4_shuffle(x[0], x[1], 2, 6, 3, 7);
    const v128_t c = wasm_i32x4_shuffle(x[2], x[3], 0, 4, 1, 5), d = wasm_i32x4_shuffle(x[2], x[3], 2, 6, 3, 7);
    x[0] = wasm_i64x2_shuffle(a, c, 0, 2);
    x[1] = wasm_i64x2_shuffle(a, c, 1, 3);
    x[2] = wasm_i64x2_shuffle(b, d, 0, 2);
    x[3] = wasm_i64x2_shuffle(b, d, 1, 3);
  }

 private:
  /// Places of words, 0 to 7, as places of their bytes.
  BRAINLOCK_INLINE static v128_t bytes_of(v128_t words) {
    const v128_t first = wasm_i32x4_shl(words, 2);
    return wasm_i32x4_add(wasm_i32x4_mul(first, wasm_i32x4_const_splat(0x01010101)),
                          wasm_i32x4_const_splat(0x03020100));
  }
};

}  // namespace
}  // namespace brainlock::math::detail
