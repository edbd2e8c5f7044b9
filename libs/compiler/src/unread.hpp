// How much of what a Linear reads lies in slots that it gives no weight.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// Weights that are written slot by slot (period N/2) have zeros where a map has no values. Rounded as polynomials they are no longer zero
/// there: a value in such a slot, made by the layers before of the borders of their maps, becomes an error of the result. See the registers of
/// one run (SlotTrace::lifted), then ask. The program must outlive this. Memory: a byte a slot for each register that such a Linear reads.
class UnreadEnergy {
 public:
  explicit UnreadEnergy(const plan::Program& program);
  void see(plan::Register r, std::span<const double> slots);
  /// Of the Linear at this index among the instructions: the part, from 0 to 1, of its columns' energy (sum of squares) that its weights
  /// leave out. 0 for weights that repeat, and before anything was seen.
  [[nodiscard]] double share(std::size_t linear) const;

 private:
  struct Reading {
    std::vector<char> read;   ///< by slot
    double columns = 0;       ///< that are made of the register
  };
  struct Energy {
    double all = 0, unread = 0;
  };
  std::map<std::pair<plan::Register, std::size_t>, Reading> readings_;   // of a register by a Linear
  std::map<std::size_t, Energy> energies_;
};

}  // namespace brainlock::compiler
