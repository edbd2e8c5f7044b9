// Sixteen 32-bit lanes in an AVX-512 register, under the same names as Avx2.
#pragma once

#include <cstring>

#include "kernels/vector_avx2.hpp"

namespace brainlock::math::detail {
namespace {

struct Avx512 {
  using Reg = __m512i;
  using Wide = Reg;
  using Half = Avx2;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kGemmOutputs = 12;  ///< 24 accumulators of the 32 registers

  BRAINLOCK_INLINE static Reg load(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
  BRAINLOCK_INLINE static Reg load_odd(const std::uint32_t* p) { return load(p + 1); }
  BRAINLOCK_INLINE static void store(std::uint32_t* p, Reg v) { _mm512_storeu_si512(p, v); }
  BRAINLOCK_INLINE static Reg zero() { return _mm512_setzero_si512(); }
  BRAINLOCK_INLINE static Reg set1(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }

  BRAINLOCK_INLINE static Reg add(Reg a, Reg b) { return _mm512_add_epi32(a, b); }
  BRAINLOCK_INLINE static Reg sub(Reg a, Reg b) { return _mm512_sub_epi32(a, b); }
  BRAINLOCK_INLINE static Reg min(Reg a, Reg b) { return _mm512_min_epu32(a, b); }
  BRAINLOCK_INLINE static Reg shift_right32_1(Reg a) { return _mm512_srli_epi32(a, 1); }
  template <int kBits>
  BRAINLOCK_INLINE static Reg shift_left32(Reg a) { return _mm512_slli_epi32(a, kBits); }
  template <int kBits>
  BRAINLOCK_INLINE static Reg shift_right32(Reg a) { return _mm512_srli_epi32(a, kBits); }
  /// a with the odd bytes (16-bit halves) of b.
  BRAINLOCK_INLINE static Reg odd_bytes_of(Reg a, Reg b) { return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, a, b); }
  BRAINLOCK_INLINE static Reg odd_halves_of(Reg a, Reg b) { return _mm512_mask_blend_epi16(0xaaaaaaaa, a, b); }
  BRAINLOCK_INLINE static Reg mul_low(Reg a, Reg b) { return _mm512_mullo_epi32(a, b); }
  BRAINLOCK_INLINE static Reg sub_mul(Reg a, Reg b, Reg c) { return sub(a, mul_low(b, c)); }
  BRAINLOCK_INLINE static Reg keep(Reg x) {
#ifndef BRAINLOCK_EMULATE_SIMD
    asm("" : "+v"(x));
#endif
    return x;
  }
  // Thirty-two registers: the compiler keeps what it needs in them.
  BRAINLOCK_INLINE static Reg mul_even_from(Reg a, const Reg& b) { return mul_even(a, b); }
  BRAINLOCK_INLINE static Reg mul_low_from(Reg a, const Reg& b) { return mul_low(a, b); }
  BRAINLOCK_INLINE static Reg if_greater(Reg a, Reg limit, Reg b) {
    return _mm512_maskz_mov_epi32(_mm512_cmpgt_epi32_mask(a, limit), b);
  }

  BRAINLOCK_INLINE static Reg add64(Reg a, Reg b) { return _mm512_add_epi64(a, b); }
  BRAINLOCK_INLINE static Reg mul_even(Reg a, Reg b) { return _mm512_mul_epu32(a, b); }
  BRAINLOCK_INLINE static Reg mul_low_halves(Reg a, Reg b) { return mul_even(a, b); }
  BRAINLOCK_INLINE static Reg odd_to_even(Reg a) { return _mm512_srli_epi64(a, 32); }
  BRAINLOCK_INLINE static Reg low_halves(Reg a) { return _mm512_maskz_mov_epi32(0x5555, a); }
  BRAINLOCK_INLINE static Reg shift_right64(Reg a, int bits) { return _mm512_srl_epi64(a, _mm_cvtsi32_si128(bits)); }
  BRAINLOCK_INLINE static Reg merge_high(Reg even, Reg odd) {
#ifndef BRAINLOCK_EMULATE_SIMD
    return _mm512_mask_shuffle_epi32(odd, 0x5555, even, static_cast<_MM_PERM_ENUM>(0xF5));  // one instruction
#else
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
#endif
  }

#ifndef BRAINLOCK_EMULATE_SIMD
  using Float = __m512;
  BRAINLOCK_INLINE static Float to_float(Reg a) { return _mm512_cvtepi32_ps(a); }
  BRAINLOCK_INLINE static Float float_zero() { return _mm512_setzero_ps(); }
  BRAINLOCK_INLINE static Float float_set1(float x) { return _mm512_set1_ps(x); }
  BRAINLOCK_INLINE static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  BRAINLOCK_INLINE static Reg round_to_int(Float a) { return _mm512_cvtps_epi32(a); }
#else
  struct Float {
    Half::Float low, high;
  };
  static Float to_float(Reg a) {
    return {Half::to_float(_mm512_castsi512_si256(a)), Half::to_float(_mm512_extracti64x4_epi64(a, 1))};
  }
  static Float float_zero() { return {Half::float_zero(), Half::float_zero()}; }
  static Float float_set1(float x) { return {Half::float_set1(x), Half::float_set1(x)}; }
  static Float fma(Float a, Float b, Float c) {
    return {Half::fma(a.low, b.low, c.low), Half::fma(a.high, b.high, c.high)};
  }
  static Reg round_to_int(Float a) { return join(Half::round_to_int(a.low), Half::round_to_int(a.high)); }
#endif

  BRAINLOCK_INLINE static Reg join(__m256i low, __m256i high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  /// Two neighbouring output vectors, the first an even one, come from the two halves of one aligned block.
  struct Places {
    std::size_t block;
    Reg lanes;
  };
  template <typename Table>
  BRAINLOCK_INLINE static Places places(const Table& table, std::size_t vector) {
    const auto half = [&](std::size_t v) {
      return Half::add(Half::load(table.patterns[table.pattern[v]]), Half::set1(table.source[v] & 8u));
    };
    return {table.source[vector] & ~std::uint32_t{15}, join(half(vector), half(vector + 1))};
  }
  /// kLanes / kRun words, each in kRun (2 or 4) neighbouring lanes.
  template <std::size_t kRun>
  BRAINLOCK_INLINE static Reg load_runs(const std::uint32_t* p) {
    if constexpr (kRun == 2) {
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
      return permute(_mm512_castsi256_si512(words), _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7));
    } else {
      const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      return permute(_mm512_castsi128_si512(words), _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    }
  }
  BRAINLOCK_INLINE static Reg permute(Reg v, Reg lanes) { return _mm512_permutexvar_epi32(lanes, v); }

  /// v[c]: word c of each of sixteen rows; zeros beyond `rows` and `columns` (1 to 4), where nothing is read.
  BRAINLOCK_INLINE static void load_columns(Reg (&v)[4], const std::uint32_t* p, std::size_t stride, std::size_t rows, std::size_t columns) {
    std::uint32_t copy[16][4];
    if (rows != 16 || columns != 4) {
      std::memset(copy, 0, sizeof(copy));
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t c = 0; c < columns; ++c) copy[i][c] = p[i * stride + c];
      }
      p = copy[0];
      stride = 4;
    }
    const auto row = [&](std::size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * stride)); };
    Reg a[4];   // rows i, 4 + i, 8 + i, 12 + i
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      a[i] = _mm512_castsi128_si512(row(i));
      a[i] = _mm512_inserti32x4(a[i], row(4 + i), 1);
      a[i] = _mm512_inserti32x4(a[i], row(8 + i), 2);
      a[i] = _mm512_inserti32x4(a[i], row(12 + i), 3);
    }
    const Reg low01 = _mm512_unpacklo_epi32(a[0], a[1]), high01 = _mm512_unpackhi_epi32(a[0], a[1]);
    const Reg low23 = _mm512_unpacklo_epi32(a[2], a[3]), high23 = _mm512_unpackhi_epi32(a[2], a[3]);
    v[0] = _mm512_unpacklo_epi64(low01, low23);
    v[1] = _mm512_unpackhi_epi64(low01, low23);
    v[2] = _mm512_unpacklo_epi64(high01, high23);
    v[3] = _mm512_unpackhi_epi64(high01, high23);
  }

  // Two blocks of 64 words: the first in the low eight lanes of each register, the second in the high eight.
  BRAINLOCK_INLINE static void load_blocks(Reg (&v)[8], const std::uint32_t* x) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) v[k] = join(Half::load(x + 8 * k), Half::load(x + 64 + 8 * k));
  }
  template <typename Place>
  BRAINLOCK_INLINE static void store_blocks(const Place& place, const Reg (&v)[8]) {
    std::uint32_t* const first = place(0);
    std::uint32_t* const second = place(1);
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      Half::store(first + 8 * k, _mm512_castsi512_si256(v[k]));
      Half::store(second + 8 * k, _mm512_extracti64x4_epi64(v[k], 1));
    }
  }
  /// Reads eight words at w.
  BRAINLOCK_INLINE static Reg set_blocks(const std::uint32_t* w, int g, int per_block) {
    const Reg index = join(_mm256_set1_epi32(g), _mm256_set1_epi32(per_block + g));
    return _mm512_permutexvar_epi32(index, _mm512_castsi256_si512(Half::load(w)));
  }

  BRAINLOCK_INLINE static void transpose8(Reg (&v)[8]) {
    Reg a[8];
    Reg b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      a[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
      a[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
    }
#pragma GCC unroll 8
    for (int h = 0; h < 2; ++h) {
      b[4 * h + 0] = _mm512_unpacklo_epi64(a[4 * h + 0], a[4 * h + 2]);
      b[4 * h + 1] = _mm512_unpackhi_epi64(a[4 * h + 0], a[4 * h + 2]);
      b[4 * h + 2] = _mm512_unpacklo_epi64(a[4 * h + 1], a[4 * h + 3]);
      b[4 * h + 3] = _mm512_unpackhi_epi64(a[4 * h + 1], a[4 * h + 3]);
    }
    const Reg low = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
    const Reg high = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm512_permutex2var_epi64(b[i], low, b[i + 4]);
      v[i + 4] = _mm512_permutex2var_epi64(b[i], high, b[i + 4]);
    }
  }
};

}  // namespace
}  // namespace brainlock::math::detail
