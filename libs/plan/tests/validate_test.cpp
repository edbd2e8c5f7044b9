// Each rule of validate() has a smallest program that breaks it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "small_program.hpp"

namespace brainlock::plan {
namespace {

using test::small_program;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  const char* text;
  std::function<void(Program&)> damage;
  bool stale_keys = false;   // leave the key manifest as it was
};

Linear& linear(Program& p, std::size_t instruction) { return std::get<Linear>(p.instructions[instruction].op); }

/// Five for its first output, so that fans of two to four are possible.
void more_giants(Linear& linear) {
  Linear::Output& output = linear.outputs[0];
  output.giants = 5;
  output.weights.assign(output.columns.size() * output.giants, 0);
}

// Instructions of small_program(): 0 split, 1 linear, 2 square, 3 combine, 4 linear (sparse).
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"ring degree", [](Program& p) { p.parameters.ring_degree = 0; }},
      {"ring degree", [](Program& p) { p.parameters.ring_degree = 48; }},
      {"ring degree", [](Program& p) { p.parameters.ring_degree = 1U << 18; }},
      {"modulus chain", [](Program& p) { p.parameters.q.clear(); }},
      {"modulus chain", [](Program& p) { p.parameters.p.clear(); }},
      {"modulus chain", [](Program& p) { p.parameters.q.assign(65, 17); }},
      {"modulus chain", [](Program& p) { p.parameters.digit_limbs = 0; }},
      {"larger than the limits", [](Program& p) { p.register_count = (1U << 20) + 1; }},
      {"more registers than are written", [](Program& p) { p.register_count += 1; }},
      {"register out of range", [](Program& p) { p.register_count -= 1; }},
      {"fewer registers than inputs", [](Program& p) { p.register_count = 0; }},
      {"input: shape", [](Program& p) { p.input.channels = 0; }},
      {"input: shape", [](Program& p) { p.input.channels = p.input.height = p.input.width = 1U << 16; }},
      {"input: ciphertext count", [](Program& p) { p.input.ciphertexts = 4097; }},
      {"input: parts", [](Program& p) { p.input.parts = 3; }},
      {"input: scale", [](Program& p) { p.input.scale = 0; }},
      {"input: scale", [](Program& p) { p.input.scale = kInf; }},
      {"input: bound", [](Program& p) { p.input.bound = kNan; }},
      {"input: a place", [](Program& p) { p.input.places[0].index = 1000; }},
      {"input: a place", [](Program& p) { p.input.places[0].slot = p.parameters.ring_degree / 2; }},
      {"input: a place", [](Program& p) { p.input.places[0].ciphertext = 1; }},
      {"input: a place", [](Program& p) { p.input.places[0].part = 2; }},
      {"output: bound", [](Program& p) { p.output.bound = -1; }},
      {"input limbs", [](Program& p) { p.input.limbs = 5; }},
      {"input limbs", [](Program& p) { p.input.limbs = 0; }},
      {"output count", [](Program& p) { p.output_registers.clear(); }},
      {"does not hold the form expected", [](Program& p) { p.output_registers = {6}; }},
      {"another limb count", [](Program& p) { p.output.limbs = 1; }},
      {"error bound", [](Program& p) { p.error_bound = kNan; }},
      {"error estimate", [](Program& p) { p.error_estimate = kInf; }},
      {"key manifest", [](Program& p) { p.keys.pop_back(); }, true},
      {"key manifest", [](Program& p) { p.keys[0].limbs += 1; }, true},
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_in = 0; }},
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_out = 5; }},
      {"instruction 0: only a linear or a drop leaves fewer limbs", [](Program& p) { p.instructions[0].limbs_out = 3; }},
      {"instruction 1: scale", [](Program& p) { p.instructions[1].scale_out = kNan; }},
      {"instruction 0: one or two outputs", [](Program& p) { std::get<Split>(p.instructions[0].op).out = {1, 2, 8}; }},
      {"instruction 0: register 1 is written twice", [](Program& p) { std::get<Split>(p.instructions[0].op).out = {1, 1}; }},
      {"instruction 0: register 5 does not hold", [](Program& p) { std::get<Split>(p.instructions[0].op).in = 5; }},
      {"instruction 2: register out of range", [](Program& p) { std::get<Square>(p.instructions[2].op).in = 99; }},
      {"instruction 2: the square of a real part has one output", [](Program& p) { std::get<Square>(p.instructions[2].op).real_part = true; }},
      {"instruction 2: register 1 does not hold", [](Program& p) { std::get<Square>(p.instructions[2].op).in = 1; }},
      {"instruction 3: combine needs terms", [](Program& p) { std::get<Combine>(p.instructions[3].op).terms.clear(); }},
      {"instruction 3: rotation", [](Program& p) { std::get<Combine>(p.instructions[3].op).terms[0].rotation = std::numeric_limits<std::int32_t>::min(); }},
      {"instruction 1: linear needs", [](Program& p) { linear(p, 1).inputs.clear(); }},
      {"instruction 1: linear is larger", [](Program& p) { linear(p, 1).rotate_sums.assign(65, 1); }},
      {"instruction 1: column out", [](Program& p) { linear(p, 1).columns[0].input = 2; }},
      {"instruction 1: column out", [](Program& p) { linear(p, 1).columns[0].rotation = 1 << 20; }},
      {"instruction 4: rotation", [](Program& p) { linear(p, 4).rotate_sums[0] = 0; }},
      {"instruction 1: giant step", [](Program& p) { linear(p, 1).giant_step = -(1 << 20); }},
      {"instruction 1: giant fan", [](Program& p) { linear(p, 1).giant_fan = 1; }},
      {"instruction 1: giant fan", [](Program& p) { linear(p, 1).giant_fan = 2; }},   // no output has three giants
      {"instruction 1: giant fan", [](Program& p) { more_giants(linear(p, 1)), linear(p, 1).giant_fan = 5; }},
      {"instruction 1: giant fan", [](Program& p) { more_giants(linear(p, 1)), linear(p, 1).giant_fan = 0xffffffffU; }},
      {"instruction 1: giant fan", [](Program& p) { more_giants(linear(p, 1)), linear(p, 1).giant_fan = 2, linear(p, 1).giant_step = 0; }},
      {"instruction 4: giant fan", [](Program& p) { linear(p, 4).giant_fan = 2; }},
      {"instruction 1: a giant step's rounds turn too far", [](Program& p) {
         more_giants(linear(p, 1)), linear(p, 1).giant_fan = 2;
         linear(p, 1).giant_step = -static_cast<std::int32_t>(p.parameters.ring_degree) / 8;   // four times that is half of the ring
       }},
      {"instruction 1: weight scale", [](Program& p) { linear(p, 1).weight_scale = -1; }},
      {"instruction 1: value limit", [](Program& p) { linear(p, 1).limit = kInf; }},
      {"instruction 1: value limit", [](Program& p) { linear(p, 1).limit = -1; }},
      {"instruction 1: empty weight", [](Program& p) { linear(p, 1).vectors[0].values.clear(); }},
      {"instruction 1: weight vector length", [](Program& p) { linear(p, 1).vectors[0].values.pop_back(); }},
      {"instruction 1: weight vectors of one linear", [](Program& p) { linear(p, 1).period = 8; }},
      {"instruction 1: weight period", [](Program& p) { linear(p, 1).vectors[0].period = 3, linear(p, 1).vectors[0].values.pop_back(); }},
      {"instruction 1: a weight is not finite", [](Program& p) { linear(p, 1).vectors[0].values[0] = {std::numeric_limits<float>::infinity(), 0}; }},
      {"instruction 4: sparse weight", [](Program& p) { linear(p, 4).vectors[0].slots.pop_back(); }},
      {"instruction 4: weight slots", [](Program& p) { std::swap(linear(p, 4).vectors[0].slots[0], linear(p, 4).vectors[0].slots[1]); }},
      {"instruction 4: weight slots", [](Program& p) { linear(p, 4).vectors[0].slots.back() = p.parameters.ring_degree / 2; }},
      {"instruction 1: weight table", [](Program& p) { linear(p, 1).outputs[0].giants = 0; }},
      {"instruction 1: weight table", [](Program& p) { linear(p, 1).outputs[0].giants = 0x80000000U; }},
      {"instruction 1: weight table", [](Program& p) { linear(p, 1).outputs[0].weights.pop_back(); }},
      {"instruction 1: weight table", [](Program& p) {   // 2^32 products more than there are: where sizes have 32 bits, too
         p.parameters.ring_degree = 1 << 16;
         auto& output = linear(p, 1).outputs[0];
         output.giants = p.parameters.ring_degree / 2;
         output.columns.assign((std::uint64_t{1} << 32) / output.giants + 1, 0);
         output.weights.assign(output.giants, 0);
       }},
      {"instruction 1: column index", [](Program& p) { linear(p, 1).outputs[0].columns[0] = 3; }},
      {"instruction 1: weight index", [](Program& p) { linear(p, 1).outputs[0].weights[0] = 4; }},
      {"instruction 1: weight index", [](Program& p) { linear(p, 1).outputs[0].weights[0] = -2; }},
      {"instruction 1: an output has no weights", [](Program& p) { for (auto& w : linear(p, 1).outputs[0].weights) w = -1; }},
      {"instruction 1: weight vector length", [](Program& p) { linear(p, 1).outputs[0].bias.values.pop_back(); }},
      {"instruction 4: empty weight vector", [](Program& p) { linear(p, 4).outputs[0].bias.values.clear(); }},
      {"model or profile name", [](Program& p) { p.profile = "\n"; }},
      {"instruction 1: name", [](Program& p) { linear(p, 1).name = "\x1B[2J"; }},
  };
  return all;
}

TEST(Validate, SmallProgramIsGood) {
  const Status status = validate(small_program());
  EXPECT_TRUE(status.ok()) << status.error().to_string();
}

TEST(Validate, GiantFansBelowTheGiantsAreGood) {
  for (const std::uint32_t fan : {2U, 3U, 4U}) {
    Program program = small_program();
    more_giants(linear(program, 1));
    linear(program, 1).giant_fan = fan;
    linear(program, 1).giant_step = 4;
    program.keys = collect_keys(program);
    const Status status = validate(program);
    EXPECT_TRUE(status.ok()) << status.error().to_string();
  }
}

class BadProgram : public ::testing::TestWithParam<std::size_t> {};

TEST_P(BadProgram, IsRefusedByName) {
  const Case& c = cases()[GetParam()];
  Program program = small_program();
  c.damage(program);
  if (!c.stale_keys) program.keys = collect_keys(program);
  const Status status = validate(program);
  ASSERT_FALSE(status.ok()) << c.text;
  EXPECT_EQ(status.error().code, ErrorCode::kMalformed);
  EXPECT_THAT(status.error().message, HasSubstr(c.text));
}

struct BranchCase {
  const char* text;
  std::function<void(Program&)> damage;
};

// Instructions of branched_program(): as small_program(), then 5 drop, 6 linear (on the drop), 7 add.
TEST(Validate, BranchesAreGoodAndEachRuleOfThemIsNamed) {
  const Status good = validate(test::branched_program());
  EXPECT_TRUE(good.ok()) << good.error().to_string();
  const BranchCase bad[] = {
      {"instruction 5: register 3 does not hold", [](Program& p) { std::get<Drop>(p.instructions[5].op).in = 3; }},
      {"instruction 5: register 6 is written twice", [](Program& p) { std::get<Drop>(p.instructions[5].op).out = 6; }},
      {"instruction 5: register 1 is at another limb count", [](Program& p) { p.instructions[5].limbs_in = 3; }},
      {"instruction 5: limb counts", [](Program& p) { p.instructions[5].limbs_out = 5; }},
      {"instruction 5: limb counts", [](Program& p) { p.instructions[5].limbs_out = 0; }},
      {"instruction 5: a drop keeps its scale", [](Program& p) { p.instructions[5].scale_out *= 2; }},
      {"instruction 7: add needs two terms", [](Program& p) { std::get<Add>(p.instructions[7].op).terms.resize(1); }},
      {"instruction 7: add needs two terms", [](Program& p) { std::get<Add>(p.instructions[7].op).terms.assign((1U << 16) + 1, 7); }},
      {"instruction 7: register 8 does not hold", [](Program& p) { std::get<Add>(p.instructions[7].op).terms[0] = 8; }},
      {"instruction 7: register 3 is at another limb count", [](Program& p) { std::get<Add>(p.instructions[7].op).terms[0] = 3; }},
      {"instruction 7: register out of range", [](Program& p) { std::get<Add>(p.instructions[7].op).terms[0] = 99; }},
      {"instruction 7: register 7 is written twice", [](Program& p) { std::get<Add>(p.instructions[7].op).out = 7; }},
      {"instruction 7: only a linear or a drop", [](Program& p) { p.instructions[7].limbs_out = 1; }},
      {"instruction 7: a sum keeps its scale", [](Program& p) { p.instructions[7].scale_out *= 2; }},
      {"instruction 7: the terms of a sum are of different scales", [](Program& p) { p.instructions[6].scale_out *= 1 + 1e-8; }},
      {"instruction 7: the terms of a sum are of different scales", [](Program& p) { p.instructions[7].scale_in = p.instructions[7].scale_out *= 2; }},
  };
  for (const BranchCase& c : bad) {
    Program program = test::branched_program();
    c.damage(program);
    program.keys = collect_keys(program);
    const Status status = validate(program);
    ASSERT_FALSE(status.ok()) << c.text;
    EXPECT_EQ(status.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(status.error().message, HasSubstr(c.text));
  }
}

TEST(Validate, MasksAreGoodAndEachRuleOfThemIsNamed) {
  const Status good = validate(test::masked_program());
  EXPECT_TRUE(good.ok()) << good.error().to_string();
  const BranchCase bad[] = {
      {"instruction 1: a mask scale without masks", [](Program& p) { linear(p, 1).masks.clear(); }},
      {"instruction 1: masks and outputs differ in number", [](Program& p) { linear(p, 1).masks.resize(2); }},
      {"instruction 1: mask scale out of range", [](Program& p) { linear(p, 1).mask_scale = 0; }},
      {"instruction 1: mask scale out of range", [](Program& p) { linear(p, 1).mask_scale = kInf; }},
      {"instruction 1: empty weight vector", [](Program& p) { linear(p, 1).masks[0] = {}; }},
      {"instruction 1: weight vector length", [](Program& p) { linear(p, 1).masks[0].values.pop_back(); }},
      {"instruction 4: weight slots", [](Program& p) { linear(p, 4).masks[0].slots.back() = test::kSlots; }},
      {"instruction 4: a weight is not finite", [](Program& p) { linear(p, 4).masks[0].values[0] = {0, std::numeric_limits<float>::quiet_NaN()}; }},
  };
  for (const BranchCase& c : bad) {
    Program program = test::masked_program();
    c.damage(program);
    const Status status = validate(program);
    ASSERT_FALSE(status.ok()) << c.text;
    EXPECT_EQ(status.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(status.error().message, HasSubstr(c.text));
  }
}

// Instructions of raised_program(): 0 raise, 1 split, 2 linear, 3 square, 4 linear (sparse, with a mask).
TEST(Validate, RaisesAreGoodAndEachRuleOfThemIsNamed) {
  const Status good = validate(test::raised_program());
  EXPECT_TRUE(good.ok()) << good.error().to_string();
  const auto raise = [](Program& p) -> Raise& { return std::get<Raise>(p.instructions[0].op); };
  const BranchCase bad[] = {
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_in = 0; }},
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_out = 0; }},
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_out = 1; }},
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_out = 5; }},
      {"instruction 0: limb counts", [](Program& p) { p.instructions[0].limbs_out = 0xFFFFFFFFU; }},
      {"instruction 0: limb counts", [](Program& p) { p.input.limbs = p.instructions[0].limbs_in = 4; }},
      {"instruction 0: only one limb can be raised",
       [](Program& p) { p.input.limbs = p.instructions[0].limbs_in = 2; }},
      {"instruction 0: register 0 is at another limb count", [](Program& p) { p.input.limbs = 2; }},
      {"instruction 0: register 0 is at another limb count", [](Program& p) { p.instructions[0].limbs_in = 2; }},
      {"instruction 1: register 1 is at another limb count", [](Program& p) { p.instructions[0].limbs_out = 3; }},
      {"instruction 0: scale out of range", [](Program& p) { p.instructions[0].scale_in = 0; }},
      {"instruction 0: scale out of range", [](Program& p) { p.instructions[0].scale_out = kNan; }},
      {"instruction 0: register out of range", [&](Program& p) { raise(p).in = 99; }},
      {"instruction 0: register out of range", [&](Program& p) { raise(p).out = 99; }},
      {"instruction 0: register 2 does not hold", [&](Program& p) { raise(p).in = 2; }},
      {"instruction 0: register 0 is written twice", [&](Program& p) { raise(p).out = 0; }},
      {"instruction 0: coefficient limit", [&](Program& p) { raise(p).limit = -0.5; }},
      {"instruction 0: coefficient limit", [&](Program& p) { raise(p).limit = kInf; }},
      {"instruction 0: coefficient limit", [&](Program& p) { raise(p).limit = kNan; }},
      {"instruction 0: layer name", [](Program& p) { p.instructions[0].layer = "\t"; }},
      {"instruction 1: register 2 does not hold",  // lifted ones cannot be raised
       [](Program& p) {
         std::swap(p.instructions[0], p.instructions[1]);
         p.instructions[0].limbs_in = p.instructions[0].limbs_out = 1;
         p.instructions[0].op = Split{0, {2}};
         p.instructions[1].op = Raise{2, 1};
       }},
  };
  for (const BranchCase& c : bad) {
    Program program = test::raised_program();
    c.damage(program);
    program.keys = collect_keys(program);
    const Status status = validate(program);
    ASSERT_FALSE(status.ok()) << c.text;
    EXPECT_EQ(status.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(status.error().message, HasSubstr(c.text));
  }
}

TEST(Validate, ARaiseHasAnyScalesAndNeedsNoStatedLimit) {
  for (const double scale : {0x1p-40, 1.0, 0x1p100}) {
    Program p = test::raised_program();
    p.instructions[0].scale_in = scale;
    p.instructions[0].scale_out = 1 / scale;
    std::get<Raise>(p.instructions[0].op).limit = 0;
    const Status status = validate(p);
    EXPECT_TRUE(status.ok()) << status.error().to_string();
  }
}

TEST(Validate, LimbsGrowInARaiseAlone) {
  for (const Program& good : {test::branched_program(), test::masked_program(), test::raised_program()})
    for (std::size_t i = 0; i < good.instructions.size(); ++i) {
      if (std::holds_alternative<Raise>(good.instructions[i].op)) continue;
      Program p = good;
      p.instructions[i].limbs_in = 2;
      p.instructions[i].limbs_out = 3;
      const Status status = validate(p);
      ASSERT_FALSE(status.ok()) << i;
      EXPECT_THAT(status.error().message, HasSubstr("instruction " + std::to_string(i) + ": limb counts out of range"));
    }
}

TEST(Validate, RestsMatchTheirValues) {
  constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN(),
                  kTooLarge = std::numeric_limits<float>::infinity();
  const BranchCase bad[] = {
      {"instruction 2: the rest of a weight vector does not match its values",
       [](Program& p) { linear(p, 2).vectors[1].rest.pop_back(); }},
      {"instruction 2: the rest of a weight vector does not match its values",
       [](Program& p) { linear(p, 2).vectors[0].rest.resize(7); }},
      {"instruction 2: the rest of a weight vector does not match its values",
       [](Program& p) { linear(p, 2).outputs[0].bias.rest.resize(3); }},
      {"instruction 4: the rest of a weight vector does not match its values",
       [](Program& p) { linear(p, 4).vectors[0].rest.resize(32); }},
      {"instruction 4: the rest of a weight vector does not match its values",
       [](Program& p) { linear(p, 4).masks[0].rest.resize(1); }},
      {"instruction 2: the rest of a weight is not finite",
       [](Program& p) {
         linear(p, 2).vectors[3].rest[7] = {0, kNoNumber};
       }},
      {"instruction 4: the rest of a weight is not finite",
       [](Program& p) {
         linear(p, 4).masks[0].rest[0] = {kTooLarge, 0};
       }},
      {"instruction 4: the rest of a weight is not finite",
       [](Program& p) {
         linear(p, 4).outputs[0].bias.rest[2] = {-kTooLarge, 0};
       }},
      {"instruction 2: empty weight vector", [](Program& p) { linear(p, 2).outputs[0].bias.values.clear(); }},
      {"instruction 2: empty weight vector", [](Program& p) { linear(p, 2).vectors[1].values.clear(); }},
  };
  for (const BranchCase& c : bad) {
    Program program = test::raised_program();
    c.damage(program);
    const Status status = validate(program);
    ASSERT_FALSE(status.ok()) << c.text;
    EXPECT_EQ(status.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(status.error().message, HasSubstr(c.text));
  }
  Program zeros = test::raised_program();  // that the rest is nothing is no fault
  for (auto& value : linear(zeros, 2).vectors[1].rest) value = 0;
  EXPECT_TRUE(validate(zeros).ok());
}

INSTANTIATE_TEST_SUITE_P(Rules, BadProgram, ::testing::Range<std::size_t>(0, cases().size()));

}  // namespace
}  // namespace brainlock::plan
