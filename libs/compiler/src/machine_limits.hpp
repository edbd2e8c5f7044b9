// Whether the machine can run what a chain makes of a program: encoders and rescales have limits of their own.
#pragma once

#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

double largest_slot(const plan::SlotVector& vector);
double largest_slot(const std::vector<plan::SlotVector>& vectors);

/// What a program's weights, masks and biases take in a plan, and the most that a plan may be read with (package::kMaxProgramBytes, and room for the rest).
double plan_bytes(const plan::Program& program);
inline constexpr double kMostPlanBytes = 0x1p30 - 0x1p26;

/// Largest |weight|, |mask| and |bias| of a Linear.
struct LargestConstants {
  double weight = 0, mask = 0, bias = 0;
};
/// By instruction. They do not depend on the chain.
std::vector<LargestConstants> largest_constants(const plan::Program& program);

/// Whether weights, masks and biases, at the scales that a chain leaves for them, are below half of the modulus that they are encoded for, and
/// below what the encoder takes. A coefficient is at most the largest slot.
bool constants_fit(const plan::Program& program, const std::vector<LargestConstants>& largest);

/// Whether every rescale, those of carried stages among them, divides by no more primes than the machine takes at once.
bool rescales_fit(const plan::Program& program);

}  // namespace brainlock::compiler
