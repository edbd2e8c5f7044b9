#include "brainlock/compiler/scalar_function.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace brainlock::compiler {
namespace {

constexpr int kMostDegree = 255;

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

double evaluate(const ScalarFunction::Step& step, double x, double y) {
  const double p = step.p, q = step.q;
  switch (step.op) {
    case ScalarOp::kConstant: return p;
    case ScalarOp::kNeg: return -x;
    case ScalarOp::kAbs: return std::fabs(x);
    case ScalarOp::kExp: return std::exp(x);
    case ScalarOp::kLog: return std::log(x);
    case ScalarOp::kSqrt: return std::sqrt(x);
    case ScalarOp::kReciprocal: return 1 / x;
    case ScalarOp::kErf: return std::erf(x);
    case ScalarOp::kSigmoid: return 1 / (1 + std::exp(-x));
    case ScalarOp::kTanh: return std::tanh(x);
    case ScalarOp::kSin: return std::sin(x);
    case ScalarOp::kCos: return std::cos(x);
    case ScalarOp::kSoftplus: return softplus(x);
    case ScalarOp::kSoftsign: return x / (1 + std::fabs(x));
    case ScalarOp::kHardSwish: return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
    case ScalarOp::kMish: return x * std::tanh(softplus(x));
    case ScalarOp::kGelu: return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case ScalarOp::kGeluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case ScalarOp::kLeakyRelu: return x < 0 ? p * x : x;
    case ScalarOp::kThresholdedRelu: return x > p ? x : 0;
    case ScalarOp::kElu: return x < 0 ? p * std::expm1(x) : x;
    case ScalarOp::kSelu: return q * (x <= 0 ? p * std::expm1(x) : x);
    case ScalarOp::kCelu: return x < 0 ? p * std::expm1(x / p) : x;
    case ScalarOp::kHardSigmoid: return std::min(std::max(p * x + q, 0.0), 1.0);
    case ScalarOp::kClip: return std::min(std::max(x, p), q);
    case ScalarOp::kAdd: return x + y;
    case ScalarOp::kSub: return x - y;
    case ScalarOp::kMul: return x * y;
    case ScalarOp::kDiv: return x / y;
    case ScalarOp::kMax: return std::max(x, y);
    case ScalarOp::kMin: return std::min(x, y);
    case ScalarOp::kPow: return std::pow(x, y);
  }
  return 0;
}

}  // namespace

int operand_count(ScalarOp op) {
  if (op == ScalarOp::kConstant) return 0;
  return op >= ScalarOp::kAdd ? 2 : 1;
}

ScalarFunction ScalarFunction::constant(double value) {
  ScalarFunction f;
  f.steps_.push_back({ScalarOp::kConstant, 0, 0, value, 0});
  return f;
}

ScalarFunction ScalarFunction::then(ScalarOp op, double p, double q) const {
  ScalarFunction f = *this;
  f.steps_.push_back({op, static_cast<int>(steps_.size()), 0, p, q});
  return f;
}

ScalarFunction ScalarFunction::with(ScalarOp op, const ScalarFunction& other) const {
  ScalarFunction f = *this;
  const std::size_t shared = static_cast<std::size_t>(
      std::mismatch(steps_.begin(), steps_.end(), other.steps_.begin(), other.steps_.end()).first - steps_.begin());
  // Where a register of `other` went.
  const auto moved = [&](int r) { return static_cast<std::size_t>(r) <= shared ? r : r - static_cast<int>(shared) + static_cast<int>(steps_.size()); };
  for (std::size_t k = shared; k < other.steps_.size(); ++k) {
    Step step = other.steps_[k];
    step.a = moved(step.a);
    step.b = moved(step.b);
    f.steps_.push_back(step);
  }
  f.steps_.push_back({op, static_cast<int>(steps_.size()), moved(static_cast<int>(other.steps_.size())), 0, 0});
  return f;
}

double ScalarFunction::operator()(double x) const {
  std::array<double, kMaxSteps + 1> fixed;
  std::vector<double> more;
  double* registers = fixed.data();
  if (steps_.size() > kMaxSteps) {
    more.resize(steps_.size() + 1);
    registers = more.data();
  }
  registers[0] = x;
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    const Step& step = steps_[k];
    registers[k + 1] = evaluate(step, registers[step.a], registers[step.b]);
  }
  return registers[steps_.size()];
}

bool ScalarFunction::is_polynomial() const {
  struct Register {
    int degree = 1;   // 0: a constant
    double value = 0;
  };
  std::vector<Register> registers{{}};
  for (const Step& step : steps_) {
    const Register a = registers[static_cast<std::size_t>(step.a)], b = registers[static_cast<std::size_t>(step.b)];
    Register made;
    switch (step.op) {
      case ScalarOp::kConstant: made = {0, step.p}; break;
      case ScalarOp::kNeg: made = {a.degree, -a.value}; break;
      case ScalarOp::kAdd:
      case ScalarOp::kSub: made = {std::max(a.degree, b.degree), evaluate(step, a.value, b.value)}; break;
      case ScalarOp::kMul: made = {a.degree + b.degree, a.value * b.value}; break;
      case ScalarOp::kDiv:
        if (b.degree > 0) return false;
        made = {a.degree, a.value / b.value};
        break;
      case ScalarOp::kPow:
        if (b.degree > 0 || b.value < 1 || b.value != std::floor(b.value) || b.value * std::max(a.degree, 1) > kMostDegree) return false;
        made = {a.degree * static_cast<int>(b.value), std::pow(a.value, b.value)};
        break;
      default:
        if (a.degree > 0) return false;
        made = {0, evaluate(step, a.value, b.value)};
    }
    if (made.degree > kMostDegree) return false;
    registers.push_back(made);
  }
  return true;
}

}  // namespace brainlock::compiler
