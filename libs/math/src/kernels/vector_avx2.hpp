// Eight 32-bit lanes in an AVX2 register, under the names the kernel templates use.
#pragma once

#ifndef BRAINLOCK_EMULATE_SIMD
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/one_block.hpp"

namespace brainlock::math::detail {
// Everything here has internal linkage: the same header is compiled with different instruction-set flags, and the
// linker must never merge two such copies.
namespace {

struct Avx2 : OneBlock<Avx2> {
  using Reg = __m256i;
  using Wide = Reg;  ///< a register as four 64-bit lanes
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kGemmOutputs = 6;  ///< 12 accumulators of the 16 registers

  BRAINLOCK_INLINE static Reg load(const std::uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  /// Words whose even ones are p[1], p[3], ...
  BRAINLOCK_INLINE static Reg load_odd(const std::uint32_t* p) { return load(p + 1); }
  BRAINLOCK_INLINE static void store(std::uint32_t* p, Reg v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  BRAINLOCK_INLINE static Reg zero() { return _mm256_setzero_si256(); }
  BRAINLOCK_INLINE static Reg set1(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }

  BRAINLOCK_INLINE static Reg add(Reg a, Reg b) { return _mm256_add_epi32(a, b); }
  BRAINLOCK_INLINE static Reg sub(Reg a, Reg b) { return _mm256_sub_epi32(a, b); }
  BRAINLOCK_INLINE static Reg min(Reg a, Reg b) { return _mm256_min_epu32(a, b); }
  BRAINLOCK_INLINE static Reg shift_right32_1(Reg a) { return _mm256_srli_epi32(a, 1); }
  BRAINLOCK_INLINE static Reg mul_low(Reg a, Reg b) { return _mm256_mullo_epi32(a, b); }
  /// a - b c, modulo 2^32.
  BRAINLOCK_INLINE static Reg sub_mul(Reg a, Reg b, Reg c) { return sub(a, mul_low(b, c)); }
  /// The value of x, from an expression the compiler must not take apart: it would rewrite a - (b - c) as a + c - b
  /// wherever it can, which costs an instruction each time b - c is needed twice.
  BRAINLOCK_INLINE static Reg keep(Reg x) {
#ifndef BRAINLOCK_EMULATE_SIMD
    asm("" : "+x"(x));
#endif
    return x;
  }
  /// mul_even and mul_low with the second operand taken from memory: with sixteen registers, constants of a loop live
  /// on the stack, and the compiler spends a load on each instead of an operand.
  BRAINLOCK_INLINE static Reg mul_even_from(Reg a, const Reg& b) {
#ifndef BRAINLOCK_EMULATE_SIMD
    Reg r;
    asm("vpmuludq %2, %1, %0" : "=x"(r) : "x"(a), "m"(b));
    return r;
#else
    return mul_even(a, b);
#endif
  }
  BRAINLOCK_INLINE static Reg mul_low_from(Reg a, const Reg& b) {
#ifndef BRAINLOCK_EMULATE_SIMD
    Reg r;
    asm("vpmulld %2, %1, %0" : "=x"(r) : "x"(a), "m"(b));
    return r;
#else
    return mul_low(a, b);
#endif
  }
  /// b where the signed a > limit, else 0.
  BRAINLOCK_INLINE static Reg if_greater(Reg a, Reg limit, Reg b) { return _mm256_and_si256(_mm256_cmpgt_epi32(a, limit), b); }

  // 64-bit halves: a register is also four 64-bit lanes; "even" words are their low halves.
  BRAINLOCK_INLINE static Reg add64(Reg a, Reg b) { return _mm256_add_epi64(a, b); }
  BRAINLOCK_INLINE static Reg mul_even(Reg a, Reg b) { return _mm256_mul_epu32(a, b); }
  /// Even words: the low words of a's lanes times b's even words, modulo 2^32.
  BRAINLOCK_INLINE static Reg mul_low_halves(Reg a, Reg b) { return mul_even(a, b); }
  BRAINLOCK_INLINE static Reg odd_to_even(Reg a) { return _mm256_srli_epi64(a, 32); }
  BRAINLOCK_INLINE static Reg low_halves(Reg a) { return _mm256_blend_epi32(a, _mm256_setzero_si256(), 0xAA); }
  BRAINLOCK_INLINE static Reg shift_right64(Reg a, int bits) { return _mm256_srl_epi64(a, _mm_cvtsi32_si128(bits)); }
  /// Words: high halves of `even` at even places, high halves of `odd` at odd places.
  BRAINLOCK_INLINE static Reg merge_high(Reg even, Reg odd) { return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA); }

  // float32
  using Float = __m256;
  BRAINLOCK_INLINE static Float to_float(Reg a) { return _mm256_cvtepi32_ps(a); }
  BRAINLOCK_INLINE static Float float_zero() { return _mm256_setzero_ps(); }
  BRAINLOCK_INLINE static Float float_set1(float x) { return _mm256_set1_ps(x); }
#ifndef BRAINLOCK_EMULATE_SIMD
  BRAINLOCK_INLINE static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
#else
  static Float fma(Float a, Float b, Float c) { return emulated_fma(a, b, c); }
#endif
  /// Round to nearest, ties to even.
  BRAINLOCK_INLINE static Reg round_to_int(Float a) { return _mm256_cvtps_epi32(a); }

  /// Places of the automorphism: `in` holds the aligned source block of words [block_of(t), + kLanes).
  struct Places {
    std::size_t block;
    Reg lanes;
  };
  template <typename Table>
  BRAINLOCK_INLINE static Places places(const Table& table, std::size_t vector) {
    return {table.source[vector], load(table.patterns[table.pattern[vector]])};
  }
  /// kLanes / kRun words, each in kRun (2 or 4) neighbouring lanes.
  template <std::size_t kRun>
  BRAINLOCK_INLINE static Reg load_runs(const std::uint32_t* p) {
    if constexpr (kRun == 2) {
      const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(words), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
    } else {
      const __m128i words = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
      return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(words), _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
    }
  }
  BRAINLOCK_INLINE static Reg permute(Reg v, Reg lanes) { return _mm256_permutevar8x32_epi32(v, lanes); }

  /// In each eight lanes: word l of register k becomes word k of register l.
  BRAINLOCK_INLINE static void transpose8(Reg (&v)[8]) {
    Reg a[8];
    Reg b[8];
    for (int i = 0; i < 4; ++i) {
      a[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
      a[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
    }
    for (int h = 0; h < 2; ++h) {
      b[4 * h + 0] = _mm256_unpacklo_epi64(a[4 * h + 0], a[4 * h + 2]);
      b[4 * h + 1] = _mm256_unpackhi_epi64(a[4 * h + 0], a[4 * h + 2]);
      b[4 * h + 2] = _mm256_unpacklo_epi64(a[4 * h + 1], a[4 * h + 3]);
      b[4 * h + 3] = _mm256_unpackhi_epi64(a[4 * h + 1], a[4 * h + 3]);
    }
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
      v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
  }
};

}  // namespace
}  // namespace brainlock::math::detail
