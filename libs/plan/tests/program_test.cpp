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

Linear giants(std::vector<std::uint32_t> counts, std::uint32_t fan) {
  Linear out;
  out.giant_step = 16;
  out.giant_fan = fan;
  for (const std::uint32_t count : counts) out.outputs.push_back({0, {}, count, {}, {}});
  return out;
}

TEST(Giants, ARoundOfAllOrRoundsOfAFan) {
  using Rotations = std::vector<std::int64_t>;
  EXPECT_EQ(giant_rotations(giants({1, 1}, 0)), Rotations{});
  EXPECT_EQ(giant_rotations(giants({1, 7}, 0)), Rotations{16});
  EXPECT_EQ(giant_rotations(giants({1, 7}, 2)), (Rotations{16, 32, 64})) << "7 sums, then 4, then 2";
  EXPECT_EQ(giant_rotations(giants({8, 3}, 2)), (Rotations{16, 32, 64}));
  EXPECT_EQ(giant_rotations(giants({9}, 2)), (Rotations{16, 32, 64, 128}));
  EXPECT_EQ(giant_rotations(giants({16}, 4)), (Rotations{16, 64}));
  EXPECT_EQ(giant_rotations(giants({17}, 4)), (Rotations{16, 64, 256}));
  Linear back = giants({5}, 3);
  back.giant_step = -7;
  EXPECT_EQ(giant_rotations(back), (Rotations{-7, -21}));
}

TEST(Giants, ThoseThatWaitForOneAnother) {
  EXPECT_EQ(giant_depth(giants({1}, 0)), 0U);
  EXPECT_EQ(giant_depth(giants({3, 16}, 0)), 15U);
  EXPECT_EQ(giant_depth(giants({3, 16}, 2)), 4U);
  EXPECT_EQ(giant_depth(giants({17}, 2)), 5U);
  EXPECT_EQ(giant_depth(giants({16}, 4)), 6U);
  EXPECT_EQ(giant_depth(giants({6}, 4)), 4U) << "three, then one";
}

// As many switches whatever the fan, each round with its key.
TEST(Giants, TheFanChangesKeysAndNoCost) {
  Program p = test::small_program();
  auto& linear = std::get<Linear>(p.instructions[1].op);
  auto& output = linear.outputs[0];
  output.giants = 5;
  output.weights.assign(output.columns.size() * output.giants, 0);
  p.keys = collect_keys(p);
  const Cost horner = count_cost(p, p.instructions[1]);
  const std::vector<KeyUse> before = p.keys;
  linear.giant_fan = 2;
  p.keys = collect_keys(p);
  EXPECT_TRUE(validate(p).ok()) << validate(p).error().to_string();
  const Cost pairs = count_cost(p, p.instructions[1]);
  EXPECT_EQ(pairs.key_switches, horner.key_switches);
  EXPECT_EQ(pairs.ntts, horner.ntts);
  std::vector<KeyUse> expected = before;   // 4 was there, 16 too, for a later layer at 3 limbs
  for (KeyUse& key : expected)
    if (key.kind == KeyUse::Kind::kRotation && key.rotation == 16) key.limbs = 4;
  const auto eight = std::find_if(expected.begin(), expected.end(), [](const KeyUse& key) { return key.rotation == 8; });
  ASSERT_NE(eight, expected.end());
  eight->limbs = 4;
  EXPECT_EQ(p.keys, expected);
}

}  // namespace
}  // namespace brainlock::plan
