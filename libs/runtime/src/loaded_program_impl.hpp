// What the executor reads of a loaded program.
#pragma once

#include <memory>
#include <vector>

#include "brainlock/runtime/loaded_program.hpp"
#include "replays.hpp"

namespace brainlock::runtime {

/// Weights of a linear instruction in device memory. Several instructions may use the same (same_weights.hpp).
struct PreparedWeights {
  struct Output {
    device::Buffer periodic;                      ///< [limb][run][column][giant]; empty: full
    std::vector<std::vector<device::LinearCore::FullTerm>> full;
    device::Buffer mask;                          ///< lifted polynomial at limbs_in; empty: none
  };
  std::vector<Output> outputs;
  device::FullWeights full;                       ///< without words: weights are periodic
  std::uint32_t run_length = 0;
};

/// A linear instruction made ready.
struct PreparedLinear {
  struct Rotation {
    std::uint32_t galois_element = 1;             ///< 1: no rotation
    std::vector<device::LinearCore::Use> uses;
  };
  std::vector<Rotation> rotations;
  std::vector<bool> input_rotates;                ///< per input: digits needed
  std::shared_ptr<const PreparedWeights> weights;
  std::vector<device::Buffer> biases;             ///< per output: packed polynomial at limbs_out; empty: none
  std::vector<std::uint32_t> giant_elements;      ///< of each round of giant steps; 1: no rotation
  std::vector<std::uint32_t> sum_elements;
};

/// First instruction after which a register, or its digits, may be forgotten.
struct Lifetimes {
  std::vector<std::size_t> value, digits;         ///< index of the last instruction that reads it; SIZE_MAX: keep
};
Lifetimes find_lifetimes(const plan::Program& program);

struct LoadedProgram::Impl {
  std::shared_ptr<const Machine> machine;
  plan::Program program;
  std::vector<PreparedLinear> linear;             ///< by instruction; empty where it is no Linear
  Lifetimes lifetimes;
  std::size_t weight_bytes = 0;
  MemoryForecast forecast;
  std::unique_ptr<Replays> replays;               ///< null: the device takes no recordings. Last, so that it goes before what it uses
};

/// Encodes weights, masks and biases; not the first two where `weights` has them. `weight_bytes` grows by what was allocated.
Result<PreparedLinear> prepare_linear(const Machine& machine, const plan::Instruction& instruction, const plan::Linear& linear,
                                      std::shared_ptr<const PreparedWeights> weights, std::size_t& weight_bytes);

}  // namespace brainlock::runtime
