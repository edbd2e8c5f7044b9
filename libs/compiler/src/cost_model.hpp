// Predicted time and key size of a program on one core of the reference machine.
#pragma once

#include <cstdint>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Milliseconds on one core, from counted operations and measured kernel times (docs/kernels.md).
double predict_ms(const plan::Program& program);
double predict_ms(const plan::Program& program, const plan::Instruction& instruction);

/// Bytes of the evaluation keys as uploaded: seeded, 30 bits a word.
double predict_key_bytes(const plan::Program& program);

/// What they cost, in milliseconds of value_of().
double key_value_of(const plan::Program& program);

/// Bytes of the encoded weights in a server's memory.
std::uint64_t weight_bytes_of(const plan::Program& program);

/// What a program costs, in milliseconds: with its keys, which are uploaded once, read from memory at every inference and held for every client.
double value_of(const plan::Program& program);

}  // namespace brainlock::compiler
