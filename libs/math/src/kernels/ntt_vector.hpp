// The negacyclic transform with Harvey's lazy butterflies: words stay in [0, 4q) forward and [0, 2q) backward, with
// Shoup twiddles ("Faster arithmetic for number-theoretic transforms", 2014), three stages a pass over memory.
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

template <class V>
struct NttConstants {
  typename V::Reg q;
  typename V::Reg twice_q;
  BRAINLOCK_INLINE explicit NttConstants(const Modulus& m) : q(V::set1(m.q)), twice_q(V::set1(2 * m.q)) {}
};

/// x, y in [0, 4q) to x + w y, x - w y in [0, 4q).
template <class V>
BRAINLOCK_INLINE void forward_butterfly(typename V::Reg& x, typename V::Reg& y, const Twiddle<V>& t,
                                        const NttConstants<V>& c) {
  const auto a = reduce_once<V>(x, c.twice_q);
  const auto b = mul_uniform_lazy<V>(y, t.w, t.w_shoup, c.q);
  x = V::add(a, b);
  y = V::add(V::sub(a, b), c.twice_q);
}

/// x, y in [0, 2q) to x + y, w (x - y) in [0, 2q).
template <class V>
BRAINLOCK_INLINE void inverse_butterfly(typename V::Reg& x, typename V::Reg& y, const Twiddle<V>& t,
                                        const NttConstants<V>& c) {
  const auto d = V::add(V::sub(x, y), c.twice_q);
  x = reduce_once<V>(V::add(x, y), c.twice_q);
  y = mul_uniform_lazy<V>(d, t.w, t.w_shoup, c.q);
}

/// The same with twiddles that differ from lane to lane, at p in the tail layout.
template <class V>
BRAINLOCK_INLINE typename V::Reg mul_tail_lazy(typename V::Reg y, const U32* p, typename V::Reg q) {
  const auto high = V::merge_high(V::mul_even(y, V::load(p + kTailShoup)),
                                  V::mul_even(V::odd_to_even(y), V::load(p + kTailShoup + 1)));
  return V::sub(V::mul_low(y, V::load(p)), V::mul_low(high, q));
}

template <class V>
BRAINLOCK_INLINE void forward_tail_butterfly(typename V::Reg& x, typename V::Reg& y, const U32* p,
                                             const NttConstants<V>& c) {
  const auto a = reduce_once<V>(x, c.twice_q);
  const auto b = mul_tail_lazy<V>(y, p, c.q);
  x = V::add(a, b);
  y = V::add(V::sub(a, b), c.twice_q);
}

template <class V>
BRAINLOCK_INLINE void inverse_tail_butterfly(typename V::Reg& x, typename V::Reg& y, const U32* p,
                                             const NttConstants<V>& c) {
  const auto d = V::add(V::sub(x, y), c.twice_q);
  x = reduce_once<V>(V::add(x, y), c.twice_q);
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

template <class V, int kStages>
BRAINLOCK_INLINE void forward_radix(typename V::Reg (&v)[1 << kStages], const TwiddleTree<V, kStages>& tree,
                                    const NttConstants<V>& c) {
#pragma GCC unroll 4
  for (int s = 0; s < kStages; ++s) {
    const int half = 1 << (kStages - 1 - s);
#pragma GCC unroll 8
    for (int g = 0; g < (1 << s); ++g) {
#pragma GCC unroll 8
      for (int k = 0; k < half; ++k) {
        forward_butterfly<V>(v[2 * half * g + k], v[2 * half * g + half + k], tree.t[(1 << s) - 1 + g], c);
      }
    }
  }
}

template <class V, int kStages>
BRAINLOCK_INLINE void inverse_radix(typename V::Reg (&v)[1 << kStages], const TwiddleTree<V, kStages>& tree,
                                    const NttConstants<V>& c) {
#pragma GCC unroll 4
  for (int s = kStages - 1; s >= 0; --s) {
    const int half = 1 << (kStages - 1 - s);
#pragma GCC unroll 8
    for (int g = 0; g < (1 << s); ++g) {
#pragma GCC unroll 8
      for (int k = 0; k < half; ++k) {
        inverse_butterfly<V>(v[2 * half * g + k], v[2 * half * g + half + k], tree.t[(1 << s) - 1 + g], c);
      }
    }
  }
}

/// kStages forward stages over `length` words at x, which are group `group` (counted with the groups before: the
/// index of its first twiddle).
template <class V, int kStages>
void forward_pass(const NttTables& t, U32* x, std::size_t length, std::size_t group) {
  const NttConstants<V> c(t.modulus);
  const TwiddleTree<V, kStages> tree(t.w.data(), t.w_shoup.data(), group);
  const std::size_t stride = length >> kStages;
  for (std::size_t j = 0; j < stride; j += V::kLanes) {
    typename V::Reg v[1 << kStages];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) v[k] = V::load(x + j + k * stride);
    forward_radix<V, kStages>(v, tree, c);
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) V::store(x + j + k * stride, v[k]);
  }
}

/// kLast: these are the transform's last stages, and the product with 1/N and the full reduction come with them.
template <class V, int kStages, bool kLast>
void inverse_pass(const NttTables& t, U32* x, std::size_t length, std::size_t group) {
  const NttConstants<V> c(t.modulus);
  TwiddleTree<V, kStages> tree(t.w_inv.data(), t.w_inv_shoup.data(), group);
  const U32 q = t.modulus.q;
  const Twiddle<V> scale = {V::set1(t.n_inv), V::set1(t.n_inv_shoup)};
  if constexpr (kLast) {  // the differences of the last butterfly take w / N, the sums 1 / N
    const U32 w = static_cast<U32>(U64{t.n_inv} * t.w_inv.data()[1] % q);
    tree.t[0] = {V::set1(w), V::set1(shoup_of(w, q))};
  }
  const std::size_t stride = length >> kStages;
  for (std::size_t j = 0; j < stride; j += V::kLanes) {
    typename V::Reg v[1 << kStages];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) v[k] = V::load(x + j + k * stride);
    inverse_radix<V, kStages>(v, tree, c);
    if constexpr (kLast) {
      constexpr std::size_t kHalf = (1 << kStages) / 2;
#pragma GCC unroll 8
      for (std::size_t k = 0; k < kHalf; ++k) v[k] = mul_uniform_lazy<V>(v[k], scale.w, scale.w_shoup, c.q);
#pragma GCC unroll 8
      for (std::size_t k = 0; k < 2 * kHalf; ++k) v[k] = reduce_once<V>(v[k], c.q);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < (1 << kStages); ++k) V::store(x + j + k * stride, v[k]);
  }
}

template <class V>
void forward_stages(int stages, const NttTables& t, U32* x, std::size_t length, std::size_t group) {
  switch (stages) {
    case 1: return forward_pass<V, 1>(t, x, length, group);
    case 2: return forward_pass<V, 2>(t, x, length, group);
    default: return forward_pass<V, 3>(t, x, length, group);
  }
}

template <class V>
void inverse_stages(int stages, const NttTables& t, U32* x, std::size_t length, std::size_t group, bool last) {
  switch (stages) {
    case 1: return last ? inverse_pass<V, 1, true>(t, x, length, group) : inverse_pass<V, 1, false>(t, x, length, group);
    case 2: return last ? inverse_pass<V, 2, true>(t, x, length, group) : inverse_pass<V, 2, false>(t, x, length, group);
    default: return last ? inverse_pass<V, 3, true>(t, x, length, group) : inverse_pass<V, 3, false>(t, x, length, group);
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

/// The last six forward stages and the full reduction, on V::kLanes / 8 blocks of 64 words at once.
template <class V>
BRAINLOCK_INLINE void forward_tail(const NttTables& t, U32* x, std::size_t block, const NttConstants<V>& c) {
  typename V::Reg v[8];
  V::load_blocks(v, x);
  const TwiddleTree<V, 3> tree(BlockTwiddles{}, t.w.data(), t.w_shoup.data(), t.ring_degree / kTailBlock + block);
  forward_radix<V, 3>(v, tree, c);
  V::transpose8(v);
  const U32* p = t.tail.data() + tail_offset(block);
#pragma GCC unroll 8
  for (int k = 0; k < 4; ++k) forward_tail_butterfly<V>(v[k], v[k + 4], p, c);
#pragma GCC unroll 8
  for (int h = 0; h < 2; ++h) {
    forward_tail_butterfly<V>(v[4 * h], v[4 * h + 2], p + (1 + h) * kTailVector, c);
    forward_tail_butterfly<V>(v[4 * h + 1], v[4 * h + 3], p + (1 + h) * kTailVector, c);
  }
#pragma GCC unroll 8
  for (int g = 0; g < 4; ++g) forward_tail_butterfly<V>(v[2 * g], v[2 * g + 1], p + (3 + g) * kTailVector, c);
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k) v[k] = reduce_once<V>(reduce_once<V>(v[k], c.twice_q), c.q);
  V::transpose8(v);
  V::store_blocks(x, v);
}

template <class V>
BRAINLOCK_INLINE void inverse_tail(const NttTables& t, U32* x, std::size_t block, const NttConstants<V>& c) {
  typename V::Reg v[8];
  V::load_blocks(v, x);
  V::transpose8(v);
  const U32* p = t.tail_inv.data() + tail_offset(block);
#pragma GCC unroll 8
  for (int g = 0; g < 4; ++g) inverse_tail_butterfly<V>(v[2 * g], v[2 * g + 1], p + (3 + g) * kTailVector, c);
#pragma GCC unroll 8
  for (int h = 0; h < 2; ++h) {
    inverse_tail_butterfly<V>(v[4 * h], v[4 * h + 2], p + (1 + h) * kTailVector, c);
    inverse_tail_butterfly<V>(v[4 * h + 1], v[4 * h + 3], p + (1 + h) * kTailVector, c);
  }
#pragma GCC unroll 8
  for (int k = 0; k < 4; ++k) inverse_tail_butterfly<V>(v[k], v[k + 4], p, c);
  V::transpose8(v);
  const TwiddleTree<V, 3> tree(BlockTwiddles{}, t.w_inv.data(), t.w_inv_shoup.data(),
                               t.ring_degree / kTailBlock + block);
  inverse_radix<V, 3>(v, tree, c);
  V::store_blocks(x, v);
}

/// Rings of kMinVectorDegree words or more.
template <class V>
void ntt_forward_vector(const NttTables& t, U32* x) {
  const NttConstants<V> c(t.modulus);
  const int log_n = log2_floor(t.ring_degree);
  const int log_block = log_n < kLogCacheBlock ? log_n : kLogCacheBlock;
  std::size_t groups = 1;
  const Passes outer(log_n - log_block);
  for (int i = 0; i < outer.count; ++i) {
    const std::size_t length = t.ring_degree / groups;
    for (std::size_t g = 0; g < groups; ++g) forward_stages<V>(outer.stages[i], t, x + g * length, length, groups + g);
    groups <<= outer.stages[i];
  }
  const Passes inner(log_block - kLogTailBlock);
  for (std::size_t b = 0; b < groups; ++b) {
    U32* block = x + (b << log_block);
    std::size_t parts = 1;
    for (int i = 0; i < inner.count; ++i) {
      const std::size_t length = (std::size_t{1} << log_block) / parts;
      for (std::size_t g = 0; g < parts; ++g) {
        forward_stages<V>(inner.stages[i], t, block + g * length, length, (groups + b) * parts + g);
      }
      parts <<= inner.stages[i];
    }
    for (std::size_t g = 0; g < parts; g += V::kLanes / 8) {
      forward_tail<V>(t, block + g * kTailBlock, b * parts + g, c);
    }
  }
}

template <class V>
void ntt_inverse_vector(const NttTables& t, U32* x) {
  const NttConstants<V> c(t.modulus);
  const int log_n = log2_floor(t.ring_degree);
  const int log_block = log_n < kLogCacheBlock ? log_n : kLogCacheBlock;
  std::size_t groups = std::size_t{1} << (log_n - log_block);
  const Passes inner(log_block - kLogTailBlock);
  for (std::size_t b = 0; b < groups; ++b) {
    U32* block = x + (b << log_block);
    std::size_t parts = std::size_t{1} << (log_block - kLogTailBlock);
    for (std::size_t g = 0; g < parts; g += V::kLanes / 8) {
      inverse_tail<V>(t, block + g * kTailBlock, b * parts + g, c);
    }
    for (int i = inner.count - 1; i >= 0; --i) {
      parts >>= inner.stages[i];
      const std::size_t length = (std::size_t{1} << log_block) / parts;
      const bool last = groups == 1 && i == 0;
      for (std::size_t g = 0; g < parts; ++g) {
        inverse_stages<V>(inner.stages[i], t, block + g * length, length, (groups + b) * parts + g, last);
      }
    }
  }
  const Passes outer(log_n - log_block);
  for (int i = outer.count - 1; i >= 0; --i) {
    groups >>= outer.stages[i];
    const std::size_t length = t.ring_degree / groups;
    for (std::size_t g = 0; g < groups; ++g) {
      inverse_stages<V>(outer.stages[i], t, x + g * length, length, groups + g, i == 0);
    }
  }
}

}  // namespace
}  // namespace brainlock::math::detail
