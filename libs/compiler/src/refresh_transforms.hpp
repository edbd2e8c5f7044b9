// From slots to coefficients and back, as linear layers: the stages of the FFT behind the encoding, some at a time
// (Chen, Chillotti, Song, "Improved Bootstrapping for Approximate Homomorphic Encryption", 2018).
#pragma once

#include <cstdint>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Slots to coefficients: what is in slot reversed(k), bit by bit, becomes m_k + i m_(n + k) of the message m.
/// Coefficients to slots: the inverse.
enum class Direction : std::uint8_t { kSlotsToCoefficients, kCoefficientsToSlots };

/// The layers in the order in which they are applied, each with one input and one output (of registers that are yet to
/// be named), no bias, no scale. All are unitary: together they make n^(-1/2) times what is in the slots a coefficient,
/// or n^(1/2) times the coefficients slots. Each is made of up to kTransformStages = k stages and has up to 2^(k + 1) -
/// 1 diagonals. `babies`: rotations that are hoisted. Weights to slots are in double precision: behind them a thousand
/// times the message is to be taken away.
inline constexpr int kTransformStages = 5;
/// With kStructure the vectors have no values: enough to count the cost.
enum class TransformDepth : std::uint8_t { kStructure, kWeights };
std::vector<plan::Linear> make_transform(Direction direction, std::uint32_t slots, std::uint32_t babies,
                                         TransformDepth depth = TransformDepth::kWeights);

/// What rounding the weights of such a layer at scale 1 does to its output: standard deviation, per unit of the input's
/// rms.
double transform_weight_noise(const plan::Linear& layer);

}  // namespace brainlock::compiler
