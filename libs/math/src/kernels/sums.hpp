// Kernels whose heart is a sum of products in 64-bit lanes: base conversion, key-switching inner products, GEMM.
#pragma once

#include "brainlock/math/kernels.hpp"
#include "kernels/word_ops.hpp"

namespace brainlock::math::detail {
namespace {

constexpr std::size_t kMaxShortSum = 11;   ///< terms MontgomeryReducer::reduce_short takes

template <class V>
BRAINLOCK_INLINE void add_product(WideSum<V>& sum, typename V::Reg a, typename V::Reg b) {
  sum.even = V::add64(sum.even, V::mul_even(a, b));
  sum.odd = V::add64(sum.odd, V::mul_even(V::odd_to_even(a), V::odd_to_even(b)));
}

/// ---- base conversion ----------------------------------------------------------------------------------------

template <class V, std::size_t kSources>
void convert_basis_fixed(const U32* const* y, const float* inv_q, const ConversionTarget* targets,
                         std::size_t target_count, std::size_t begin, std::size_t end) {
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    typename V::Reg even[kSources];
    typename V::Reg odd[kSources];  // kept, so that the loop over targets does not shift again
    auto sum = V::float_zero();
    for (std::size_t i = 0; i < kSources; ++i) {
      even[i] = V::load(y[i] + j);
      odd[i] = V::keep(V::odd_to_even(even[i]));
      sum = V::fma(V::to_float(even[i]), V::float_set1(inv_q[i]), sum);
    }
    const auto v_even = V::round_to_int(sum);
    const auto v_odd = V::keep(V::odd_to_even(v_even));
    for (std::size_t t = 0; t < target_count; ++t) {
      const ConversionTarget& target = targets[t];
      const auto neg_q_src = V::set1(target.neg_q_src);
      WideSum<V> acc = {V::mul_even(v_even, neg_q_src), V::mul_even(v_odd, neg_q_src)};
      for (std::size_t i = 0; i < kSources; ++i) {
        const auto factor = V::set1(target.factors[i]);
        acc.even = V::add64(acc.even, V::mul_even(even[i], factor));
        acc.odd = V::add64(acc.odd, V::mul_even(odd[i], factor));
      }
      const MontgomeryReducer<V> reducer(*target.modulus);
      typename V::Reg r;
      if constexpr (kSources <= 3) {  // below 2^32 p, since v <= 15: the lazy word is below 2p
        r = reduce_once<V>(reducer.reduce_lazy(acc), reducer.q);
      } else if constexpr (kSources < kMaxShortSum) {  // v * neg_q_src < 15 p finds room beside ten products
        r = reducer.reduce_short(acc);
      } else {
        r = reducer.reduce(acc);
      }
      V::store(target.out + j, r);
    }
  }
}

template <class V>
void convert_basis_range(const U32* const* y, const float* inv_q, std::size_t k, const ConversionTarget* targets,
                         std::size_t target_count, std::size_t begin, std::size_t end) {
  switch (k) {
#define BRAINLOCK_CASE(K) \
  case K: return convert_basis_fixed<V, K>(y, inv_q, targets, target_count, begin, end);
    BRAINLOCK_CASE(1) BRAINLOCK_CASE(2) BRAINLOCK_CASE(3) BRAINLOCK_CASE(4) BRAINLOCK_CASE(5)
    BRAINLOCK_CASE(6) BRAINLOCK_CASE(7) BRAINLOCK_CASE(8) BRAINLOCK_CASE(9) BRAINLOCK_CASE(10)
    BRAINLOCK_CASE(11) BRAINLOCK_CASE(12) BRAINLOCK_CASE(13) BRAINLOCK_CASE(14) BRAINLOCK_CASE(15)
#undef BRAINLOCK_CASE
    default: __builtin_trap();
  }
}

/// ---- key-switching inner product ------------------------------------------------------------------------------

template <class V>
struct SumPair {
  typename V::Reg first;
  typename V::Reg second;
};

/// The sum of kDigits products (0: any number, folded on the way) to [0, q).
template <class V, std::size_t kDigits>
BRAINLOCK_INLINE typename V::Reg reduce_sum(WideSum<V> sum, const MontgomeryReducer<V>& reducer) {
  if constexpr (kDigits == 0) {
    return reducer.reduce(sum);
  } else if constexpr (kDigits <= 3) {  // below 3 * 2^30 q: the lazy word is below 2q
    return reduce_once<V>(reducer.reduce_lazy(sum), reducer.q);
  } else {
    return reducer.reduce_short(sum);
  }
}

/// One vector of both inner products, reduced, at word j of the limb.
template <class V, std::size_t kDigits>
BRAINLOCK_INLINE SumPair<V> inner_product_at(const U32* const* digit, const U32* const* key0, const U32* const* key1,
                                             std::size_t digits, const U32* addend0,
                                             const MontgomeryReducer<V>& reducer, std::size_t j) {
  WideSum<V> acc0 = WideSum<V>::zero();
  WideSum<V> acc1 = WideSum<V>::zero();
  const std::size_t count = kDigits != 0 ? kDigits : digits;
  for (std::size_t d = 0; d < count; ++d) {
    if (kDigits == 0 && d % kMaxShortSum == 0 && d != 0) {
      acc0 = reducer.fold(acc0);
      acc1 = reducer.fold(acc1);
    }
    const auto x = V::load(digit[d] + j);
    add_product<V>(acc0, x, V::load(key0[d] + j));
    add_product<V>(acc1, x, V::load(key1[d] + j));
  }
  auto r0 = reduce_sum<V, kDigits>(acc0, reducer);
  const auto r1 = reduce_sum<V, kDigits>(acc1, reducer);
  if (addend0 != nullptr) r0 = reduce_once<V>(V::add(r0, V::load(addend0 + j)), reducer.q);
  return {r0, r1};
}

template <class V, std::size_t kDigits>
void inner_product_fixed(U32* out0, U32* out1, const U32* const* digit, const U32* const* key0,
                         const U32* const* key1, std::size_t digits, const U32* addend0, const Modulus& m,
                         std::size_t begin, std::size_t end) {
  const MontgomeryReducer<V> reducer(m);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    const SumPair<V> r = inner_product_at<V, kDigits>(digit, key0, key1, digits, addend0, reducer, j);
    V::store(out0 + j, r.first);
    V::store(out1 + j, r.second);
  }
}

template <class V>
void inner_product_range(U32* out0, U32* out1, const U32* const* digit, const U32* const* key0,
                         const U32* const* key1, std::size_t digits, const U32* addend0, const Modulus& m,
                         std::size_t begin, std::size_t end) {
  switch (digits) {
    case 1: return inner_product_fixed<V, 1>(out0, out1, digit, key0, key1, digits, addend0, m, begin, end);
    case 2: return inner_product_fixed<V, 2>(out0, out1, digit, key0, key1, digits, addend0, m, begin, end);
    case 3: return inner_product_fixed<V, 3>(out0, out1, digit, key0, key1, digits, addend0, m, begin, end);
    case 4: return inner_product_fixed<V, 4>(out0, out1, digit, key0, key1, digits, addend0, m, begin, end);
    default: return inner_product_fixed<V, 0>(out0, out1, digit, key0, key1, digits, addend0, m, begin, end);
  }
}

/// A unit of permuted outputs. Every address is one of few pointers and a constant, where loads of pointers and spilled sums would be a
/// third of all instructions; with a constant digit_stride the digits' are, too.
template <class V, std::size_t kDigits>
BRAINLOCK_INLINE void inner_product_unit_of(U32* out0, U32* out1, const U32* digits, std::size_t digit_stride, const U32* key,
                                            std::size_t digit_count, const U32* addend0, const U32* base0, const U32* base1,
                                            const AutomorphismTable& table, std::size_t begin, const Modulus& m) {
  const MontgomeryReducer<V> reducer(m);
  const std::size_t count = kDigits != 0 ? kDigits : digit_count;
  for (std::size_t t = 0; t < kUnitWords; t += V::kLanes) {
    const auto places = V::places(table, (begin + t) / 8);
    const U32* const from = digits + places.block;
    const U32* const by = key + t;
    WideSum<V> acc0 = WideSum<V>::zero();
    WideSum<V> acc1 = WideSum<V>::zero();
    for (std::size_t d = 0; d < count; ++d) {
      if (kDigits == 0 && d % kMaxShortSum == 0 && d != 0) {
        acc0 = reducer.fold(acc0);
        acc1 = reducer.fold(acc1);
      }
      const auto x = V::permute(V::load(from + d * digit_stride), places.lanes);
      add_product<V>(acc0, x, V::load(by + 2 * d * kUnitWords));
      add_product<V>(acc1, x, V::load(by + (2 * d + 1) * kUnitWords));
    }
    auto r0 = reduce_sum<V, kDigits>(acc0, reducer);
    auto r1 = reduce_sum<V, kDigits>(acc1, reducer);
    if (addend0 != nullptr) r0 = reduce_once<V>(V::add(r0, V::permute(V::load(addend0 + places.block), places.lanes)), reducer.q);
    if (base0 != nullptr) {
      r0 = reduce_once<V>(V::add(r0, V::load(base0 + t)), reducer.q);
      r1 = reduce_once<V>(V::add(r1, V::load(base1 + t)), reducer.q);
    }
    V::store(out0 + t, r0);
    V::store(out1 + t, r1);
  }
}

template <class V, std::size_t kDigits>
void inner_product_gathered_fixed(U32* out0, U32* out1, const U32* digits, std::size_t digit_stride, const U32* key, std::size_t digit_count,
                                  const U32* addend0, const U32* base0, const U32* base1, const AutomorphismTable& table,
                                  std::size_t begin, const Modulus& m) {
  inner_product_unit_of<V, kDigits>(out0, out1, digits, digit_stride, key, digit_count, addend0, base0, base1, table, begin, m);
}

template <class V, std::size_t kDigits>
void inner_product_unit_fixed(U32* out0, U32* out1, const U32* pieces, const U32* key, std::size_t digits,
                              const AutomorphismTable& table, std::size_t begin, const Modulus& m) {
  const std::size_t count = kDigits != 0 ? kDigits : digits;
  inner_product_unit_of<V, kDigits>(out0, out1, pieces, kUnitWords, key, digits, pieces + count * kUnitWords, nullptr, nullptr, table, begin, m);
}

/// ---- full-weight multiply-accumulate --------------------------------------------------------------------------

/// kLanes words, of which each kRun in a row are one of p[0], p[1], ...
template <class V, std::size_t kRun>
BRAINLOCK_INLINE typename V::Reg load_runs(const U32* p) {
  if constexpr (kRun == 1) {
    return V::load(p);
  } else {
    return V::template load_runs<kRun>(p);
  }
}

template <class V, std::size_t kRun>
void mac_full_range(U32* out0, U32* out1, const U32* const* w, const U32* const* x0, const U32* const* x1, std::size_t inputs,
                    const Modulus& m, std::size_t begin, std::size_t end) {
  const MontgomeryReducer<V> reducer(m);
  const std::size_t between = MontgomeryReducer<V>::products_between_folds(m);
  for (std::size_t j = begin; j < end; j += V::kLanes) {
    WideSum<V> acc0 = WideSum<V>::zero();
    WideSum<V> acc1 = WideSum<V>::zero();
    for (std::size_t k = 0; k < inputs;) {
      const std::size_t stop = k + between < inputs ? k + between : inputs;
      for (; k < stop; ++k) {
        const auto weight = load_runs<V, kRun>(w[k] + j / kRun);
        add_product<V>(acc0, V::load(x0[k] + j), weight);
        add_product<V>(acc1, V::load(x1[k] + j), weight);
      }
      acc0 = reducer.fold(acc0);
      acc1 = reducer.fold(acc1);
    }
    V::store(out0 + j, reduce_once<V>(reducer.reduce_lazy(acc0), reducer.q));
    V::store(out1 + j, reduce_once<V>(reducer.reduce_lazy(acc1), reducer.q));
  }
}

}  // namespace
}  // namespace brainlock::math::detail
