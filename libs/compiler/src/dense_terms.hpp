// The weights of a dense layer as terms of a LinearBuilder: by diagonals of a vector that repeats, or slot by slot of a
// map. Diagonals that have nothing but zeros are left out.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <vector>

#include "brainlock/compiler/graph.hpp"
#include "layout.hpp"
#include "linear_builder.hpp"

namespace brainlock::compiler {

/// A dense layer whose outputs are a vector.
struct DenseTerms {
  const DenseParams& dense;
  VectorLayout out;
  bool turned = false;          ///< outputs are kept times i
  bool structure_only = false;  ///< says which terms there are, without their values
  /// Builder's index and factor of the lifted register that holds a part of a ciphertext of what is read.
  std::function<std::uint32_t(int ciphertext, int part)> input;
  double factor[2] = {1, 1};

  /// Replicated input of period p: slot t computes output t mod M from inputs t + r, r < min(M, p). With M >= p that is
  /// all of them and the result repeats by itself; otherwise p / M partial sums are to be added up.
  void add_vector(const VectorLayout& in, LinearBuilder& builder) const;

  /// Scattered input: input slot s meets output o at slot t = s - r with r = (s - o) mod M; every other weight is zero,
  /// which also kills the garbage between the valid slots. The sum of all slots of one class modulo M gives the
  /// outputs, repeated with period M.
  void add_grid(const GridLayout& in, LinearBuilder& builder) const;

 private:
  /// What output slot o has for element e of what is read.
  [[nodiscard]] std::complex<double> weight(std::int64_t o, std::size_t e, double divisor) const;
  void expect_vector(const VectorLayout& in, std::int64_t shifts, LinearBuilder& builder) const;
};

}  // namespace brainlock::compiler
