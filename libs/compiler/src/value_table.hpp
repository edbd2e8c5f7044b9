// Registers of a program in the making: what stages hold, and what is read of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"
#include "layout.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// Appends instructions of one layer after the other, and numbers registers.
struct Emitter {
  plan::Program& program;
  std::string layer;
  plan::Register next = 0;

  plan::Register fresh() { return next++; }
  template <typename Op>
  void emit(Op op) {
    plan::Instruction instruction;
    instruction.op = std::move(op);
    instruction.layer = layer;
    program.instructions.push_back(std::move(instruction));
  }
};

/// A tensor in lifted registers: register of (ciphertext, part) and the factor its values carry
/// (Split yields 2u, 2v; Square yields 4u^2, -4v^2).
struct LiftedTensor {
  std::optional<GridLayout> grid;
  std::optional<VectorLayout> vector;
  std::vector<plan::Register> registers;   ///< [ciphertext * parts + part]
  double factor[2] = {1, 1};               ///< a slot holds value * factor[part]
  [[nodiscard]] int parts() const { return grid ? grid->parts : vector->parts; }
  [[nodiscard]] plan::Register reg(int ciphertext, int part) const {
    return registers[static_cast<std::size_t>(ciphertext * parts() + part)];
  }
};

/// What a stage holds: packed registers, one a ciphertext.
struct PackedTensor {
  std::optional<GridLayout> grid;
  std::optional<VectorLayout> vector;
  std::vector<plan::Register> registers;
  [[nodiscard]] int parts() const { return grid ? grid->parts : vector->parts; }
};

/// The values of the stages so far, their squares and their split parts, each made once.
class ValueTable {
 public:
  ValueTable(const StagePlan& plan, Emitter& out) : plan_(plan), out_(out) {}

  /// The image: packed registers 0.. of the given layout.
  void set_image(PackedTensor image);
  /// The value of the next stage in order; squares and splits it where the plan's stages read that.
  void push(PackedTensor value);
  [[nodiscard]] const PackedTensor& operator[](int stage) const { return values_[static_cast<std::size_t>(stage)]; }
  /// What the stage reads; at registers of its own, with Drops in between, if it is carried. kUnsupported if the squares
  /// that it sums up lie in different places.
  Result<LiftedTensor> read(const Stage& stage);
  /// The sum of two values. kUnsupported if they lie in different places.
  Result<PackedTensor> sum(const PackedTensor& a, const PackedTensor& b);

 private:
  template <typename Op>
  LiftedTensor lift(const PackedTensor& value);
  Result<LiftedTensor> sum_squares(const std::vector<int>& reads);

  const StagePlan& plan_;
  Emitter& out_;
  LiftedTensor image_;
  std::vector<PackedTensor> values_;
  std::map<int, LiftedTensor> squares_, plain_;     // as Square and Split make them
  std::map<std::vector<int>, LiftedTensor> sums_;   // of signed squares
};

}  // namespace brainlock::compiler
