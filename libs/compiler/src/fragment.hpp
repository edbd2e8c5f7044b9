// A few instructions of a program, run by themselves in the clear.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/plan/program.hpp"
#include "brainlock/plan/slot_interpreter.hpp"

namespace brainlock::compiler {

/// What registers of a program hold, slot by slot. What is lifted is real.
struct RegisterValues {
  std::map<plan::Register, std::vector<std::complex<double>>> packed;
  std::map<plan::Register, std::vector<double>> lifted;
};

/// Neighbouring instructions of a program without refreshes, made ready to run many times. They make what
/// plan::SlotInterpreter makes of them within their program, to the last bit. Safe from many threads. Memory: the
/// instructions and a copy of their weights.
class Fragment {
 public:
  /// `register_count`: of the program.
  Fragment(std::uint32_t ring_degree, std::uint32_t register_count, std::vector<plan::Instruction> instructions);

  /// Called in the order of the instructions, with registers of the program that these write; each may be empty.
  struct Watch {
    std::function<void(plan::Register, std::span<const std::complex<double>>)> packed;
    std::function<void(plan::Register, std::span<const double>)> lifted;
    /// Each output of a Linear behind its mask, before its bias.
    std::function<void(plan::Register, std::span<const std::complex<double>>)> made;
    /// Receives `largest` and `mean_square` of what the fragment writes, by registers of the program.
    plan::SlotTrace* statistics = nullptr;
  };
  /// `values` has all that is read and not written here.
  void run(const RegisterValues& values, const Watch& watch, unsigned threads) const;

  /// Exchanges the weights and masks of the last instruction, a Linear, with those of `linear`: when all is run, they
  /// go back to where they came from.
  void swap_weights(plan::Linear& linear);

 private:
  void add_instruction(plan::Instruction instruction);
  /// Where the fragment keeps a register of the program.
  [[nodiscard]] plan::Register own(plan::Register r) const { return r + carriers(); }
  /// The fragment's inputs, its first registers: what is read from outside.
  [[nodiscard]] std::uint32_t carriers() const { return static_cast<std::uint32_t>(packed_.size() + lifted_.size()); }

  std::vector<plan::Register> packed_, lifted_;  // of the program, that are read from outside
  std::unique_ptr<plan::Program> program_;       // the interpreter refers to it
  std::unique_ptr<plan::SlotInterpreter> interpreter_;
};

}  // namespace brainlock::compiler
