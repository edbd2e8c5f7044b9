// Functions of one number: each operator by its definition, and what is made of several.
#include "brainlock/compiler/scalar_function.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

namespace brainlock::compiler {
namespace {

using F = ScalarFunction;
using Op = ScalarOp;

struct Definition {
  Op op;
  double p, q;
  std::function<double(double)> f;
};

// As the operators' pages of ONNX define them.
std::vector<Definition> definitions() {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto softplus = [](double x) { return std::log(1 + std::exp(x)); };
  return {
      {Op::kNeg, 0, 0, [](double x) { return -x; }},
      {Op::kAbs, 0, 0, [](double x) { return x < 0 ? -x : x; }},
      {Op::kExp, 0, 0, [](double x) { return std::exp(x); }},
      {Op::kLog, 0, 0, [](double x) { return std::log(x); }},
      {Op::kSqrt, 0, 0, [](double x) { return std::sqrt(x); }},
      {Op::kReciprocal, 0, 0, [](double x) { return 1 / x; }},
      {Op::kErf, 0, 0, [](double x) { return std::erf(x); }},
      {Op::kSigmoid, 0, 0, sigmoid},
      {Op::kTanh, 0, 0, [](double x) { return (std::exp(x) - std::exp(-x)) / (std::exp(x) + std::exp(-x)); }},
      {Op::kSin, 0, 0, [](double x) { return std::sin(x); }},
      {Op::kCos, 0, 0, [](double x) { return std::cos(x); }},
      {Op::kSoftplus, 0, 0, softplus},
      {Op::kSoftsign, 0, 0, [](double x) { return x / (1 + std::fabs(x)); }},
      {Op::kHardSwish, 0, 0, [](double x) { return x <= -3 ? 0 : x >= 3 ? x : x * (x + 3) / 6; }},
      {Op::kMish, 0, 0, [=](double x) { return x * std::tanh(softplus(x)); }},
      {Op::kGelu, 0, 0, [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }},
      {Op::kGeluTanh, 0, 0, [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * std::pow(x, 3)))); }},
      {Op::kLeakyRelu, 0.1, 0, [](double x) { return x < 0 ? 0.1 * x : x; }},
      {Op::kThresholdedRelu, 0.7, 0, [](double x) { return x > 0.7 ? x : 0; }},
      {Op::kElu, 1.3, 0, [](double x) { return x < 0 ? 1.3 * (std::exp(x) - 1) : x; }},
      {Op::kSelu, 1.6, 1.05, [](double x) { return 1.05 * (x > 0 ? x : 1.6 * std::exp(x) - 1.6); }},
      {Op::kCelu, 0.8, 0, [](double x) { return std::fmax(0, x) + std::fmin(0, 0.8 * (std::exp(x / 0.8) - 1)); }},
      {Op::kHardSigmoid, 0.2, 0.5, [](double x) { return std::fmax(0, std::fmin(1, 0.2 * x + 0.5)); }},
      {Op::kClip, -1, 2, [](double x) { return x < -1 ? -1 : x > 2 ? 2 : x; }},
  };
}

TEST(ScalarFunction, OperatorsAreTheirDefinitions) {
  for (const Definition& d : definitions()) {
    const F f = F().then(d.op, d.p, d.q);
    const bool positive = d.op == Op::kLog || d.op == Op::kSqrt || d.op == Op::kReciprocal;
    for (int i = positive ? 1 : -60; i <= 60; ++i) {
      const double x = i / 10.0 + 0.03;
      ASSERT_NEAR(f(x), d.f(x), 1e-9 * (1 + std::fabs(d.f(x)))) << static_cast<int>(d.op) << " at " << x;
    }
    EXPECT_EQ(f.is_polynomial(), d.op == Op::kNeg);
  }
}

TEST(ScalarFunction, ValuesFarOutStayFinite) {
  for (const Op op : {Op::kSigmoid, Op::kSoftplus, Op::kMish, Op::kGelu, Op::kTanh})
    for (const double x : {-1e4, 1e4}) EXPECT_TRUE(std::isfinite(F().then(op)(x))) << static_cast<int>(op);
}

TEST(ScalarFunction, OfTwoSharesWhatBothBeginWith) {
  const F root = F().then(Op::kTanh);                            // 1 step
  const F left = root.then(Op::kExp), right = root.then(Op::kNeg).then(Op::kAbs);
  const F f = left.with(Op::kSub, right);
  EXPECT_EQ(f.size(), 1U + 1U + 2U + 1U);
  for (double x = -2; x < 2; x += 0.37) EXPECT_NEAR(f(x), std::exp(std::tanh(x)) - std::fabs(std::tanh(x)), 1e-12);
  const F square = left.with(Op::kMul, left);
  EXPECT_EQ(square.size(), left.size() + 1);
  EXPECT_NEAR(square(0.3), std::exp(2 * std::tanh(0.3)), 1e-12);
}

TEST(ScalarFunction, TwoOperandsInTheirOrder) {
  const F x, two = F::constant(2);
  EXPECT_EQ(x.with(Op::kSub, two)(5), 3);
  EXPECT_EQ(two.with(Op::kSub, x)(5), -3);
  EXPECT_EQ(two.with(Op::kPow, x)(5), 32);
  EXPECT_EQ(x.with(Op::kPow, two)(5), 25);
  EXPECT_EQ(two.with(Op::kDiv, x)(5), 0.4);
  EXPECT_EQ(x.with(Op::kMax, two)(1), 2);
  EXPECT_EQ(x.with(Op::kMin, two)(1), 1);
}

TEST(ScalarFunction, KnowsPolynomials) {
  const F x, two = F::constant(2);
  EXPECT_TRUE(F().is_polynomial());
  EXPECT_TRUE(x.with(Op::kMul, x).with(Op::kSub, two).is_polynomial());
  EXPECT_TRUE(x.with(Op::kDiv, two).is_polynomial());
  EXPECT_TRUE(x.with(Op::kPow, F::constant(3)).is_polynomial());
  EXPECT_TRUE(x.with(Op::kMul, two.then(Op::kSqrt)).is_polynomial());   // a constant may be anything
  EXPECT_FALSE(two.with(Op::kDiv, x).is_polynomial());
  EXPECT_FALSE(x.with(Op::kPow, F::constant(0.5)).is_polynomial());
  EXPECT_FALSE(x.with(Op::kPow, F::constant(-1)).is_polynomial());
  EXPECT_FALSE(two.with(Op::kPow, x).is_polynomial());
  EXPECT_FALSE(x.with(Op::kMul, x.then(Op::kSigmoid)).is_polynomial());
  F high = x;
  for (int k = 0; k < 8; ++k) high = high.with(Op::kMul, high);   // x^256
  EXPECT_FALSE(high.is_polynomial());
}

}  // namespace
}  // namespace brainlock::compiler
