// The negacyclic transform with lazily reduced words and Shoup twiddles (Harvey, "Faster arithmetic for
// number-theoretic transforms", 2014), three stages a pass over memory.
//
//   stages:   | strides N/2 .. 4096 | within blocks of 4096 words: .. 64 | 32 16 8 | transposed: 4 2 1 |
//               whole array, from L2   16 KB: stays in L1                  registers, 64 words at a time
#pragma once

#include "kernels/tail_layout.hpp"
#include "kernels/word_ops.hpp"

namespace brainlock::math::detail {
namespace {

constexpr int kLogCacheBlock = 12;  ///< 4096 words, half of a 32 KB first-level cache
constexpr int kLogTailBlock = 6;
static_assert(kTailBlock == 1u << kLogTailBlock);

template <class V>
struct Twiddle {
  typename V::Reg w;
  typename V::Reg w_shoup;
};

struct BlockTwiddles {};  ///< tag

/// How far words may grow between reductions: kRange q fits 32 bits, so 16 for q < 2^28, 8 for q < 2^29, else 4.
/// Fewer reductions are the whole point: they are 4 of a butterfly's 13 instructions at kRange = 4.
template <class V>
struct NttConstants {
  typename V::Reg q;
  typename V::Reg q2;
  typename V::Reg q4;
  typename V::Reg q8;
  BRAINLOCK_INLINE explicit NttConstants(const Modulus& m)
      : q(V::set1(m.q)), q2(V::set1(2 * m.q)), q4(V::set1(4 * m.q)), q8(V::set1(8 * m.q)) {}
  /// k q for k in {2, 4, 8}.
  BRAINLOCK_INLINE typename V::Reg multiple(int k) const { return k == 2 ? q2 : k == 4 ? q4 : q8; }
};

/// x in [0, from q) to [0, to q); powers of two, 2 <= to.
template <class V>
BRAINLOCK_INLINE void reduce_range(typename V::Reg& x, int from, int to, const NttConstants<V>& c) {
  if (from > 8 && to < 16) x = reduce_once<V>(x, c.q8);
  if (from > 4 && to < 8) x = reduce_once<V>(x, c.q4);
  if (from > 2 && to < 4) x = reduce_once<V>(x, c.q2);
}

/// Bounds of a run of forward stages (all words alike): a butterfly takes x below b q, any y, and gives both below
/// (b + 2) q, so x is halved in range, at two instructions, only where the next stage would overflow.
template <int kRange, int kStages>
struct ForwardPlan {
  int reduce_from[kStages] = {};  ///< 0: x is not reduced before this stage
  int reduce_to[kStages] = {};
  int bound = 0;                  ///< of the outputs

  constexpr explicit ForwardPlan(int in, bool to_two_at_the_end = false) {
    bound = in;
    for (int s = 0; s < kStages; ++s) {
      const bool last = s == kStages - 1 && to_two_at_the_end;
      if (last || bound + 2 > kRange) {
        reduce_from[s] = bound;
        reduce_to[s] = last ? 2 : kRange / 2;
        if (bound > reduce_to[s]) bound = reduce_to[s];
      }
      bound += 2;
    }
  }
};

/// Bounds of 2^kStages words going through inverse stages, from [0, 2q) each: sums double, products return to 2q.
template <int kRange, int kStages>
struct InversePlan {
  int offset[kStages][1 << kStages] = {};       ///< by stage and index of x: the multiple of q that keeps x - y >= 0
  int reduce_from[kStages][1 << kStages] = {};  ///< of the sum, 0: not at all
  int bound[1 << kStages] = {};

  constexpr InversePlan() {
    for (int& b : bound) b = 2;
    for (int s = kStages - 1; s >= 0; --s) {
      const int half = 1 << (kStages - 1 - s);
      for (int x = 0; x < (1 << kStages); ++x) {
        if (x & half) continue;
        offset[s][x] = bound[x];  // x and y have the same history, hence the same bound
        bound[x] *= 2;
        bound[x + half] = 2;
        if (s > 0 && 2 * bound[x] > kRange) {
          reduce_from[s][x] = bound[x];
          bound[x] = kRange / 2;
        }
      }
    }
  }
};

/// mul_uniform_lazy, with both constants left in memory where they serve a long loop.
template <class V, bool kFromMemory>
BRAINLOCK_INLINE typename V::Reg mul_twiddle_lazy(typename V::Reg a, const Twiddle<V>& t, typename V::Reg q) {
  if constexpr (!kFromMemory) return V::keep(mul_uniform_lazy<V>(a, t.w, t.w_shoup, q));
  const auto high = V::merge_high(V::mul_even_from(a, t.w_shoup), V::mul_even_from(V::odd_to_even(a), t.w_shoup));
  return V::keep(V::sub_mul(V::mul_low_from(a, t.w), high, q));
}

/// x, y to x + w y, x - w y.
template <class V, bool kFromMemory>
BRAINLOCK_INLINE void forward_butterfly(typename V::Reg& x, typename V::Reg& y, const Twiddle<V>& t,
                                        const NttConstants<V>& c) {
  const auto b = mul_twiddle_lazy<V, kFromMemory>(y, t, c.q);
  y = V::add(V::sub(x, b), c.q2);
  x = V::add(x, b);
}

/// x, y to x + y, w (x - y); `offset` q is above y.
template <class V, bool kFromMemory>
BRAINLOCK_INLINE void inverse_butterfly(typename V::Reg& x, typename V::Reg& y, const Twiddle<V>& t, int offset,
                                        const NttConstants<V>& c) {
  const auto d = V::add(V::sub(x, y), c.multiple(offset));
  x = V::add(x, y);
  y = mul_twiddle_lazy<V, kFromMemory>(d, t, c.q);
}

/// The same with twiddles that differ from lane to lane, at p in the tail layout.
template <class V>
BRAINLOCK_INLINE typename V::Reg mul_tail_lazy(typename V::Reg y, const U32* p, typename V::Reg q) {
  const auto high = V::merge_high(V::mul_even(y, V::load(p + kTailShoup)),
                                  V::mul_even(V::odd_to_even(y), V::load_odd(p + kTailShoup)));
  return V::keep(V::sub_mul(V::mul_low(y, V::load(p)), high, q));
}

template <class V>
BRAINLOCK_INLINE void forward_tail_butterfly(typename V::Reg& x, typename V::Reg& y, const U32* p,
                                             const NttConstants<V>& c) {
  const auto b = mul_tail_lazy<V>(y, p, c.q);
  y = V::add(V::sub(x, b), c.q2);
  x = V::add(x, b);
}

template <class V>
BRAINLOCK_INLINE void inverse_tail_butterfly(typename V::Reg& x, typename V::Reg& y, const U32* p, int offset,
                                             const NttConstants<V>& c) {
  const auto d = V::add(V::sub(x, y), c.multiple(offset));
  x = V::add(x, y);
  y = mul_tail_lazy<V>(d, p, c.q);
}

/// The twiddles of a radix-2^kStages butterfly of group `group` when there are that many groups before: node (s, g)
/// of the binary tree is w[(group << s) + g].
template <class V, int kStages>
struct TwiddleTree {
  Twiddle<V> t[(1 << kStages) - 1];
  BRAINLOCK_INLINE TwiddleTree(const U32* w, const U32* w_shoup, std::size_t group) {
#pragma GCC unroll 4
    for (int s = 0; s < kStages; ++s) {
#pragma GCC unroll 8
      for (int g = 0; g < (1 << s); ++g) {
        const std::size_t i = (group << s) + static_cast<std::size_t>(g);
        t[(1 << s) - 1 + g] = {V::set1(w[i]), V::set1(w_shoup[i])};
      }
    }
  }
  /// For V::kLanes / 8 neighbouring groups at once, eight lanes each.
  BRAINLOCK_INLINE TwiddleTree(BlockTwiddles, const U32* w, const U32* w_shoup, std::size_t group) {
#pragma GCC unroll 4
    for (int s = 0; s < kStages; ++s) {
#pragma GCC unroll 8
      for (int g = 0; g < (1 << s); ++g) {
        const std::size_t i = group << s;
        t[(1 << s) - 1 + g] = {V::set_blocks(w + i, g, 1 << s), V::set_blocks(w_shoup + i, g, 1 << s)};
      }
    }
  }
};

/// Words below kIn q in, below ForwardPlan::bound q out.
template <class V, int kRange, int kStages, int kIn, bool kFromMemory>
BRAINLOCK_INLINE void forward_radix(typename V::Reg (&v)[1 << kStages], const TwiddleTree<V, kStages>& tree,
                                    const NttConstants<V>& c) {
  constexpr ForwardPlan<kRange, kStages> kPlan(kIn);
  static_assert(kPlan.bound <= kRange);
#pragma GCC unroll 4
  for (int s = 0; s < kStages; ++s) {
    const int half = 1 << (kStages - 1 - s);
#pragma GCC unroll 8
    for (int g = 0; g < (1 << s); ++g) {
#pragma GCC unroll 8
      for (int k = 0; k < half; ++k) {
        typename V::Reg& x = v[2 * half * g + k];
        reduce_range<V>(x, kPlan.reduce_from[s], kPlan.reduce_to[s], c);
        forward_butterfly<V, kFromMemory>(x, v[2 * half * g + half + k], tree.t[(1 << s) - 1 + g], c);
      }
    }
  }
}

/// Words below 2q in, below InversePlan::bound q out.
template <class V, int kRange, int kStages, bool kFromMemory>
BRAINLOCK_INLINE void inverse_radix(typename V::Reg (&v)[1 << kStages], const TwiddleTree<V, kStages>& tree,
                                    const NttConstants<V>& c) {
  constexpr InversePlan<kRange, kStages> kPlan;
#pragma GCC unroll 4
  for (int s = kStages - 1; s >= 0; --s) {
    const int half = 1 << (kStages - 1 - s);
#pragma GCC unroll 8
    for (int g = 0; g < (1 << s); ++g) {
#pragma GCC unroll 8
      for (int k = 0; k < half; ++k) {
        const int x = 2 * half * g + k;
        inverse_butterfly<V, kFromMemory>(v[x], v[x + half], tree.t[(1 << s) - 1 + g], kPlan.offset[s][x], c);
        reduce_range<V>(v[x], kPlan.reduce_from[s][x], kRange / 2, c);
      }
    }
  }
}

/// After inverse_radix: all words below 2q.
template <class V, int kRange, int kStages>
BRAINLOCK_INLINE void finish_inverse_radix(typename V::Reg (&v)[1 << kStages], const NttConstants<V>& c) {
  constexpr InversePlan<kRange, kStages> kPlan;
#pragma GCC unroll 8
  for (int k = 0; k < (1 << kStages); ++k) reduce_range<V>(v[k], kPlan.bound[k], 2, c);
}

/// kStages forward stages over `length` words at x, which are group `group` (counted with the groups before: the
/// index of its first twiddle). kIn: bound of the input.
template <class V, int kRange, int kStages, int kIn>
void forward_pass(const NttTables& t, U32* x, std::size_t length, std::size_t group) {
  const NttConstants<V> c(t.modulus);
  const TwiddleTree<V, kStages> tree(t.w.data(), t.w_shoup.data(), group);
  const std::size_t stride = length >> kStages;
  for (std::size_t j = 0; j < stride; j += V::kLanes) {
    typename V::Reg v[1 << kStages];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) v[k] = V::load(x + j + k * stride);
    forward_radix<V, kRange, kStages, kIn, true>(v, tree, c);
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) V::store(x + j + k * stride, v[k]);
  }
}

/// kLast: these are the transform's last stages, and the product with `factor` (1 / N and what else) and the full reduction come with them.
template <class V, int kRange, int kStages, bool kLast>
void inverse_pass(const NttTables& t, U32* x, std::size_t length, std::size_t group, U32 factor) {
  const NttConstants<V> c(t.modulus);
  TwiddleTree<V, kStages> tree(t.w_inv.data(), t.w_inv_shoup.data(), group);
  const U32 q = t.modulus.q;
  const Twiddle<V> scale = {V::set1(factor), V::set1(kLast ? shoup_of(factor, q) : 0)};
  if constexpr (kLast) {  // the differences of the last butterfly take w times the factor, the sums the factor
    const U32 w = static_cast<U32>(U64{factor} * t.w_inv.data()[1] % q);
    tree.t[0] = {V::set1(w), V::set1(shoup_of(w, q))};
  }
  const std::size_t stride = length >> kStages;
  for (std::size_t j = 0; j < stride; j += V::kLanes) {
    typename V::Reg v[1 << kStages];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) v[k] = V::load(x + j + k * stride);
    inverse_radix<V, kRange, kStages, true>(v, tree, c);
    if constexpr (kLast) {
      constexpr std::size_t kHalf = (1 << kStages) / 2;
#pragma GCC unroll 8
      for (std::size_t k = 0; k < kHalf; ++k) v[k] = mul_uniform_lazy<V>(v[k], scale.w, scale.w_shoup, c.q);
#pragma GCC unroll 8
      for (std::size_t k = 0; k < 2 * kHalf; ++k) v[k] = reduce_once<V>(v[k], c.q);
    } else {
      finish_inverse_radix<V, kRange, kStages>(v, c);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) V::store(x + j + k * stride, v[k]);
  }
}

template <class V, int kRange, int kIn>
void forward_stages(int stages, const NttTables& t, U32* x, std::size_t length, std::size_t group) {
  switch (stages) {
    case 1: return forward_pass<V, kRange, 1, kIn>(t, x, length, group);
    case 2: return forward_pass<V, kRange, 2, kIn>(t, x, length, group);
    default: return forward_pass<V, kRange, 3, kIn>(t, x, length, group);
  }
}

template <class V, int kRange, bool kLast>
void inverse_stages(int stages, const NttTables& t, U32* x, std::size_t length, std::size_t group, U32 factor = 1) {
  switch (stages) {
    case 1: return inverse_pass<V, kRange, 1, kLast>(t, x, length, group, factor);
    case 2: return inverse_pass<V, kRange, 2, kLast>(t, x, length, group, factor);
    default: return inverse_pass<V, kRange, 3, kLast>(t, x, length, group, factor);
  }
}

BRAINLOCK_INLINE int log2_floor(std::size_t x) { return 63 - __builtin_clzll(x); }

/// A stage count cut into passes of at most three, never a lone one that could be avoided.
struct Passes {
  int stages[6];
  int count = 0;
  BRAINLOCK_INLINE explicit Passes(int total) {
    while (total > 0) {
      const int k = total == 4 ? 2 : total < 3 ? total : 3;
      stages[count++] = k;
      total -= k;
    }
  }
};

/// The last six forward stages and the full reduction, on V::kLanes / 8 blocks of 64 words at once, which go to place(block).
template <class V, int kRange, typename Place>
BRAINLOCK_INLINE void forward_tail(const NttTables& t, const U32* x, std::size_t block, const Place& place, const NttConstants<V>& c) {
  constexpr ForwardPlan<kRange, 3> kFirst(kRange);
  constexpr ForwardPlan<kRange, 3> kPlan(kFirst.bound, true);
  static_assert(kPlan.bound == 4);
  typename V::Reg v[8];
  V::load_blocks(v, x);
  const TwiddleTree<V, 3> tree(BlockTwiddles{}, t.w.data(), t.w_shoup.data(), t.ring_degree / kTailBlock + block);
  forward_radix<V, kRange, 3, kRange, false>(v, tree, c);
  V::transpose8(v);
  const U32* p = t.tail.data() + tail_offset(block);
#pragma GCC unroll 4
  for (int s = 0; s < 3; ++s) {
    const int half = 4 >> s;
#pragma GCC unroll 8
    for (int g = 0; g < (1 << s); ++g) {
#pragma GCC unroll 8
      for (int k = 0; k < half; ++k) {
        typename V::Reg& a = v[2 * half * g + k];
        reduce_range<V>(a, kPlan.reduce_from[s], kPlan.reduce_to[s], c);
        forward_tail_butterfly<V>(a, v[2 * half * g + half + k], p + ((1 << s) - 1 + g) * kTailVector, c);
      }
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) v[k] = reduce_once<V>(reduce_once<V>(v[k], c.q2), c.q);
  V::transpose8(v);
  V::store_blocks([&](std::size_t i) { return place(block + i); }, v);
}

template <class V, int kRange>
BRAINLOCK_INLINE void inverse_tail(const NttTables& t, U32* out, const U32* in, std::size_t block, const NttConstants<V>& c) {
  constexpr InversePlan<kRange, 3> kPlan;
  typename V::Reg v[8];
  V::load_blocks(v, in);
  V::transpose8(v);
  const U32* p = t.tail_inv.data() + tail_offset(block);
#pragma GCC unroll 4
  for (int s = 2; s >= 0; --s) {
    const int half = 4 >> s;
#pragma GCC unroll 8
    for (int g = 0; g < (1 << s); ++g) {
#pragma GCC unroll 8
      for (int k = 0; k < half; ++k) {
        const int a = 2 * half * g + k;
        inverse_tail_butterfly<V>(v[a], v[a + half], p + ((1 << s) - 1 + g) * kTailVector, kPlan.offset[s][a], c);
        reduce_range<V>(v[a], kPlan.reduce_from[s][a], kRange / 2, c);
      }
    }
  }
  finish_inverse_radix<V, kRange, 3>(v, c);
  V::transpose8(v);
  const TwiddleTree<V, 3> tree(BlockTwiddles{}, t.w_inv.data(), t.w_inv_shoup.data(),
                               t.ring_degree / kTailBlock + block);
  inverse_radix<V, kRange, 3, false>(v, tree, c);
  finish_inverse_radix<V, kRange, 3>(v, c);
  V::store_blocks([out](std::size_t i) { return out + i * kTailBlock; }, v);
}

/// Rings of kMinVectorDegree words or more; block b of 64 words of the result goes to place(b), which may be where it is computed.
template <class V, int kRange, typename Place>
void ntt_forward_range(const NttTables& t, U32* x, const Place& place) {
  const NttConstants<V> c(t.modulus);
  const int log_n = log2_floor(t.ring_degree);
  const int log_block = log_n < kLogCacheBlock ? log_n : kLogCacheBlock;
  std::size_t groups = 1;
  const Passes outer(log_n - log_block);
  for (int i = 0; i < outer.count; ++i) {
    const std::size_t length = t.ring_degree / groups;
    if (i == 0) {
      forward_stages<V, kRange, 1>(outer.stages[0], t, x, length, 1);
    } else {
      for (std::size_t g = 0; g < groups; ++g) {
        forward_stages<V, kRange, kRange>(outer.stages[i], t, x + g * length, length, groups + g);
      }
    }
    groups <<= outer.stages[i];
  }
  const Passes inner(log_block - kLogTailBlock);
  for (std::size_t b = 0; b < groups; ++b) {
    U32* block = x + (b << log_block);
    std::size_t parts = 1;
    for (int i = 0; i < inner.count; ++i) {
      const std::size_t length = (std::size_t{1} << log_block) / parts;
      for (std::size_t g = 0; g < parts; ++g) {
        forward_stages<V, kRange, kRange>(inner.stages[i], t, block + g * length, length, (groups + b) * parts + g);
      }
      parts <<= inner.stages[i];
    }
    for (std::size_t g = 0; g < parts; g += V::kLanes / 8) {
      forward_tail<V, kRange>(t, block + g * kTailBlock, b * parts + g, place, c);
    }
  }
}

/// x = inverse transform of `in`, times N * factor.
template <class V, int kRange>
void ntt_inverse_range(const NttTables& t, U32* x, const U32* in, U32 factor) {
  const NttConstants<V> c(t.modulus);
  const int log_n = log2_floor(t.ring_degree);
  const int log_block = log_n < kLogCacheBlock ? log_n : kLogCacheBlock;
  std::size_t groups = std::size_t{1} << (log_n - log_block);
  const Passes inner(log_block - kLogTailBlock);
  for (std::size_t b = 0; b < groups; ++b) {
    U32* block = x + (b << log_block);
    std::size_t parts = std::size_t{1} << (log_block - kLogTailBlock);
    for (std::size_t g = 0; g < parts; g += V::kLanes / 8) {
      inverse_tail<V, kRange>(t, block + g * kTailBlock, in + (b << log_block) + g * kTailBlock, b * parts + g, c);
    }
    for (int i = inner.count - 1; i >= 0; --i) {
      parts >>= inner.stages[i];
      const std::size_t length = (std::size_t{1} << log_block) / parts;
      if (groups == 1 && i == 0) return inverse_stages<V, kRange, true>(inner.stages[0], t, block, length, 1, factor);
      for (std::size_t g = 0; g < parts; ++g) {
        inverse_stages<V, kRange, false>(inner.stages[i], t, block + g * length, length, (groups + b) * parts + g);
      }
    }
  }
  const Passes outer(log_n - log_block);
  for (int i = outer.count - 1; i > 0; --i) {
    groups >>= outer.stages[i];
    const std::size_t length = t.ring_degree / groups;
    for (std::size_t g = 0; g < groups; ++g) {
      inverse_stages<V, kRange, false>(outer.stages[i], t, x + g * length, length, groups + g);
    }
  }
  inverse_stages<V, kRange, true>(outer.stages[0], t, x, t.ring_degree, 1, factor);
}

template <class V, typename Place>
void ntt_forward_vector(const NttTables& t, U32* x, const Place& place) {
  const U32 q = t.modulus.q;
  if (q < (1u << 28)) return ntt_forward_range<V, 16>(t, x, place);
  if (q < (1u << 29)) return ntt_forward_range<V, 8>(t, x, place);
  ntt_forward_range<V, 4>(t, x, place);
}

template <class V>
void ntt_inverse_vector(const NttTables& t, U32* out, const U32* in, U32 factor) {
  const U32 q = t.modulus.q;
  if (q < (1u << 28)) return ntt_inverse_range<V, 16>(t, out, in, factor);
  if (q < (1u << 29)) return ntt_inverse_range<V, 8>(t, out, in, factor);
  ntt_inverse_range<V, 4>(t, out, in, factor);
}

}  // namespace
}  // namespace brainlock::math::detail
