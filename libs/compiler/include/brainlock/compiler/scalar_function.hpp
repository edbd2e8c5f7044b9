// A real function of one variable, as a few steps of arithmetic: what stands in a model where a polynomial has to come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace brainlock::compiler {

/// ONNX's elementwise operators of one number, with their parameters p and q, and those of two.
enum class ScalarOp : std::uint8_t {
  kConstant,        ///< p
  kNeg, kAbs, kExp, kLog, kSqrt, kReciprocal, kErf, kSigmoid, kTanh, kSin, kCos, kSoftplus, kSoftsign, kHardSwish, kMish,
  kGelu,            ///< by the error function
  kGeluTanh,        ///< by tanh
  kLeakyRelu,       ///< p: slope below zero (0: a plain ReLU)
  kThresholdedRelu, ///< p: threshold
  kElu,             ///< p (exp(x) - 1) below zero
  kSelu,            ///< p: alpha, q: gamma
  kCelu,            ///< p (exp(x / p) - 1) below zero
  kHardSigmoid,     ///< p x + q within 0 and 1
  kClip,            ///< within p and q
  kAdd, kSub, kMul, kDiv, kMax, kMin, kPow,
};

/// How many operands a step has: 0, 1 or 2.
int operand_count(ScalarOp op);

/// f(x) as a straight line of steps. Register 0 is x, step k makes register k + 1, the last register is f(x). A plain value; safe from many threads.
class ScalarFunction {
 public:
  struct Step {
    ScalarOp op = ScalarOp::kConstant;
    int a = 0, b = 0;        ///< registers
    double p = 0, q = 0;
    friend bool operator==(const Step&, const Step&) = default;
  };

  /// The most steps of one function; a longer chain of operators is cut into several.
  static constexpr std::size_t kMaxSteps = 64;

  /// x itself.
  ScalarFunction() = default;
  static ScalarFunction constant(double value);

  /// op(f) and op(f, g). Steps that f and g share at their beginning stay shared.
  [[nodiscard]] ScalarFunction then(ScalarOp op, double p = 0, double q = 0) const;
  [[nodiscard]] ScalarFunction with(ScalarOp op, const ScalarFunction& other) const;

  /// f(x); not finite where f is not defined.
  [[nodiscard]] double operator()(double x) const;
  [[nodiscard]] std::size_t size() const { return steps_.size(); }
  /// Made of sums, differences and products alone, of quotients by constants and of whole powers of a degree that stays below 256.
  [[nodiscard]] bool is_polynomial() const;

  friend bool operator==(const ScalarFunction&, const ScalarFunction&) = default;

 private:
  std::vector<Step> steps_;
};

}  // namespace brainlock::compiler
