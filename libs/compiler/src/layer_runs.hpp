// A program run in the clear for several inputs at once, one Linear after the other.
//
// Whoever looks at the layers one by one, as those do who measure what rounding does to each, needs the weights of one
// layer at a time in the form that calculates, and of every input no more than the registers that are still read.
#pragma once

#include <span>
#include <vector>

#include "brainlock/plan/program.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "fragment.hpp"

namespace brainlock::compiler {

class LayerRuns {
 public:
  /// `trace`, if given, is told of the first sample's run what SlotInterpreter::run() tells, as far as it has come; no
  /// coefficients. The program has no refreshes, must outlive this and is left alone meanwhile; its weights are taken
  /// out of it and put back within advance().
  LayerRuns(plan::Program& program, std::span<const std::vector<float>> samples, unsigned threads,
            plan::SlotTrace* trace = nullptr);

  /// Runs to the end of the next Linear. False: there is none left, and all is run. The same for any number of threads.
  bool advance();

  /// Index of that Linear among the instructions.
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t samples() const { return states_.size(); }
  /// What the registers hold that this Linear or anything behind it reads.
  [[nodiscard]] const RegisterValues& values(std::size_t sample) const { return states_[sample].values; }
  /// What the Linear made behind its masks, before its biases, by output register.
  [[nodiscard]] const std::map<plan::Register, std::vector<std::complex<double>>>& made(std::size_t sample) const {
    return states_[sample].made;
  }

 private:
  struct State {
    RegisterValues values;
    std::map<plan::Register, std::vector<std::complex<double>>> made;
  };
  void find_last_reads();
  void forget(State& state) const;
  void run(const Fragment& fragment, std::size_t sample, unsigned threads);

  plan::Program& program_;
  unsigned threads_;
  plan::SlotTrace* trace_;
  std::vector<std::size_t> last_read_;  // of each register: the instruction; 0: never
  std::vector<State> states_;
  std::size_t at_ = 0, next_ = 0;  // instructions
};

}  // namespace brainlock::compiler
