// From slots to coefficients and back, as linear layers: the stages of the FFT behind the encoding, some at a time
// (Chen, Chillotti, Song, "Improved Bootstrapping for Approximate Homomorphic Encryption", 2018).
#pragma once

#include <cstdint>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Coefficients come and go at bit-reversed places: m_k + i m_(n + k) of a message m in slot reversed(k).
enum class Direction : std::uint8_t { kToCoefficients, kToSlots };

/// The layers in the order in which they are applied, each with one input and one output (of registers that are yet to
/// be named), no bias, no scale. All are unitary: together they make n^(1/2) times the coefficients, or n^(-1/2) times
/// the slots. Each is made of up to kTransformStages = k stages and has up to 2^(k + 1) - 1 diagonals. `babies`:
/// rotations that are hoisted. Weights to coefficients are in double precision: what is to be taken away there is a
/// thousand times the message.
inline constexpr int kTransformStages = 5;
/// With kStructure the vectors have no values: enough to count the cost.
enum class TransformDepth : std::uint8_t { kStructure, kWeights };
std::vector<plan::Linear> make_transform(Direction direction, std::uint32_t slots, std::uint32_t babies,
                                         TransformDepth depth = TransformDepth::kWeights);

/// What rounding the weights of such a layer at scale 1 does to its output: standard deviation, per unit of the input's
/// rms.
double transform_weight_noise(const plan::Linear& layer);

}  // namespace brainlock::compiler
