// Modular arithmetic on vectors of words, shared by every vector kernel. V is a vector class such as Avx2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "brainlock/math/modulus.hpp"
#include "kernels/inline.hpp"

namespace brainlock::math::detail {
namespace {

using U32 = std::uint32_t;
using U64 = std::uint64_t;

/// x in [0, 2m) to [0, m).
template <class V>
BRAINLOCK_INLINE typename V::Reg reduce_once(typename V::Reg x, typename V::Reg m) {
  return V::min(x, V::sub(x, m));
}

/// (a - b) mod q for a, b < q.
template <class V>
BRAINLOCK_INLINE typename V::Reg subtract(typename V::Reg a, typename V::Reg b, typename V::Reg q) {
  const auto d = V::sub(a, b);
  return V::min(d, V::add(d, q));
}

/// High word of a * b where every lane of b is the same.
template <class V>
BRAINLOCK_INLINE typename V::Reg mul_high_uniform(typename V::Reg a, typename V::Reg b) {
  return V::merge_high(V::mul_even(a, b), V::mul_even(V::odd_to_even(a), b));
}

/// Shoup product with a constant: any 32-bit a, w < q, w_shoup = floor(w 2^32 / q); result in [0, 2q).
template <class V>
BRAINLOCK_INLINE typename V::Reg mul_uniform_lazy(typename V::Reg a, typename V::Reg w, typename V::Reg w_shoup,
                                                  typename V::Reg q) {
  return V::sub_mul(V::mul_low(a, w), mul_high_uniform<V>(a, w_shoup), q);
}

template <class V>
BRAINLOCK_INLINE typename V::Reg mul_uniform(typename V::Reg a, typename V::Reg w, typename V::Reg w_shoup,
                                             typename V::Reg q) {
  return reduce_once<V>(mul_uniform_lazy<V>(a, w, w_shoup, q), q);
}

BRAINLOCK_INLINE U32 shoup_of(U32 w, U32 q) { return static_cast<U32>((U64{w} << 32) / q); }

/// Plain products mod q of two variable operands by Barrett with a 32-bit reciprocal. With L = bit length of q:
/// floor(T / 2^(L-2)) * floor(2^(L+31) / q) / 2^33 is short of T / q by less than 2, so one subtraction remains.
template <class V>
struct ProductReducer {
  typename V::Reg q;
  typename V::Reg reciprocal;
  int shift;

  BRAINLOCK_INLINE explicit ProductReducer(const Modulus& m) {
    const int length = 32 - __builtin_clz(m.q);
    q = V::set1(m.q);
    reciprocal = V::set1(static_cast<U32>(m.barrett >> (33 - length)));
    shift = length - 2;
  }
  /// a, b < q.
  BRAINLOCK_INLINE typename V::Reg mul(typename V::Reg a, typename V::Reg b) const {
    const auto even = V::shift_right64(V::mul_even(a, b), shift);
    const auto odd = V::shift_right64(V::mul_even(V::odd_to_even(a), V::odd_to_even(b)), shift);
    const auto high = V::merge_high(V::mul_even(even, reciprocal), V::mul_even(odd, reciprocal));
    const auto quotient = V::shift_right32_1(high);
    return reduce_once<V>(V::sub_mul(V::mul_low(a, b), quotient, q), q);
  }
};

/// Sums of products kept as 64-bit lanes: `even` for words 0, 2, ..., `odd` for words 1, 3, ... (or what V calls so).
template <class V>
struct WideSum {
  typename V::Wide even;
  typename V::Wide odd;
  BRAINLOCK_INLINE static WideSum zero() { return {typename V::Wide{}, typename V::Wide{}}; }
};

/// Turns wide sums into words: x * 2^-32 mod q.
template <class V>
struct MontgomeryReducer {
  typename V::Reg q;
  typename V::Reg twice_q;
  typename V::Reg neg_inv;
  typename V::Reg r1;

  BRAINLOCK_INLINE explicit MontgomeryReducer(const Modulus& m)
      : q(V::set1(m.q)), twice_q(V::add(q, q)), neg_inv(V::set1(m.neg_inv)), r1(V::set1(m.r1)) {}

  /// Any 64-bit lanes to congruent ones below 2^32 q.
  BRAINLOCK_INLINE typename V::Wide fold(typename V::Wide x) const {
    return V::add64(V::low_halves(x), V::mul_even(V::odd_to_even(x), r1));
  }
  BRAINLOCK_INLINE WideSum<V> fold(WideSum<V> x) const { return {fold(x.even), fold(x.odd)}; }

  /// Lanes x with x + 2^32 q < 2^64 to words in [0, x / 2^32 + q).
  BRAINLOCK_INLINE typename V::Reg reduce_lazy(WideSum<V> x) const {
    const auto even = V::add64(x.even, V::mul_even(V::mul_low_halves(x.even, neg_inv), q));
    const auto odd = V::add64(x.odd, V::mul_even(V::mul_low_halves(x.odd, neg_inv), q));
    return V::merge_high(even, odd);
  }
  /// Any lanes to [0, q).
  BRAINLOCK_INLINE typename V::Reg reduce(WideSum<V> x) const { return reduce_once<V>(reduce_lazy(fold(x)), q); }
  /// Lanes below 11 * 2^30 * q (sums of at most eleven products below 2^30 q) to [0, q): the lazy word is below
  /// (11/4 + 1) q < 4q, and 11 * 2^60 + 2^62 fits 64 bits.
  BRAINLOCK_INLINE typename V::Reg reduce_short(WideSum<V> x) const {
    return reduce_once<V>(reduce_once<V>(reduce_lazy(x), twice_q), q);
  }
  /// How many products of words below q a folded lane takes before it must be folded again.
  static std::size_t products_between_folds(const Modulus& m) {
    const U64 product = U64{m.q - 1} * (m.q - 1);
    return static_cast<std::size_t>((~U64{0} - (U64{m.q} << 32)) / product);
  }
};

}  // namespace
}  // namespace brainlock::math::detail
