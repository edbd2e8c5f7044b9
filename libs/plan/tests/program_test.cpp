// What can be said of a program without running it.
#include "brainlock/plan/program.hpp"

#include <gtest/gtest.h>

#include "brainlock/plan/op_name.hpp"
#include "small_program.hpp"

namespace brainlock::plan {
namespace {

using Complex = std::complex<double>;

TEST(SlotVector, ExpandsToOnePeriodWithItsZeros) {
  const SlotVector dense{2, {}, {{0.5F, 1}, {2, 0}}, {}};
  EXPECT_EQ(dense.expanded(), (std::vector<Complex>{{0.5, 1}, {2, 0}}));
  const SlotVector sparse{4, {1, 3}, {{1, 0}, {0, 1}}, {{0x1p-30F, 0}, {0, 0x1p-30F}}};
  EXPECT_EQ(sparse.expanded(), (std::vector<Complex>{0, {1 + 0x1p-30, 0}, 0, {0, 1 + 0x1p-30}}));
  EXPECT_TRUE(SlotVector().expanded().empty());
}

TEST(SlotVector, PreciseOnesHaveFortyEightBits) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<Complex> values;
  for (int i = 0; i < 64; ++i) values.emplace_back(std::exp2(i - 32.0) * uniform(random), 1.0 / (i + 3));
  const SlotVector v = SlotVector::precise(values);
  EXPECT_EQ(v.period, 64U);
  EXPECT_TRUE(v.dense());
  ASSERT_EQ(v.rest.size(), 64U);
  const auto got = v.expanded();
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(got[i].real(), values[i].real(), 0x1p-48 * std::fabs(values[i].real())) << i;
    EXPECT_NEAR(got[i].imag(), values[i].imag(), 0x1p-48 * values[i].imag()) << i;
  }
  EXPECT_TRUE(SlotVector::precise({}).values.empty());
}

TEST(Cost, OfARaiseIsTransforms) {
  const Program p = test::raised_program();
  const Cost cost = count_cost(p, p.instructions[0]);
  EXPECT_EQ(cost.ntts, 8U) << "two polynomials: one limb back, three forth";
  EXPECT_EQ(cost.key_switches + cost.hoisted_rotations + cost.plaintext_macs + cost.squarings + cost.weight_bytes, 0U);
  EXPECT_STREQ(op_name(p.instructions[0]), "raise");
}

// It needs the conjugate as the squares of both parts do, and one relinearisation less.
TEST(Cost, OfASquareOfARealPart) {
  Program p = test::small_program();
  const Cost both = count_cost(p, p.instructions[2]);
  p.instructions[2].op = Square{3, {4}, true};
  const Cost real = count_cost(p, p.instructions[2]);
  EXPECT_EQ(real.key_switches, 2U);
  EXPECT_EQ(both.key_switches, 3U);
  EXPECT_EQ(real.squarings, 1U);
  EXPECT_LT(real.ntts, both.ntts);
  std::get<Square>(p.instructions[2].op).real_part = false;
  EXPECT_EQ(count_cost(p, p.instructions[2]).key_switches, 1U);
}

TEST(Keys, OfInstructionsBehindARaiseAreAtTheirLimbs) {
  const Program p = test::raised_program();
  using Kind = KeyUse::Kind;
  const std::vector<KeyUse> expected{
      {Kind::kRotation, -2, 4}, {Kind::kRotation, 3, 4},    {Kind::kRotation, 4, 4},       {Kind::kRotation, 5, 3},
      {Kind::kRotation, 16, 3}, {Kind::kConjugation, 0, 3}, {Kind::kRelinearisation, 0, 3}};
  EXPECT_EQ(p.keys, expected);
}

}  // namespace
}  // namespace brainlock::plan
