// The periodic-weight GEMM: a register tile of outputs times one vector of words, weights broadcast from memory.
//
// One multiply-accumulate of a vector costs two widening multiplies and two 64-bit adds (even and odd words), which
// is the whole of the multiplier's time; everything else (loads, one shift of x a tile) must hide behind them.
#pragma once

#include "kernels/sums.hpp"

namespace brainlock::math::detail {
namespace {

struct GemmShape {
  const U32* const* x;
  std::size_t inputs;
  std::size_t w_row_stride;
  std::size_t between_folds;
  bool accumulate;
};

template <class V, std::size_t kOutputs>
void gemm_tile(U32* const* out, const GemmShape& s, const U32* w, const MontgomeryReducer<V>& reducer, std::size_t j) {
  WideSum<V> acc[kOutputs];
  for (std::size_t m = 0; m < kOutputs; ++m) acc[m] = WideSum<V>::zero();
  const U32* const* x = s.x;
  for (std::size_t k = 0; k < s.inputs;) {
    const std::size_t stop = s.inputs - k > s.between_folds ? k + s.between_folds : s.inputs;
    for (; k < stop; ++k, w += s.w_row_stride) {
      const auto even = V::load(x[k] + j);
      const auto odd = V::odd_to_even(even);
#pragma GCC unroll 16
      for (std::size_t m = 0; m < kOutputs; ++m) {
        const auto weight = V::set1(w[m]);
        acc[m].even = V::add64(acc[m].even, V::mul_even(even, weight));
        acc[m].odd = V::add64(acc[m].odd, V::mul_even(odd, weight));
      }
    }
#pragma GCC unroll 16
    for (std::size_t m = 0; m < kOutputs; ++m) acc[m] = reducer.fold(acc[m]);
  }
#pragma GCC unroll 16
  for (std::size_t m = 0; m < kOutputs; ++m) {
    auto r = reduce_once<V>(reducer.reduce_lazy(acc[m]), reducer.q);
    if (s.accumulate) r = reduce_once<V>(V::add(r, V::load(out[m] + j)), reducer.q);
    V::store(out[m] + j, r);
  }
}

template <class V, std::size_t kOutputs>
void gemm_vectors(U32* const* out, const GemmShape& s, const U32* w, const MontgomeryReducer<V>& reducer,
                  std::size_t begin, std::size_t end) {
  for (std::size_t j = begin; j < end; j += V::kLanes) gemm_tile<V, kOutputs>(out, s, w, reducer, j);
}

/// Words [begin, end) of `outputs` (1..12) outputs, all with the same weights.
template <class V>
void gemm_outputs(U32* const* out, std::size_t outputs, const GemmShape& s, const U32* w,
                  const MontgomeryReducer<V>& reducer, std::size_t begin, std::size_t end) {
  switch (outputs) {
#define BRAINLOCK_CASE(M) \
  case M: return gemm_vectors<V, M>(out, s, w, reducer, begin, end);
    BRAINLOCK_CASE(1) BRAINLOCK_CASE(2) BRAINLOCK_CASE(3) BRAINLOCK_CASE(4) BRAINLOCK_CASE(5) BRAINLOCK_CASE(6)
#undef BRAINLOCK_CASE
    default: break;
  }
  if constexpr (V::kGemmOutputs > 6) {
    switch (outputs) {
#define BRAINLOCK_CASE(M) \
  case M: return gemm_vectors<V, M>(out, s, w, reducer, begin, end);
      BRAINLOCK_CASE(7) BRAINLOCK_CASE(8) BRAINLOCK_CASE(9) BRAINLOCK_CASE(10) BRAINLOCK_CASE(11) BRAINLOCK_CASE(12)
#undef BRAINLOCK_CASE
      default: break;
    }
  }
  __builtin_trap();
}

/// Words [begin, end), one run of weights.
template <class V>
void gemm_run(U32* const* out, std::size_t outputs, const GemmShape& s, const U32* w, const Modulus& m,
              std::size_t begin, std::size_t end) {
  const MontgomeryReducer<V> reducer(m);
  const std::size_t tiles = (outputs + V::kGemmOutputs - 1) / V::kGemmOutputs;
  // A cache line of every input row at a time, so that the tiles and both half lines find x in the first cache.
  constexpr std::size_t kLine = 16;
  for (std::size_t j = begin; j < end; j += kLine) {
    const std::size_t line_end = end - j > kLine ? j + kLine : end;
    std::size_t first = 0;
    for (std::size_t tile = 0; tile < tiles; ++tile) {  // sizes as even as they come: 8 = 4 + 4, not 6 + 2
      const std::size_t last = outputs * (tile + 1) / tiles;
      gemm_outputs<V>(out + first, last - first, s, w + first, reducer, j, line_end);
      first = last;
    }
  }
}

}  // namespace
}  // namespace brainlock::math::detail
