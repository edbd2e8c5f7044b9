// The core of a linear layer: inputs under many rotations, by shared digits (the columns), and weights on them.
//
//   weights that are constant over runs of words: linear_layer, one launch, columns in shared memory alone
//   full weights: rotate_columns, weight_columns_full; columns in device memory, as many limbs at a time as the last cache holds
#pragma once

#include "kernels/switching.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// Calls store(i, c0, c1) with word t of limb l of the rotation's column number i:
/// automorphism(inner product of the input's digits with the rotation's key + (c0, 0)).
template <class Store>
BRAINLOCK_DEVICE void rotate_word(const LinearRotation& rotation, const LinearUse* uses, const LinearInput* inputs, Word digit_count, Word limbs, Word l,
                                  Word log_degree, unsigned t, const Modulus& m, const Store& store) {
  const unsigned source = automorphism_source(t, rotation.galois_element, log_degree);
  const std::size_t digits_at = (std::size_t{l} * (digit_count + 1) << log_degree) + source;
  const Word* const key = key_limb(rotation.key, rotation.key_limbs, rotation.key_digits, limbs, l, log_degree) + t;
  const Word* digits[kUsesAtOnce];
  Word c0[kUsesAtOnce];
  ProductSum sum[kUsesAtOnce][2];
  BRAINLOCK_UNROLL
  for (unsigned i = 0; i < kUsesAtOnce; ++i) {
    if (i >= rotation.use_count) continue;
    digits[i] = inputs[uses[i].input].digits + digits_at;
    c0[i] = digits[i][std::size_t{digit_count} << log_degree];
  }
  Word until_fold = m.fold_interval;
  // Words of several digits are asked for before the first is used: few threads make columns, and each must have many loads on their way.
  for (Word first = 0; first < digit_count; first += kDigitsAtOnce) {
    Word k[kDigitsAtOnce][2], x[kDigitsAtOnce][kUsesAtOnce];
    BRAINLOCK_UNROLL
    for (unsigned d = 0; d < kDigitsAtOnce; ++d) {
      if (first + d >= digit_count) continue;
      k[d][0] = load_constant(key + (std::size_t{2 * (first + d)} << log_degree));
      k[d][1] = load_constant(key + (std::size_t{2 * (first + d) + 1} << log_degree));
      BRAINLOCK_UNROLL
      for (unsigned i = 0; i < kUsesAtOnce; ++i) {
        if (i < rotation.use_count) x[d][i] = digits[i][std::size_t{first + d} << log_degree];
      }
    }
    BRAINLOCK_UNROLL
    for (unsigned d = 0; d < kDigitsAtOnce; ++d) {
      if (first + d >= digit_count) continue;
      const bool folds = until_fold-- == 0;
      if (folds) until_fold = m.fold_interval - 1;
      BRAINLOCK_UNROLL
      for (unsigned i = 0; i < kUsesAtOnce; ++i) {
        if (i >= rotation.use_count) continue;
        if (folds) {
          sum[i][0].sum = fold(sum[i][0].sum, m);
          sum[i][1].sum = fold(sum[i][1].sum, m);
        }
        sum[i][0].add(x[d][i], k[d][0]);
        sum[i][1].add(x[d][i], k[d][1]);
      }
    }
  }
  BRAINLOCK_UNROLL
  for (unsigned i = 0; i < kUsesAtOnce; ++i) {
    if (i >= rotation.use_count) continue;
    store(i, add_mod(montgomery_reduce(sum[i][0].sum, m), c0[i], m.q), montgomery_reduce(sum[i][1].sum, m));
  }
}

/// Weights of kGiantTile giant steps: two loads.
struct alignas(16) WeightQuad {
  Word w[4];
};
static_assert(kGiantTile == 8, "two quads");

/// What a block of linear_layer has in shared memory, twice: of the chunk that is made, and of the one before it, that is added up.
///   [chunk's half: 2][slot][poly][word], [half][adder][run][entry][giant] weights, [half][adder][entry] slots
struct LinearTileMemory {
  unsigned slots, adder_words, weights_at, entries_at;

  BRAINLOCK_DEVICE LinearTileMemory(unsigned adders, unsigned runs, Word log_slots)
      : slots(1u << log_slots), adder_words(runs * kGiantTile << log_slots), weights_at(slots * (4 * kLinearTile)),
        entries_at(weights_at + 2 * adders * adder_words) {}
  BRAINLOCK_DEVICE Word* column(Word chunk, Word slot) const { return shared_words() + (chunk % 2 * slots + slot) * (2 * kLinearTile); }
  BRAINLOCK_DEVICE Word* weights(Word chunk, unsigned adder, unsigned adders) const {
    return shared_words() + weights_at + (chunk % 2 * adders + adder) * adder_words;
  }
  BRAINLOCK_DEVICE Word* entry_slots(Word chunk, unsigned adder, unsigned adders) const {
    return shared_words() + entries_at + (chunk % 2 * adders + adder) * slots;
  }
};

/// The makers' part of linear_layer: column words of a block's tile, chunk after chunk, rotation by rotation in turn.
BRAINLOCK_DEVICE void make_columns(const LinearArguments& a, const LinearTileMemory& memory, unsigned maker, unsigned lane) {
  const Word log_degree = a.ring.log_degree, l = block_y();
  const unsigned t = block_x() * kLinearTile + lane;
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  for (Word c = 0; c < a.chunk_count; ++c) {
    const LinearChunk chunk = load_constant(a.chunks + c);
    for (unsigned r = maker; r < chunk.rotation_count; r += a.makers) {
      const LinearRotation rotation = load_constant(a.rotations + chunk.first_rotation + r);
      const LinearUse* const uses = a.uses + rotation.first_use;
      const auto store = [&](unsigned i, Word x0, Word x1) {
        Word* const column = memory.column(c, uses[i].column) + lane;
        column[0] = x0;
        column[kLinearTile] = x1;
      };
      if (rotation.key == nullptr) {
        const std::size_t at = (std::size_t{l} << log_degree) + t;
        for (unsigned i = 0; i < rotation.use_count; ++i) {
          const LinearInput input = load_constant(a.inputs + uses[i].input);
          store(i, input.c0[at], input.c1[at]);
        }
      } else {
        rotate_word(rotation, uses, a.inputs, a.digits, a.limbs, l, log_degree, t, m, store);
      }
    }
    barrier_apart();
  }
}

/// An adder's part: its giant tile's sums over the chunks, one behind the makers; meanwhile it brings the weights of the chunk that they make.
BRAINLOCK_DEVICE void add_columns(const LinearArguments& a, const LinearTileMemory& memory, unsigned adder, unsigned adders, unsigned lane) {
  // The last blocks may have more adders than tiles are left: those add up nothing.
  const unsigned number = block_z() * adders + adder;
  LinearTile tile{};
  if (number < a.tile_count) tile = load_constant(a.tiles + number);
  const Word l = block_y();
  const unsigned first_word = block_x() * kLinearTile;
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  const std::size_t first_run = (std::size_t{l} << (a.ring.log_degree - a.log_run)) + (first_word >> a.log_run);
  ProductSum sum[2][kGiantTile];
  Word until_fold = m.fold_interval, count = 0;
  for (Word c = 0; c <= a.chunk_count; ++c) {
    const Word last = count;   // entries of the chunk before
    if (c < a.chunk_count && tile.giant_count != 0) {
      const Word begin = load_constant(tile.entry_begin + c);
      count = load_constant(tile.entry_begin + c + 1) - begin;
      Word* const weights = memory.weights(c, adder, adders);
      for (unsigned i = lane; i < memory.adder_words; i += kLinearTile) {
        const unsigned g = i % kGiantTile;
        const unsigned entry = i / kGiantTile & (memory.slots - 1);
        if (entry >= count) continue;
        const std::size_t run = first_run + (i / kGiantTile >> a.log_slots);
        const Word place = load_constant(tile.entries + begin + entry).place;
        weights[i] = g < tile.giant_count ? load_constant(tile.weights + (run * tile.places + place) * tile.giants + tile.first_giant + g) : 0;
      }
      if (lane < count) memory.entry_slots(c, adder, adders)[lane] = load_constant(tile.entries + begin + lane).slot;
    }
    if (c > 0) {
      const Word* const slots = memory.entry_slots(c - 1, adder, adders);
      const Word* const weights = memory.weights(c - 1, adder, adders) + ((lane >> a.log_run) * kGiantTile << a.log_slots);
      for (Word k = 0; k < last; ++k) {
        const Word* const column = memory.column(c - 1, slots[k]) + lane;
        const Word x0 = column[0], x1 = column[kLinearTile];
        if (until_fold-- == 0) {
          BRAINLOCK_UNROLL
          for (unsigned g = 0; g < kGiantTile; ++g) {
            sum[0][g].sum = fold(sum[0][g].sum, m);
            sum[1][g].sum = fold(sum[1][g].sum, m);
          }
          until_fold = m.fold_interval - 1;
        }
        const WeightQuad* const quads = reinterpret_cast<const WeightQuad*>(weights + k * kGiantTile);
        BRAINLOCK_UNROLL
        for (unsigned g = 0; g < kGiantTile; g += 4) {
          const WeightQuad quad = quads[g / 4];
          BRAINLOCK_UNROLL
          for (unsigned i = 0; i < 4; ++i) {
            sum[0][g + i].add(x0, quad.w[i]);
            sum[1][g + i].add(x1, quad.w[i]);
          }
        }
      }
    }
    if (c < a.chunk_count) barrier_apart();
  }
  const std::size_t at = (std::size_t{l} << a.ring.log_degree) + first_word + lane;
  BRAINLOCK_UNROLL
  for (unsigned g = 0; g < kGiantTile; ++g) {
    if (g >= tile.giant_count) continue;
    Word* const* const acc = tile.acc + 2 * (tile.first_giant + g);
    acc[0][at] = montgomery_reduce(sum[0][g].sum, m);
    acc[1][at] = montgomery_reduce(sum[1][g].sum, m);
  }
}

/// acc[g] = sum over an output's entries of weights * column, both polynomials. Grid x = tiles of kLinearTile words, y = limbs (L + K), z = giant
/// tiles, as many at a time as a block has adders. Each group of kLinearTile threads of a block has a part of its own: the first ones, the makers,
/// make a chunk's columns while the others, the adders, add up those of the chunk before, each for one giant tile. So one kind waits for memory
/// while the other multiplies, and neither needs the other's registers.
BRAINLOCK_KERNEL BRAINLOCK_BOUNDS(kMostLinearGroups * kLinearTile, 1) linear_layer(BRAINLOCK_ARGUMENTS(LinearArguments) a) {
  wait_for_earlier_launches();
  const unsigned group = thread_x() / kLinearTile, lane = thread_x() % kLinearTile, adders = block_threads() / kLinearTile - a.makers;
  const LinearTileMemory memory(adders, ((kLinearTile - 1) >> a.log_run) + 1, a.log_slots);
  if (group < a.makers) {
    make_columns(a, memory, group, lane);
  } else {
    add_columns(a, memory, group - a.makers, adders, lane);
  }
}

/// Columns in device memory. Grid x = words, y = limbs from first_limb on, z = rotations. Rotations by zero are not among them: their columns are
/// the inputs themselves.
BRAINLOCK_KERNEL rotate_columns(BRAINLOCK_ARGUMENTS(RotateArguments) a) {
  wait_for_earlier_launches();
  const Word log_degree = a.ring.log_degree;
  const LinearRotation rotation = load_constant(a.rotations + block_z());
  const LinearUse* const uses = a.uses + rotation.first_use;
  const Word l = a.first_limb + block_y();
  const unsigned t = block_x() * block_threads() + thread_x();
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  rotate_word(rotation, uses, a.inputs, a.digits, a.limbs, l, log_degree, t, m, [&](unsigned i, Word x0, Word x1) {
    const LinearColumn column = load_constant(a.columns + uses[i].column);
    const std::size_t at = (std::size_t{l - column.first_limb} << log_degree) + t;
    column.poly[0][at] = x0;
    column.poly[1][at] = x1;
  });
}

/// Full weights: acc[g] = sum over the giant's terms of weights * column. Grid x = words, y = limbs * giants (of the output that has most),
/// z = outputs.
BRAINLOCK_KERNEL weight_columns_full(BRAINLOCK_ARGUMENTS(FullWeightArguments) a) {
  wait_for_earlier_launches();
  const Word log_degree = a.ring.log_degree;
  const FullOutput output = load_constant(a.outputs + block_z());
  const Word g = block_y() % a.most_giants;
  if (g >= output.giants) return;
  const Word l = a.first_limb + block_y() / a.most_giants;
  const unsigned t = block_x() * block_threads() + thread_x();
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  const std::size_t at = (std::size_t{l} << log_degree) + t;
  ProductSum sum[2];
  Word until_fold = m.fold_interval;
  for (Word i = output.term_begin[g]; i < output.term_begin[g + 1]; ++i) {
    if (until_fold-- == 0) {
      sum[0].sum = fold(sum[0].sum, m);
      sum[1].sum = fold(sum[1].sum, m);
      until_fold = m.fold_interval - 1;
    }
    const LinearTerm term = load_constant(a.terms + i);
    const LinearColumn column = load_constant(a.columns + term.column);
    const std::size_t from = (std::size_t{l - column.first_limb} << log_degree) + t;
    const Word w = load_constant(term.weights + (at >> a.log_run));
    sum[0].add(column.poly[0][from], w);
    sum[1].add(column.poly[1][from], w);
  }
  output.acc[2 * g][at] = montgomery_reduce(sum[0].sum, m);
  output.acc[2 * g + 1][at] = montgomery_reduce(sum[1].sum, m);
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
