// What is added to a map (or a vector) and what it is multiplied with, place by place: biases and masks.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

#include "brainlock/plan/program.hpp"
#include "layout.hpp"
#include "stages.hpp"
#include "zero_borders.hpp"

namespace brainlock::compiler {

/// A value of the stage as it is kept: times i if its square is to count as negative.
[[nodiscard]] inline std::complex<double> turned(const Stage& stage, std::complex<double> value) {
  return stage.negated ? std::complex<double>(-value.imag(), value.real()) : value;
}

/// The stage's biases, a vector for each ciphertext of its map. With `zeros` nothing is added where nothing of what
/// counts lies.
std::vector<plan::SlotVector> grid_biases(const Stage& stage, const GridLayout& grid, Extent counts, bool zeros,
                                          std::int64_t slots);

/// Ones where values of the map lie, likewise.
std::vector<plan::SlotVector> grid_masks(const GridLayout& grid, Extent counts, std::int64_t slots);

/// The stage's biases where its output is a vector.
plan::SlotVector vector_bias(const Stage& stage, const VectorLayout& vector, std::int64_t slots);

}  // namespace brainlock::compiler
