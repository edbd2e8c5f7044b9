// Forward and inverse negacyclic transforms of whole limbs in two passes over device memory.
//
// A limb of N = R C words is a matrix, word = row * C + column. The forward transform's first log2 R stages work within
// columns, the others within rows; the inverse the other way round. A block takes a tile of 4096 words (the limb, if it is
// smaller): some neighbouring columns, or some whole rows. A thread keeps 2 to 16 words in registers for one to four
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
// steps whose lanes are 8 or 16 words apart free of bank conflicts.
#pragma once

#include "kernels/words.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

BRAINLOCK_DEVICE unsigned padded(unsigned i) { return i + (i >> 5); }

/// How many of the stages that are left the next step takes: 9 = 3 + 3 + 3, 8 = 4 + 4, 7 = 4 + 3, 6 = 3 + 3, 5 = 3 + 2.
template <int kLeft>
constexpr int kNextRadix = kLeft % 3 == 0 || kLeft == 5 ? 3 : kLeft <= 4 ? kLeft : 4;

/// What a block works on.
struct Tile {
  const Factor* twiddles;
  Word q;
  unsigned log_words;
  unsigned log_unit;      ///< words between neighbours of the pass's finest stage: 1, or the columns of the tile
  unsigned first_word;    ///< rows: where the tile begins in the limb; columns: 0
};

template <int kRadix>
BRAINLOCK_DEVICE void forward_butterflies(Word (&x)[1 << kRadix], const Factor* twiddles, unsigned stage, unsigned group, Word q) {
  constexpr unsigned kWords = 1u << kRadix;
  BRAINLOCK_UNROLL
  for (int u = 0; u < kRadix; ++u) {
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) {
      const unsigned half = kWords >> (u + 1);
      if ((k & half) != 0) continue;
      const Factor w = load_constant(twiddles + (1u << (stage + u)) + (group << u) + (k >> (kRadix - u)));
      const Word a = reduce_once(x[k], 2 * q);
      const Word b = mul_lazy(x[k + half], w, q);
      x[k] = a + b;
      x[k + half] = a - b + 2 * q;
    }
  }
}

template <int kRadix>
BRAINLOCK_DEVICE void inverse_butterflies(Word (&x)[1 << kRadix], const Factor* twiddles, unsigned stage, unsigned group, Word q) {
  constexpr unsigned kWords = 1u << kRadix;
  BRAINLOCK_UNROLL
  for (int u = 0; u < kRadix; ++u) {
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) {
      const unsigned half = 1u << u;
      if ((k & half) != 0) continue;
      const Factor w = load_constant(twiddles + (1u << (stage - u)) + (group << (kRadix - u - 1)) + (k >> (u + 1)));
      const Word s = x[k] + x[k + half];
      const Word d = x[k] - x[k + half] + 2 * q;
      x[k] = reduce_once(s, 2 * q);
      x[k + half] = mul_lazy(d, w, q);
    }
  }
}

/// The stages of a pass from `kDone` on. stage: number of the step's first stage, where stage s has 2^s groups.
/// first(i) gives word i of the tile to the first step, last(i, x) takes it from the last one.
template <bool kForward, int kStages, int kDone, class First, class Last>
BRAINLOCK_DEVICE void pass_steps(const Tile& tile, unsigned stage, const First& first, const Last& last) {
  constexpr int kLeft = kStages - kDone;
  constexpr int kRadix = kNextRadix<kLeft>;
  constexpr unsigned kWords = 1u << kRadix;
  Word* const shared = shared_words();
  const unsigned log_stride = tile.log_unit + (kForward ? kLeft - kRadix : kDone);
  for (unsigned item = thread_x(); item < 1u << (tile.log_words - kRadix); item += block_threads()) {
    const unsigned high = item >> log_stride;
    const unsigned base = high << (log_stride + kRadix) | (item & ((1u << log_stride) - 1));
    Word x[kWords];
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) {
      const unsigned i = base + (k << log_stride);
      if constexpr (kDone == 0) {
        x[k] = first(i);
      } else {
        x[k] = shared[padded(i)];
      }
    }
    const unsigned group = (tile.first_word >> (log_stride + kRadix)) + high;
    if constexpr (kForward) {
      forward_butterflies<kRadix>(x, tile.twiddles, stage, group, tile.q);
    } else {
      inverse_butterflies<kRadix>(x, tile.twiddles, stage, group, tile.q);
    }
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) {
      const unsigned i = base + (k << log_stride);
      if constexpr (kLeft == kRadix) {
        last(i, x[k]);
      } else {
        shared[padded(i)] = x[k];
      }
    }
  }
  if constexpr (kLeft != kRadix) {
    barrier();
    pass_steps<kForward, kStages, kDone + kRadix>(tile, kForward ? stage + kRadix : stage - kRadix, first, last);
  }
}

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

/// Word i of a tile of columns, as an index into the limb.
struct ColumnIndex {
  unsigned log_unit, log_columns, first_column;
  BRAINLOCK_DEVICE unsigned operator()(unsigned i) const {
    return (i >> log_unit) << log_columns | (first_column + (i & ((1u << log_unit) - 1)));
  }
};

/// First pass: kStages stages within columns, in -> out.
template <int kStages>
BRAINLOCK_KERNEL ntt_forward_columns(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned log_unit = a.log_tile - kStages;
  const Tile tile{a.ring.twiddles + (std::size_t{row.modulus} << a.ring.log_degree), load_constant(a.ring.moduli + row.modulus).q,
                  a.log_tile, log_unit, 0};
  const ColumnIndex at{log_unit, a.log_columns, block_x() << log_unit};
  pass_steps<true, kStages, 0>(tile, 0, [&](unsigned i) { return row.source[at(i)]; },
                            [&](unsigned i, Word x) { row.target[at(i)] = x; });
}

/// Second pass: kStages stages within rows, out in place, and what follows the transform.
template <int kStages>
BRAINLOCK_KERNEL ntt_forward_rows(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first = block_x() << a.log_tile;
  const Word q = load_constant(a.ring.moduli + row.modulus).q;
  const Tile tile{a.ring.twiddles + (std::size_t{row.modulus} << a.ring.log_degree), q, a.log_tile, 0, first};
  Word* const shared = shared_words();
  Word* const out = row.target + first;
  pass_steps<true, kStages, 0>(tile, a.ring.log_degree - kStages, [&](unsigned i) { return out[i]; },
                            [&](unsigned i, Word x) { shared[padded(i)] = x; });
  barrier();
  const NttJob& job = a.jobs[block_z()];
  if (job.minuend == nullptr) {
    for (unsigned i = thread_x(); i < 1u << a.log_tile; i += block_threads()) {
      out[i] = reduce_once(reduce_once(shared[padded(i)], 2 * q), q);
    }
    return;
  }
  const Factor scalar = load_constant(a.scalars + block_y());
  const Word* const minuend = job.minuend + row.in + first;
  for (unsigned i = thread_x(); i < 1u << a.log_tile; i += block_threads()) {
    const Word x = reduce_once(reduce_once(shared[padded(i)], 2 * q), q);
    Word r = mul(minuend[i] - x + q, scalar, q);
    if (job.addend != nullptr) r = add_mod(r, job.addend[row.in + first + i], q);
    out[i] = r;
  }
}

/// First pass of the inverse: kStages stages within rows, in -> out.
template <int kStages>
BRAINLOCK_KERNEL ntt_inverse_rows(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned first = block_x() << a.log_tile;
  const Tile tile{a.ring.inverse_twiddles + (std::size_t{row.modulus} << a.ring.log_degree),
                  load_constant(a.ring.moduli + row.modulus).q, a.log_tile, 0, first};
  Word* const shared = shared_words();
  for (unsigned i = thread_x(); i < 1u << a.log_tile; i += block_threads()) shared[padded(i)] = row.source[first + i];
  barrier();
  pass_steps<false, kStages, 0>(tile, a.ring.log_degree - 1, [&](unsigned i) { return shared[padded(i)]; },
                            [&](unsigned i, Word x) { row.target[first + i] = x; });
}

/// Second pass of the inverse: kStages stages within columns, out in place, times the row's scalar.
template <int kStages>
BRAINLOCK_KERNEL ntt_inverse_columns(BRAINLOCK_ARGUMENTS(NttArguments) a) {
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const unsigned log_unit = a.log_tile - kStages;
  const Word q = load_constant(a.ring.moduli + row.modulus).q;
  const Tile tile{a.ring.inverse_twiddles + (std::size_t{row.modulus} << a.ring.log_degree), q, a.log_tile, log_unit, 0};
  const ColumnIndex at{log_unit, a.log_columns, block_x() << log_unit};
  const Factor scalar = load_constant(a.scalars + block_y());
  pass_steps<false, kStages, 0>(tile, kStages - 1, [&](unsigned i) { return row.target[at(i)]; },
                            [&](unsigned i, Word x) { row.target[at(i)] = mul(x, scalar, q); });
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
