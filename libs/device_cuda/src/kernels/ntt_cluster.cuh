// A whole transform in one launch: a cluster of blocks takes a limb and hands its words on through distributed shared memory, where the two
// passes of ntt.cuh write to device memory and read again. Same stages, same order, same words. Compute capability 9.0.
//
//   forward   block b takes columns [b W, (b + 1) W) and does their stages; each row of the result goes to the block that owns it:
//
//             block 0      block 1             block 0 |xxxxxxxxxxxxx|  rows 0 .. R / B - 1
//             |xx|  |      |  |xx|      ->     block 1 |xxxxxxxxxxxxx|
//             |xx|  |      |  |xx|             ...
//
//             A warp's store is 32 neighbouring words, and an item's words, some neighbouring rows, all go to one block.
//   inverse   the other way round: rows first; then a block reads its columns from where their rows are.
//
// A block has two tiles in its shared memory, the columns' and the rows', because the others write to (read from) one of them while it works
// in the other.
#pragma once

#include "kernels/ntt.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

template <int kLogDegree>
struct ClusterTransform {
  static constexpr ClusterShape kShape = cluster_shape(kLogDegree);
  static constexpr int kLogTile = kShape.log_tile, kRowStages = kShape.row_stages, kColumnStages = kShape.column_stages;
  static constexpr int kLogUnit = kLogTile - kColumnStages;    ///< columns of a block
  static constexpr int kLogRows = kLogTile - kRowStages;       ///< rows of a block
  static_assert(kLogUnit >= 5 && kLogRows >= 4, "warps of neighbours; an item of 16 rows lies in one block");
  template <bool kForward>
  using Columns = Pass<kForward, kLogTile, kLogUnit, kColumnStages>;
  template <bool kForward>
  using Rows = Pass<kForward, kLogTile, 0, kRowStages>;
  template <class T>
  using ColumnPlace = ColumnWords<T, kLogUnit, kRowStages>;
};

#if defined(BRAINLOCK_HAS_CLUSTERS)
/// A block's columns, where they lie in the tiles of rows of all blocks.
template <int kLogDegree>
struct SpreadColumns {
  using T = ClusterTransform<kLogDegree>;
  const Word* rows;         ///< this block's tile of rows
  unsigned first_column;

  BRAINLOCK_DEVICE ClusterWords at(unsigned base) const {
    const unsigned row = base >> T::kLogUnit;
    const unsigned i = (row & ((1u << T::kLogRows) - 1)) << T::kRowStages | first_column | (base & ((1u << T::kLogUnit) - 1));
    return {rows + Padded::place(i), row >> T::kLogRows};
  }
  static BRAINLOCK_DEVICE constexpr unsigned offset(unsigned d) { return Padded::place(d >> T::kLogUnit << T::kRowStages); }
  template <int kLogStride, unsigned kWords>
  BRAINLOCK_DEVICE void load(unsigned base, Word (&x)[kWords]) const {
    static_assert(kLogStride == T::kLogUnit && kWords <= 1u << T::kLogRows, "neighbouring rows, all of one block");
    const ClusterWords in = at(base);
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) x[k] = in.load(offset(k << kLogStride));
  }
  template <int kLogStride, unsigned kWords>
  BRAINLOCK_DEVICE void store(unsigned base, const Word (&x)[kWords]) const {
    static_assert(kLogStride == T::kLogUnit && kWords <= 1u << T::kLogRows, "neighbouring rows, all of one block");
    const ClusterWords out = at(base);
    BRAINLOCK_UNROLL
    for (unsigned k = 0; k < kWords; ++k) out.store(offset(k << kLogStride), x[k]);
  }
  BRAINLOCK_DEVICE void begin() const { cluster_wait(); }    // all blocks have begun
  BRAINLOCK_DEVICE void end() const { cluster_arrive(); }    // this one needs the others no more
};
#endif

/// Grid x = the blocks of a cluster, y = rows, z = jobs.
template <int kLogDegree, bool kRoomy = false>
BRAINLOCK_KERNEL BRAINLOCK_TRANSFORM_BOUNDS(ClusterTransform<kLogDegree>) ntt_forward_cluster(BRAINLOCK_ARGUMENTS(NttArguments) a) {
#if defined(BRAINLOCK_HAS_CLUSTERS)
  wait_for_earlier_launches();
  using T = ClusterTransform<kLogDegree>;
  using P = typename T::template Rows<true>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;   // all blocks of a cluster alike
  cluster_arrive_begun();    // SpreadColumns::begin() waits for it
  const Prime p = load_constant(a.ring.primes + row.modulus);
  const Factor* const twiddles = twiddles_of(a.ring, row.modulus);
  const SharedWords columns{shared_words()}, rows{shared_words() + T::kShape.tile_words};
  const unsigned first_column = block_x() << T::kLogUnit, first = block_x() << T::kLogTile;
  pass_steps<typename T::template Columns<true>, 0>(twiddles, p, 0, 0, columns, typename T::template ColumnPlace<const Word>{row.source + first_column},
                                                    SpreadColumns<kLogDegree>{rows.tile, first_column}, Unchanged());
  cluster_arrive();
  cluster_wait();            // every row is whole; from here on nobody looks into another block
  pass_steps<P, 0>(twiddles, p, first, kLogDegree - T::kRowStages, rows, rows, rows, Unchanged());
  barrier();
  store_rows<P>(a, row, first, p, rows);
#endif
}

template <int kLogDegree, bool kRoomy = false>
BRAINLOCK_KERNEL BRAINLOCK_TRANSFORM_BOUNDS(ClusterTransform<kLogDegree>) ntt_inverse_cluster(BRAINLOCK_ARGUMENTS(NttArguments) a) {
#if defined(BRAINLOCK_HAS_CLUSTERS)
  wait_for_earlier_launches();
  using T = ClusterTransform<kLogDegree>;
  using P = typename T::template Rows<false>;
  const NttRow row = ntt_row(a);
  if (row.skipped) return;
  const Prime p = load_constant(a.ring.primes + row.modulus);
  const Factor scalar = load_constant(a.scalars + block_y());
  const Factor* const twiddles = inverse_twiddles_of(a.ring, row.modulus);
  const SharedWords columns{shared_words()}, rows{shared_words() + T::kShape.tile_words};
  const unsigned first_column = block_x() << T::kLogUnit, first = block_x() << T::kLogTile;
  load_rows<P>(row, first, rows);
  barrier();
  pass_steps<P, 0>(twiddles, p, first, kLogDegree - 1, rows, rows, rows, Unchanged());
  cluster_arrive();
  cluster_wait();            // every row is whole
  pass_steps<typename T::template Columns<false>, 0>(twiddles, p, 0, T::kColumnStages - 1, columns, SpreadColumns<kLogDegree>{rows.tile, first_column},
                                                     typename T::template ColumnPlace<Word>{row.target + first_column},
                                                     [&](Word x) { return mul(x, scalar, p); });
  cluster_wait();            // SpreadColumns::end() of every block: no block leaves while another one reads from it
#endif
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
