// A package run in the clear as its ciphertexts would run: weights rounded as they are encoded, and the scheme's errors
// drawn at random wherever encryption, key switching and rescaling make them. Foretells the precision of encrypted
// answers without keys, at the price of some runs in the clear.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

namespace brainlock::package {

/// Standard deviations of what the scheme adds, per real part of a slot, in units of the scaled message (divide by the scale).
/// Ring degree N, uniform ternary secret, errors of deviation 3.2; independent rounding errors of 1/2 at most.
///
/// Rounding errors of c1 are multiplied by the secret, slot by slot: under one key the part with 2 N / 3 is as large as the secret is there, whose square, over its
/// mean, is distributed as exp(-x). The formulas are the mean over keys.
struct SchemeNoise {
  explicit SchemeNoise(const plan::ParameterChoice& parameters);

  /// A fresh symmetric encryption, with the rounding of its message: sqrt(N / 2 (3.2^2 + 1/12)).
  double fresh = 0;
  /// A division with rounding of (c0, c1): sqrt(N / 2 (1 + 2 N / 3) / 12).
  double rescale = 0;
  /// The same of c1 alone, as when a lifted ciphertext is decomposed: sqrt(N / 2 (2 N / 3) / 12).
  double decompose = 0;
  /// One key switch at `limbs` limbs before its division by P, over P: digits d of D_d = product of their primes, uniform:
  /// sqrt(N / 2 * sum_d N D_d^2 / 12 * 3.2^2) / P.
  [[nodiscard]] double key_switch(std::uint32_t limbs) const;

 private:
  std::vector<double> key_switch_;   // by limbs
};

/// Immutable; safe from many threads.
class Simulator {
 public:
  /// Rounds all weights: two FFTs each, about a second of one core for a large network. kInvalidArgument: weights that cannot be encoded.
  static Result<std::shared_ptr<const Simulator>> make(std::shared_ptr<const Package> package, unsigned threads = 1);

  /// The outputs for one input; equal seeds give equal errors (and multiples behind a Raise), others those of another
  /// key. The size of `input` is the caller's promise. `trace` (may be null) sees the registers, errors included.
  std::vector<double> run(std::span<const float> input, std::uint64_t seed, plan::SlotTrace* trace = nullptr) const;
  /// The same with weights rounded and no error drawn, and behind a Raise always the same multiples: what honest answers
  /// scatter around. Off from the model by what rounding does, a part of the error bound.
  std::vector<double> run_without_errors(std::span<const float> input) const;

 private:
  explicit Simulator(std::shared_ptr<const Package> package) : package_(std::move(package)), noise_(package_->program().parameters) {}
  /// What the key switches of a Linear add to an output; its rescale adds to all of them alike.
  struct Switches {
    std::vector<float> columns;   ///< deviation before the rotate_sums, by slot modulo its size; empty: all slots alike, in `even`
    double each_sum = 0;          ///< of one of the rotate_sums
    double even = 0;              ///< of all, where little matters
    const plan::Linear* linear = nullptr;
    const plan::SlotVector* mask = nullptr;
  };
  /// `exact`: registers whose c1 is a multiple of P.
  [[nodiscard]] Switches switches(const plan::Instruction& instruction, const plan::Linear& linear, const plan::Linear::Output& output,
                                  const std::vector<bool>& exact) const;

  std::shared_ptr<const Package> package_;
  SchemeNoise noise_;
  plan::Program rounded_;
  std::vector<Switches> switches_;   // by register: of Linear outputs
  std::unique_ptr<const plan::SlotInterpreter> interpreter_;
};

}  // namespace brainlock::package
