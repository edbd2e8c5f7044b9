// The core of a linear layer in two kernels: the rotated columns of some limbs, then the weights on them. The host takes as many
// limbs at a time as keep the columns in the last cache.
#pragma once

#include "kernels/switching.cuh"

namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE {

/// column = automorphism(inner product of the input's digits with the rotation's key + (c0, 0)). Grid x = words, y = limbs from
/// first_limb on, z = rotations. Rotations by zero are not among them: their columns are the inputs themselves.
BRAINLOCK_KERNEL rotate_columns(BRAINLOCK_ARGUMENTS(RotateArguments) a) {
  wait_for_earlier_launches();
  const Word log_degree = a.ring.log_degree;
  const LinearRotation rotation = load_constant(a.rotations + block_z());
  const Word l = a.first_limb + block_y();
  const unsigned t = block_x() * block_threads() + thread_x();
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  const unsigned source = automorphism_source(t, rotation.galois_element, log_degree);
  const std::size_t digits_at = (std::size_t{l} * (a.digits + 1) << log_degree) + source;
  const Word* const key = key_limb(rotation.key, rotation.key_limbs, rotation.key_digits, a.limbs, l, log_degree) + t;
  for (Word first = 0; first < rotation.use_count; first += kUsesAtOnce) {
    const LinearUse* const uses = a.uses + rotation.first_use + first;
    const Word count = smaller(rotation.use_count - first, kUsesAtOnce);
    const Word* digits[kUsesAtOnce];
    ProductSum sum[kUsesAtOnce][2];
    BRAINLOCK_UNROLL
    for (unsigned i = 0; i < kUsesAtOnce; ++i) {
      if (i < count) digits[i] = a.inputs[uses[i].input].digits + digits_at;
    }
    Word until_fold = m.fold_interval;
    for (Word d = 0; d < a.digits; ++d) {
      const bool folds = until_fold-- == 0;
      if (folds) until_fold = m.fold_interval - 1;
      const Word k0 = load_constant(key + (std::size_t{2} * d << log_degree));
      const Word k1 = load_constant(key + (std::size_t{2 * d + 1} << log_degree));
      BRAINLOCK_UNROLL
      for (unsigned i = 0; i < kUsesAtOnce; ++i) {
        if (i >= count) continue;
        if (folds) {
          sum[i][0].sum = fold(sum[i][0].sum, m);
          sum[i][1].sum = fold(sum[i][1].sum, m);
        }
        const Word x = digits[i][std::size_t{d} << log_degree];
        sum[i][0].add(x, k0);
        sum[i][1].add(x, k1);
      }
    }
    BRAINLOCK_UNROLL
    for (unsigned i = 0; i < kUsesAtOnce; ++i) {
      if (i >= count) continue;
      const LinearColumn column = load_constant(a.columns + uses[i].column);
      const std::size_t at = (std::size_t{l - column.first_limb} << log_degree) + t;
      const Word c0 = digits[i][std::size_t{a.digits} << log_degree];
      column.poly[0][at] = add_mod(montgomery_reduce(sum[i][0].sum, m), c0, m.q);
      column.poly[1][at] = montgomery_reduce(sum[i][1].sum, m);
    }
  }
}

/// Periodic weights: acc[g] = sum_k weights[run][k][g] * column[k], both polynomials. Grid x = tiles of kWeightThreads words, y = limbs *
/// giant tiles, z = outputs. Weights of kColumnChunk columns are brought to shared memory and read from there by every lane.
BRAINLOCK_KERNEL weight_columns(BRAINLOCK_ARGUMENTS(WeightArguments) a) {
  wait_for_earlier_launches();
  const Word log_degree = a.ring.log_degree;
  const LinearOutput output = load_constant(a.outputs + block_z());
  const Word first_giant = block_y() % a.giant_tiles * kGiantTile;
  if (first_giant >= output.giants) return;
  const Word l = a.first_limb + block_y() / a.giant_tiles;
  const unsigned first_word = block_x() * kWeightThreads;
  const unsigned t = first_word + thread_x();
  const Modulus m = load_constant(a.ring.moduli + modulus_index(a.ring, a.limbs, l));
  const unsigned runs = ((kWeightThreads - 1) >> a.log_run) + 1;  // of this tile
  const std::size_t first_run = (std::size_t{l} << (log_degree - a.log_run)) + (first_word >> a.log_run);
  const Word* const weights = output.weights + first_run * output.column_count * output.giants + first_giant;
  Word* const shared = shared_words();
  const Word* const mine = shared + (thread_x() >> a.log_run) * (kColumnChunk * kGiantTile);
  static_assert(kColumnChunk <= kWeightThreads, "a thread looks up one column at most");
  // Behind the weights: where this tile's words of each column begin, both polynomials.
  const Word** const places = reinterpret_cast<const Word**>(shared + runs * (kColumnChunk * kGiantTile));

  ProductSum sum[2][kGiantTile];
  Word until_fold = m.fold_interval;
  for (Word first = 0; first < output.column_count; first += kColumnChunk) {
    const Word count = smaller(output.column_count - first, kColumnChunk);
    barrier();
    for (unsigned i = thread_x(); i < runs * (kColumnChunk * kGiantTile); i += kWeightThreads) {
      const unsigned g = i % kGiantTile;
      const unsigned k = i / kGiantTile % kColumnChunk;
      const std::size_t run = i / (kGiantTile * kColumnChunk);
      const bool inside = k < count && first_giant + g < output.giants;
      shared[i] = inside ? weights[(run * output.column_count + first + k) * output.giants + g] : 0;
    }
    if (thread_x() < count) {
      const LinearColumn column = load_constant(a.columns + load_constant(output.columns + first + thread_x()));
      const std::size_t at = (std::size_t{l - column.first_limb} << log_degree) + first_word;
      places[2 * thread_x()] = column.poly[0] + at;
      places[2 * thread_x() + 1] = column.poly[1] + at;
    }
    barrier();
    Word next0 = places[0][thread_x()], next1 = places[1][thread_x()];
    for (unsigned k = 0; k < count; ++k) {
      const Word x0 = next0, x1 = next1;
      const unsigned after = k + 1 < count ? k + 1 : k;   // its words come while this column's products are made
      next0 = places[2 * after][thread_x()];
      next1 = places[2 * after + 1][thread_x()];
      if (until_fold-- == 0) {
        BRAINLOCK_UNROLL
        for (unsigned g = 0; g < kGiantTile; ++g) {
          sum[0][g].sum = fold(sum[0][g].sum, m);
          sum[1][g].sum = fold(sum[1][g].sum, m);
        }
        until_fold = m.fold_interval - 1;
      }
      BRAINLOCK_UNROLL
      for (unsigned g = 0; g < kGiantTile; ++g) {
        const Word w = mine[k * kGiantTile + g];
        sum[0][g].add(x0, w);
        sum[1][g].add(x1, w);
      }
    }
  }
  BRAINLOCK_UNROLL
  for (unsigned g = 0; g < kGiantTile; ++g) {
    if (first_giant + g >= output.giants) continue;
    const std::size_t at = (std::size_t{l} << log_degree) + t;
    output.acc[2 * (first_giant + g)][at] = montgomery_reduce(sum[0][g].sum, m);
    output.acc[2 * (first_giant + g) + 1][at] = montgomery_reduce(sum[1][g].sum, m);
  }
}

/// Full weights: acc[g] = sum over the giant's terms of weights * column. Grid x = words, y = limbs * giants (of the output that has most),
/// z = outputs.
BRAINLOCK_KERNEL weight_columns_full(BRAINLOCK_ARGUMENTS(WeightArguments) a) {
  wait_for_earlier_launches();
  const Word log_degree = a.ring.log_degree;
  const LinearOutput output = load_constant(a.outputs + block_z());
  const Word g = block_y() % a.giant_tiles;
  if (g >= output.giants) return;
  const Word l = a.first_limb + block_y() / a.giant_tiles;
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
    const Word w = load_constant(term.weights + at);
    sum[0].add(column.poly[0][from], w);
    sum[1].add(column.poly[1][from], w);
  }
  output.acc[2 * g][at] = montgomery_reduce(sum[0].sum, m);
  output.acc[2 * g + 1][at] = montgomery_reduce(sum[1].sum, m);
}

}  // namespace brainlock::device_cuda::gpu::BRAINLOCK_PLACE
