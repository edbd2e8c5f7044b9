// Predicted time and key size of a program on one core of the reference machine.
#pragma once

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Milliseconds on one core, from counted operations and measured kernel times (docs/kernels.md).
double predict_ms(const plan::Program& program);
double predict_ms(const plan::Program& program, const plan::Instruction& instruction);

/// Bytes of the evaluation keys as uploaded: seeded, 30 bits a word.
double predict_key_bytes(const plan::Program& program);

}  // namespace brainlock::compiler
