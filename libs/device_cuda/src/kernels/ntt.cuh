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
// Lanes of a warp are neighbouring words in device memory. In shared memory one word of padding after each 32 keeps the
// steps whose lanes are 8 or 16 words apart free of bank conflicts; one step of the row passes, whose lanes are in two groups of
// 16 neighbours, has two lanes on some banks.
#pragma once

#include "kernels/words.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

BRAINLOCK_DEVICE unsigned padded(unsigned i) { return i + (i >> 5); }

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

/// Stages kDone, kDone + 1, ... of the kRadix that a thread does on its words. stage: the number of the first of all.
template <int kRadix, int kDone = 0>
BRAINLOCK_DEVICE void forward_butterflies(Word (&x)[1 << kRadix], const Factor* twiddles, unsigned stage, unsigned group, Word q) {
  constexpr unsigned kWords = 1u << kRadix, kHalf = kWords >> (kDone + 1);
  Factor w[1u << kDone];
  load_twiddles(w, twiddles + (1u << (stage + kDone)) + (group << kDone));
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kWords; ++k) {
    if ((k & kHalf) != 0) continue;
    const Word a = reduce_once(x[k], 2 * q);
    const Word b = mul_lazy(x[k + kHalf], w[k >> (kRadix - kDone)], q);
    x[k] = a + b;
    x[k + kHalf] = a - b + 2 * q;
  }
  if constexpr (kDone + 1 < kRadix) forward_butterflies<kRadix, kDone + 1>(x, twiddles, stage, group, q);
}

template <int kRadix, int kDone = 0>
BRAINLOCK_DEVICE void inverse_butterflies(Word (&x)[1 << kRadix], const Factor* twiddles, unsigned stage, unsigned group, Word q) {
  constexpr unsigned kWords = 1u << kRadix, kHalf = 1u << kDone;
  Factor w[1u << (kRadix - kDone - 1)];
  load_twiddles(w, twiddles + (1u << (stage - kDone)) + (group << (kRadix - kDone - 1)));
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kWords; ++k) {
    if ((k & kHalf) != 0) continue;
    const Word s = x[k] + x[k + kHalf];
    const Word d = x[k] - x[k + kHalf] + 2 * q;
    x[k] = reduce_once(s, 2 * q);
    x[k + kHalf] = mul_lazy(d, w[k >> (kDone + 1)], q);
  }
  if constexpr (kDone + 1 < kRadix) inverse_butterflies<kRadix, kDone + 1>(x, twiddles, stage, group, q);
}

// Where a step's words are: word i of the tile at at(i), and word i + d, where d is a multiple of the step's stride and below what the
// stride repeats in, offset(d) further. Offsets of a step are constants, so that all its words share one address.

struct SharedWords {
  Word* tile;
  BRAINLOCK_DEVICE Word* at(unsigned i) const { return tile + padded(i); }
  BRAINLOCK_DEVICE static constexpr unsigned offset(unsigned d) { return d + (d >> 5); }
};
template <class T>
struct RowWords {
  T* tile;
  BRAINLOCK_DEVICE T* at(unsigned i) const { return tile + i; }
  BRAINLOCK_DEVICE static constexpr unsigned offset(unsigned d) { return d; }
};
/// A tile of 2^kLogUnit neighbouring columns of a limb whose rows have 2^kLogColumns words.
template <class T, int kLogUnit, int kLogColumns>
struct ColumnWords {
  T* tile;
  BRAINLOCK_DEVICE T* at(unsigned i) const { return tile + ((i >> kLogUnit << kLogColumns) + (i & ((1u << kLogUnit) - 1))); }
  BRAINLOCK_DEVICE static constexpr unsigned offset(unsigned d) { return d >> kLogUnit << kLogColumns; }
};

/// The constants of a pass of a tile's transform.
template <bool kIsForward, int kTileBits, int kUnitBits, int kStageCount>
struct Pass {
  static constexpr bool kForward = kIsForward;
  static constexpr int kLogTile = kTileBits;
  static constexpr int kLogUnit = kUnitBits;      ///< words between neighbours of the finest stage: 1, or the columns of the tile
  static constexpr int kStages = kStageCount;
  static constexpr unsigned kThreads = (1u << kLogTile) / kTransformWords;
};

/// The stages of a pass from kDone on. stage: number of the step's first stage, where stage s has 2^s groups; first_word: where a tile of
/// rows begins in the limb, 0 for columns. The first step takes its words from `from`, the last one puts finish(word) to `to`.
template <class P, int kDone, class From, class To, class Finish>
BRAINLOCK_DEVICE void pass_steps(const Factor* twiddles, Word q, unsigned first_word, unsigned stage, const From& from, const To& to, const Finish& finish) {
  constexpr int kLeft = P::kStages - kDone;
  constexpr int kRadix = kNextRadix<kLeft>;
  constexpr bool kIsFirst = kDone == 0, kIsLast = kLeft == kRadix;
  constexpr unsigned kWords = 1u << kRadix;
  constexpr int kLogStride = P::kLogUnit + (P::kForward ? kLeft - kRadix : kDone);
  const SharedWords shared{shared_words()};
  for (unsigned item = thread_x(); item < 1u << (P::kLogTile - kRadix); item += P::kThreads) {
    const unsigned high = item >> kLogStride;
    const unsigned base = high << (kLogStride + kRadix) | (item & ((1u << kLogStride) - 1));
    Word x[kWords];
    if constexpr (kIsFirst) {
      const auto* const in = from.at(base);
      BRAINLOCK_UNROLL
      for (unsigned k = 0; k < kWords; ++k) x[k] = in[From::offset(k << kLogStride)];
    } else {
      const Word* const in = shared.at(base);
      BRAINLOCK_UNROLL
      for (unsigned k = 0; k < kWords; ++k) x[k] = in[SharedWords::offset(k << kLogStride)];
    }
    const unsigned group = (first_word >> (kLogStride + kRadix)) + high;
    if constexpr (P::kForward) {
      forward_butterflies<kRadix>(x, twiddles, stage, group, q);
    } else {
      inverse_butterflies<kRadix>(x, twiddles, stage, group, q);
    }
    if constexpr (kIsLast) {
      Word* const out = to.at(base);
      BRAINLOCK_UNROLL
      for (unsigned k = 0; k < kWords; ++k) out[To::offset(k << kLogStride)] = finish(x[k]);
    } else {
      Word* const out = shared.at(base);
      BRAINLOCK_UNROLL
      for (unsigned k = 0; k < kWords; ++k) out[SharedWords::offset(k << kLogStride)] = x[k];
    }
  }
  if constexpr (!kIsLast) {
    barrier();
    pass_steps<P, kDone + kRadix>(twiddles, q, first_word, P::kForward ? stage + kRadix : stage - kRadix, from, to, finish);
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
  const Word limb = a.rows.first + row / a.rows.pieces;
  const Word piece = row % a.rows.pieces;
  NttRow r;
  r.skipped = a.rows.skip_own != 0 && limb < a.rows.limbs && limb / a.ring.digit_limbs == piece;
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

/// First pass: stages within columns, in -> out.
template <int kLogDegree>
BRAINLOCK_KERNEL ntt_forward_columns(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  using T = Transform<kLogDegree>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first_column = block_x() << T::kLogUnit;
  const typename T::template ColumnPlace<const Word> from{row.source + first_column};
  const typename T::template ColumnPlace<Word> to{row.target + first_column};
  pass_steps<typename T::template Columns<true>, 0>(a.ring.twiddles + (std::size_t{row.modulus} << kLogDegree), load_constant(a.ring.moduli + row.modulus).q,
                                                    0, 0, from, to, Unchanged());
}

/// Second pass: stages within rows, out in place, and what follows the transform.
template <int kLogDegree>
BRAINLOCK_KERNEL ntt_forward_rows(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  using T = Transform<kLogDegree>;
  using P = typename T::template Rows<true>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first = block_x() << T::kLogTile;
  const Word q = load_constant(a.ring.moduli + row.modulus).q;
  const SharedWords shared{shared_words()};
  Word* const out = row.target + first;
  pass_steps<P, 0>(a.ring.twiddles + (std::size_t{row.modulus} << kLogDegree), q, first, kLogDegree - T::kRowStages, RowWords<const Word>{out}, shared,
                   Unchanged());
  barrier();
  // A thread's words are kThreads apart: a multiple of 32, so padding moves all alike.
  const Word* const mine = shared.at(thread_x());
  const NttJob& job = a.jobs[block_z()];
  if (job.minuend == nullptr) {
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kTransformWords; ++k) {
      out[thread_x() + k * P::kThreads] = reduce_once(reduce_once(mine[SharedWords::offset(k * P::kThreads)], 2 * q), q);
    }
    return;
  }
  const Factor scalar = load_constant(a.scalars + block_y());
  const Word* const minuend = job.minuend + row.in + first;
  const Word* const addend = job.addend == nullptr ? nullptr : job.addend + row.in + first;
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kTransformWords; ++k) {
    const unsigned i = thread_x() + k * P::kThreads;
    const Word x = reduce_once(reduce_once(mine[SharedWords::offset(k * P::kThreads)], 2 * q), q);
    Word r = mul(minuend[i] - x + q, scalar, q);
    if (addend != nullptr) r = add_mod(r, addend[i], q);
    out[i] = r;
  }
}

/// First pass of the inverse: stages within rows, in -> out.
template <int kLogDegree>
BRAINLOCK_KERNEL ntt_inverse_rows(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  using T = Transform<kLogDegree>;
  using P = typename T::template Rows<false>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first = block_x() << T::kLogTile;
  const SharedWords shared{shared_words()};
  Word* const mine = shared.at(thread_x());
  BRAINLOCK_UNROLL
  for (unsigned k = 0; k < kTransformWords; ++k) {
    mine[SharedWords::offset(k * P::kThreads)] = row.source[first + thread_x() + k * P::kThreads];
  }
  barrier();
  pass_steps<P, 0>(a.ring.inverse_twiddles + (std::size_t{row.modulus} << kLogDegree), load_constant(a.ring.moduli + row.modulus).q, first, kLogDegree - 1,
                   shared, RowWords<Word>{row.target + first}, Unchanged());
}

/// Second pass of the inverse: stages within columns, out in place, times the row's scalar.
template <int kLogDegree>
BRAINLOCK_KERNEL ntt_inverse_columns(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  using T = Transform<kLogDegree>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const Word q = load_constant(a.ring.moduli + row.modulus).q;
  const Factor scalar = load_constant(a.scalars + block_y());
  Word* const tile = row.target + (block_x() << T::kLogUnit);
  pass_steps<typename T::template Columns<false>, 0>(a.ring.inverse_twiddles + (std::size_t{row.modulus} << kLogDegree), q, 0, T::kColumnStages - 1,
                                                     typename T::template ColumnPlace<const Word>{tile}, typename T::template ColumnPlace<Word>{tile},
                                                     [&](Word x) { return mul(x, scalar, q); });
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
