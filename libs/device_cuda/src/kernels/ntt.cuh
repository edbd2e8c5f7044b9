// Forward and inverse negacyclic transforms of whole limbs in two passes over device memory.
//
// A limb of N = R C words is a matrix, word = row * C + column. The forward transform's first log2 R stages work within
// columns, the others within rows; the inverse the other way round. A block takes a tile of 4096 words (the limb, if it is
// smaller): some neighbouring columns, or some whole rows. A thread keeps 4 to 16 words in registers for one to four
// stages and exchanges them through shared memory in between. Words stay in [0, 4q) forward, [0, 2q) inverse, as in the
// scalar kernels of math; the last pass reduces.
//
//   columns, tile of W                     rows, tile of 4096 / C
//   +----+--+--------+                     +-------------+
//   |    |xx|        |  R rows             |             |
//   |    |xx|        |                     |xxxxxxxxxxxxx|
//   |    |xx|        |                     |xxxxxxxxxxxxx|
//   +----+--+--------+                     +-------------+
//
// Lanes of a warp are neighbouring words in device memory. In shared memory one word of padding after each 32, and an order of lanes
// that suits it (item_group), keep every step free of bank conflicts: tests/bank_conflicts_test.cpp counts them.
#pragma once

#include "kernels/words.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// How many of the stages that are left the next step takes: 9 = 3 + 3 + 3, 8 = 4 + 4, 7 = 4 + 3, 6 = 3 + 3, 5 = 3 + 2.
template <int kLeft>
constexpr int kNextRadix = kLeft % 3 == 0 || kLeft == 5 ? 3 : kLeft <= 4 ? kLeft : 4;

/// Twiddles that follow each other. More than one begin at an even index.
template <unsigned kCount>
BRAINLOCK_DEVICE void load_twiddles(Factor (&w)[kCount], const Factor* from) {
  if constexpr (kCount == 1) {
    w[0] = load_constant(from);
  } else {
    BRAINLOCK_UNROLL
    for (unsigned i = 0; i < kCount; i += 2) load_constant_pair(from + i, w[i], w[i + 1]);
  }
}

/// Stages kDone, kDone + 1, ... of the kRadix that a thread does on its words. stage: the number of the first of all. kReduced: words come in [0, q),
/// so that the first of these stages needs no reduction.
template <int kRadix, bool kReduced, int kDone = 0>
BRAINLOCK_DEVICE void forward_butterflies(Word (&x)[1 << kRadix], const Factor* twiddles, unsigned stage, unsigned group, const Prime& p) {
  constexpr unsigned kWords = 1u << kRadix, kHalf = kWords >> (kDone + 1);
  Factor w[1u << kDone];
  load_twiddles(w, twiddles + (1u << (stage + kDone)) + (group << kDone));
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kWords; ++k) {
    if ((k & kHalf) != 0) continue;
    const Word a = kReduced ? x[k] : below_twice(x[k], p);
    const Word b = mul_lazy(x[k + kHalf], w[k >> (kRadix - kDone)], p);
    x[k] = a + b;
    x[k + kHalf] = a - b + p.twice_q;
  }
  if constexpr (kDone + 1 < kRadix) forward_butterflies<kRadix, false, kDone + 1>(x, twiddles, stage, group, p);
}

template <int kRadix, bool kReduced, int kDone = 0>
BRAINLOCK_DEVICE void inverse_butterflies(Word (&x)[1 << kRadix], const Factor* twiddles, unsigned stage, unsigned group, const Prime& p) {
  constexpr unsigned kWords = 1u << kRadix, kHalf = 1u << kDone;
  Factor w[1u << (kRadix - kDone - 1)];
  load_twiddles(w, twiddles + (1u << (stage - kDone)) + (group << (kRadix - kDone - 1)));
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kWords; ++k) {
    if ((k & kHalf) != 0) continue;
    const Word s = x[k] + x[k + kHalf];
    const Word d = x[k] - x[k + kHalf] + p.twice_q;
    x[k] = kReduced ? s : below_twice(s, p);
    x[k + kHalf] = mul_lazy(d, w[k >> (kDone + 1)], p);
  }
  if constexpr (kDone + 1 < kRadix) inverse_butterflies<kRadix, false, kDone + 1>(x, twiddles, stage, group, p);
}

// Where a step's words are: an item's words begin at word `base` of the tile and are 2^kLogStride apart. Offsets from the first one are
// constants, so that all share one address. begin() comes before the first store to a place, end() after the last load from it.

/// In memory with addresses: At says where word i of the tile is, and how far word i + d, where i and d have no bits in common.
template <class T, class At>
struct PlainWords {
  T* tile;
  template <int kLogStride, unsigned kWords>
  BRAINLOCK_DEVICE void load(unsigned base, Word (&x)[kWords]) const {
    const T* const in = tile + At::place(base);
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) x[k] = in[At::place(k << kLogStride)];
  }
  template <int kLogStride, unsigned kWords>
  BRAINLOCK_DEVICE void store(unsigned base, const Word (&x)[kWords]) const {
    T* const out = tile + At::place(base);
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) out[At::place(k << kLogStride)] = x[k];
  }
  BRAINLOCK_DEVICE void begin() const {}
  BRAINLOCK_DEVICE void end() const {}
};

struct Padded {
  BRAINLOCK_DEVICE static constexpr unsigned place(unsigned i) { return i + (i >> 5); }
};
struct InOrder {
  BRAINLOCK_DEVICE static constexpr unsigned place(unsigned i) { return i; }
};
/// 2^kLogUnit neighbouring columns of a limb whose rows have 2^kLogColumns words.
template <int kLogUnit, int kLogColumns>
struct InColumns {
  BRAINLOCK_DEVICE static constexpr unsigned place(unsigned i) { return (i >> kLogUnit << kLogColumns) + (i & ((1u << kLogUnit) - 1)); }
};
using SharedWords = PlainWords<Word, Padded>;
template <class T>
using RowWords = PlainWords<T, InOrder>;
template <class T, int kLogUnit, int kLogColumns>
using ColumnWords = PlainWords<T, InColumns<kLogUnit, kLogColumns>>;

/// The constants of a pass of a tile's transform.
template <bool kIsForward, int kTileBits, int kUnitBits, int kStageCount>
struct Pass {
  static constexpr bool kForward = kIsForward;
  static constexpr int kLogTile = kTileBits;
  static constexpr int kLogUnit = kUnitBits;      ///< words between neighbours of the finest stage: 1, or the columns of the tile
  static constexpr int kStages = kStageCount;
  static constexpr bool kBegins = kIsForward == (kUnitBits != 0);   ///< columns forward, rows inverse: the transform's first, from words in [0, q)
  static constexpr unsigned kThreads = (1u << kLogTile) / kTransformWords;
};

/// What a step of a pass works on. An item is what a thread does at a time: 2^kRadix words, 2^kLogStride apart, of one group.
template <class P, int kDone>
struct Step {
  static constexpr int kLeft = P::kStages - kDone;
  static constexpr int kRadix = kNextRadix<kLeft>;
  static constexpr bool kIsFirst = kDone == 0, kIsLast = kLeft == kRadix;
  static constexpr unsigned kWords = 1u << kRadix;
  static constexpr unsigned kItems = 1u << (P::kLogTile - kRadix);
  static constexpr int kLogStride = P::kLogUnit + (P::kForward ? kLeft - kRadix : kDone);

  /// The group of an item. Its words lie in less than 32 neighbours where the stride is short, and lanes of a warp then belong to several
  /// groups. Neighbouring groups, 2^(kLogStride + kRadix) words and so some banks apart, would share banks: the warp takes those
  /// that are 2^kLogStride banks apart.
  static BRAINLOCK_DEVICE unsigned group(unsigned item) {
    const unsigned i = item >> kLogStride;
    if constexpr (kLogStride == 0 || kLogStride >= 5 || kRadix >= 5) {
      return i;
    } else {
      constexpr unsigned kLanes = 5 - kLogStride, kApart = 5 - kRadix;   // bits
      static_assert(kLanes + kApart + kRadix + kLogStride <= P::kLogTile, "a tile of 2^10 words at least");
      return (i & ~((1u << (kLanes + kApart)) - 1)) | (i & ((1u << kLanes) - 1)) << kApart | (i >> kLanes & ((1u << kApart) - 1));
    }
  }
  /// The first of an item's words in the tile.
  static BRAINLOCK_DEVICE unsigned base(unsigned item, unsigned group) {
    return group << (kLogStride + kRadix) | (item & ((1u << kLogStride) - 1));
  }
};

/// The stages of a pass from kDone on. stage: number of the step's first stage, where stage s has 2^s groups; first_word: where a tile of
/// rows begins in the limb, 0 for columns. The first step takes its words from `from`, the last one puts finish(word) to `to`; in between
/// they are in `between`.
template <class P, int kDone, class From, class To, class Finish>
BRAINLOCK_DEVICE void pass_steps(const Factor* twiddles, const Prime& p, unsigned first_word, unsigned stage, const SharedWords& between, const From& from,
                                 const To& to, const Finish& finish) {
  using S = Step<P, kDone>;
  constexpr int kRadix = S::kRadix, kLogStride = S::kLogStride;
  if constexpr (S::kIsLast) to.begin();
  BRAINLOCK_UNROLL
  for (unsigned i = 0; i < S::kItems / P::kThreads; ++i) {
    const unsigned item = thread_x() + i * P::kThreads;
    const unsigned in_tile = S::group(item);
    const unsigned base = S::base(item, in_tile);
    Word x[S::kWords];
    if constexpr (S::kIsFirst) {
      from.template load<kLogStride>(base, x);
    } else {
      between.template load<kLogStride>(base, x);
    }
    const unsigned group = (first_word >> (kLogStride + kRadix)) + in_tile;
    constexpr bool kReduced = S::kIsFirst && P::kBegins;
    if constexpr (P::kForward) {
      forward_butterflies<kRadix, kReduced>(x, twiddles, stage, group, p);
    } else {
      inverse_butterflies<kRadix, kReduced>(x, twiddles, stage, group, p);
    }
    if constexpr (S::kIsLast) {
      BRAINLOCK_UNROLL
      for (unsigned k = 0; k < S::kWords; ++k) x[k] = finish(x[k]);
      to.template store<kLogStride>(base, x);
    } else {
      between.template store<kLogStride>(base, x);
    }
  }
  if constexpr (S::kIsFirst) from.end();
  if constexpr (!S::kIsLast) {
    barrier();
    pass_steps<P, kDone + kRadix>(twiddles, p, first_word, P::kForward ? stage + kRadix : stage - kRadix, between, from, to, finish);
  }
}

/// A word as it is.
struct Unchanged {
  BRAINLOCK_DEVICE Word operator()(Word x) const { return x; }
};

/// The row of a launch that a block works on: grid x = tiles of a limb, y = rows, z = jobs.
struct NttRow {
  bool skipped;
  Word modulus;
  std::size_t in, out;   ///< words from the job's pointers
  const Word* source;
  Word* target;
};
BRAINLOCK_DEVICE NttRow ntt_row(const NttArguments& a) {
  const Word row = block_y();
  const Word of_first = divide(row, a.rows.per_piece);
  const Word limb = a.rows.first + of_first;
  const Word piece = row - of_first * a.rows.pieces;
  NttRow r;
  r.skipped = a.rows.skip_own != 0 && limb < a.rows.limbs && divide(limb, a.ring.per_digit_limbs) == piece;
  r.modulus = modulus_index(a.ring, a.rows.limbs, limb);
  r.in = (std::size_t{limb} * a.rows.stride + piece) << a.ring.log_degree;
  r.out = a.rows.compact_out != 0 ? std::size_t{row} << a.ring.log_degree : r.in;
  r.source = a.jobs[block_z()].in + r.in;
  r.target = a.jobs[block_z()].out + r.out;
  return r;
}

/// The four passes of a ring of 2^kLogDegree words.
template <int kLogDegree>
struct Transform {
  static constexpr TransformShape kShape = transform_shape(kLogDegree);
  static constexpr int kLogTile = kShape.log_tile, kRowStages = kShape.row_stages, kColumnStages = kShape.column_stages;
  static constexpr int kLogUnit = kLogTile - kColumnStages;
  template <bool kForward>
  using Columns = Pass<kForward, kLogTile, kLogUnit, kColumnStages>;
  template <bool kForward>
  using Rows = Pass<kForward, kLogTile, 0, kRowStages>;
  template <class T>
  using ColumnPlace = ColumnWords<T, kLogUnit, kRowStages>;
};

BRAINLOCK_DEVICE const Factor* twiddles_of(const Ring& ring, Word modulus) { return ring.twiddles + (std::size_t{modulus} << ring.log_degree); }
BRAINLOCK_DEVICE const Factor* inverse_twiddles_of(const Ring& ring, Word modulus) {
  return ring.inverse_twiddles + (std::size_t{modulus} << ring.log_degree);
}

/// The end of a forward transform: a tile of rows, words in [0, 4q), from shared memory to its place, reduced, and what follows the transform.
template <class P>
BRAINLOCK_DEVICE void store_rows(const NttArguments& a, const NttRow& row, unsigned first, const Prime& p, const SharedWords& tile) {
  // A thread's words are kThreads apart, a multiple of 32.
  Word x[kTransformWords];
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kTransformWords; ++k) {
    x[k] = below_once(below_twice(tile.tile[Padded::place(thread_x()) + Padded::place(k * P::kThreads)], p), p);
  }
  Word* const out = row.target + first + thread_x();
  const NttJob& job = a.jobs[block_z()];
  if (job.minuend != nullptr) {
    const Factor scalar = load_constant(a.scalars + block_y());
    const Word* const minuend = job.minuend + row.in + first + thread_x();
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kTransformWords; ++k) x[k] = mul(minuend[k * P::kThreads] - x[k] + p.q, scalar, p);
    if (job.addend != nullptr) {
      const Word* const addend = job.addend + row.in + first + thread_x();
      BRAINLOCK_UNROLL
      for (unsigned k = 0; k < kTransformWords; ++k) x[k] = below_once(x[k] + addend[k * P::kThreads], p);
    }
  }
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kTransformWords; ++k) out[k * P::kThreads] = x[k];
}

/// The beginning of an inverse one: a tile of rows to shared memory.
template <class P>
BRAINLOCK_DEVICE void load_rows(const NttRow& row, unsigned first, const SharedWords& tile) {
  Word* const mine = tile.tile + Padded::place(thread_x());
  const Word* const in = row.source + first + thread_x();
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kTransformWords; ++k) mine[Padded::place(k * P::kThreads)] = in[k * P::kThreads];
}

#define BRAINLOCK_TRANSFORM_BOUNDS(T) BRAINLOCK_BOUNDS(T::kShape.threads, blocks_with_room(T::kShape.threads, kRoomy))

/// First pass: stages within columns, in -> out.
template <int kLogDegree, bool kRoomy = false>
BRAINLOCK_KERNEL BRAINLOCK_TRANSFORM_BOUNDS(Transform<kLogDegree>) ntt_forward_columns(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  wait_for_earlier_launches();
  using T = Transform<kLogDegree>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first_column = block_x() << T::kLogUnit;
  pass_steps<typename T::template Columns<true>, 0>(twiddles_of(a.ring, row.modulus), load_constant(a.ring.primes + row.modulus), 0, 0,
                                                    SharedWords{shared_words()}, typename T::template ColumnPlace<const Word>{row.source + first_column},
                                                    typename T::template ColumnPlace<Word>{row.target + first_column}, Unchanged());
}

/// Second pass: stages within rows, out in place, and what follows the transform.
template <int kLogDegree, bool kRoomy = false>
BRAINLOCK_KERNEL BRAINLOCK_TRANSFORM_BOUNDS(Transform<kLogDegree>) ntt_forward_rows(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  wait_for_earlier_launches();
  using T = Transform<kLogDegree>;
  using P = typename T::template Rows<true>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first = block_x() << T::kLogTile;
  const Prime p = load_constant(a.ring.primes + row.modulus);
  const SharedWords shared{shared_words()};
  pass_steps<P, 0>(twiddles_of(a.ring, row.modulus), p, first, kLogDegree - T::kRowStages, shared, RowWords<const Word>{row.target + first}, shared,
                   Unchanged());
  barrier();
  store_rows<P>(a, row, first, p, shared);
}

/// First pass of the inverse: stages within rows, in -> out.
template <int kLogDegree, bool kRoomy = false>
BRAINLOCK_KERNEL BRAINLOCK_TRANSFORM_BOUNDS(Transform<kLogDegree>) ntt_inverse_rows(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  wait_for_earlier_launches();
  using T = Transform<kLogDegree>;
  using P = typename T::template Rows<false>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first = block_x() << T::kLogTile;
  const SharedWords shared{shared_words()};
  load_rows<P>(row, first, shared);
  barrier();
  pass_steps<P, 0>(inverse_twiddles_of(a.ring, row.modulus), load_constant(a.ring.primes + row.modulus), first, kLogDegree - 1, shared, shared,
                   RowWords<Word>{row.target + first}, Unchanged());
}

/// Second pass of the inverse: stages within columns, out in place, times the row's scalar.
template <int kLogDegree, bool kRoomy = false>
BRAINLOCK_KERNEL BRAINLOCK_TRANSFORM_BOUNDS(Transform<kLogDegree>) ntt_inverse_columns(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  wait_for_earlier_launches();
  using T = Transform<kLogDegree>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const Prime p = load_constant(a.ring.primes + row.modulus);
  const Factor scalar = load_constant(a.scalars + block_y());
  Word* const tile = row.target + (block_x() << T::kLogUnit);
  pass_steps<typename T::template Columns<false>, 0>(inverse_twiddles_of(a.ring, row.modulus), p, 0, T::kColumnStages - 1, SharedWords{shared_words()},
                                                     typename T::template ColumnPlace<const Word>{tile}, typename T::template ColumnPlace<Word>{tile},
                                                     [&](Word x) { return mul(x, scalar, p); });
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
