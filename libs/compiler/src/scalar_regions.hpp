// Elementwise operators of one tensor, gathered into functions of one number.
//
//   x -> Sigmoid -> Mul(x, .)      becomes      x -> [x sigmoid(x)]
//
// One polynomial for all of them loses less, and costs fewer levels, than one for each.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "onnx_model.hpp"

namespace brainlock::compiler {

/// Which tensors of a model depend on its inputs, and the numbers that others of one element hold.
class TensorKinds {
 public:
  explicit TensorKinds(const OnnxModel& model);
  [[nodiscard]] bool depends_on_input(const std::string& tensor) const { return dependent_.contains(tensor); }
  /// Of a constant of one element and at most one dimension (`any_rank`: of any), which broadcasts to whatever it meets.
  [[nodiscard]] std::optional<double> number(const std::string& tensor, bool any_rank = false) const;

 private:
  struct Number {
    double value = 0;
    std::size_t rank = 0;
  };
  std::unordered_set<std::string> dependent_;
  std::unordered_map<std::string, Number> numbers_;
};

/// The model with every largest group of elementwise operators that is a function of one tensor, and no polynomial of it, as one node of the
/// operator kScalarOp. Named after its last operator. Operators that nothing reads any longer are gone. Thread safe; linear in the nodes but for the
/// length of chains of elementwise operators, which is bounded.
OnnxModel gather_scalar_functions(OnnxModel model);

}  // namespace brainlock::compiler
