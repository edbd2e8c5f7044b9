#include "brainlock/package/value_range.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"

namespace brainlock::package {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const Package> sample(double first_limit, double last_limit) {
  plan::Program p = test::sample_program();
  std::get<plan::Linear>(p.instructions[1].op).limit = first_limit;
  std::get<plan::Linear>(p.instructions[4].op).limit = last_limit;
  return *Package::from_bytes(encode_program(p), {});
}

const std::vector<float> kInput(test::kElements, 0.5F);

TEST(ValueRange, WithinItsLimits) {
  const ValueRange range = RangeChecker(sample(1e3, 1e3)).check(kInput);
  EXPECT_TRUE(range.inside());
  EXPECT_TRUE(range.status().ok());
  ASSERT_EQ(range.layers.size(), 2U);
  EXPECT_EQ(range.layers[0].layer, "first");
  EXPECT_EQ(range.layers[1].layer, "logits");
  EXPECT_GT(range.layers[0].largest, 0);
  EXPECT_GT(range.wrap, 0);
  EXPECT_LT(range.wrap, 1);
}

TEST(ValueRange, TheFirstAndTheLastLayerAreNamed) {
  const ValueRange free = RangeChecker(sample(0, 0)).check(kInput);
  EXPECT_TRUE(free.inside());
  EXPECT_EQ(free.worst(), nullptr);
  const double first = free.layers[0].largest, last = free.layers[1].largest;

  EXPECT_TRUE(RangeChecker(sample(first * 1.001, last * 1.001)).check(kInput).inside());
  ValueRange range = RangeChecker(sample(first * 0.99, last * 2)).check(kInput);
  EXPECT_FALSE(range.inside());
  EXPECT_EQ(range.status().error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(range.status().error().message, HasSubstr("layer first: a value of "));
  range = RangeChecker(sample(first * 2, last * 0.99)).check(kInput);
  EXPECT_THAT(range.status().error().message, HasSubstr("layer logits"));
  EXPECT_EQ(range.worst()->layer, "logits");
}

TEST(ValueRange, ARaiseHasALimitForCoefficients) {
  plan::Program p = test::raised_program();
  plan::SlotTrace trace;
  (void)plan::run_slots(p, kInput, &trace);
  const double largest = trace.largest_coefficient[0];
  for (const double limit : {0.0, largest * 1.001, largest * 0.99}) {
    std::get<plan::Raise>(p.instructions[0].op).limit = limit;
    const ValueRange range = RangeChecker(*Package::from_bytes(encode_program(p), {})).check(kInput);
    ASSERT_EQ(range.layers.size(), 3U);
    EXPECT_EQ(range.layers[0].layer, "refresh");
    EXPECT_EQ(range.layers[0].largest, largest);
    EXPECT_EQ(range.layers[0].limit, limit);
    EXPECT_EQ(range.layers[0].inside(), limit != largest * 0.99);
    if (limit == largest * 0.99) {
      EXPECT_THAT(range.status().error().message, HasSubstr("layer refresh: a value of "));
    }
  }
}

TEST(ValueRange, WithoutAModelTheSimulatorStandsIn) {
  const auto package = sample(1e3, 1e3);
  const auto simulator = Simulator::make(package, 2).value();
  const ValueRange range = RangeChecker(package, {simulator, {}}).check(kInput);
  EXPECT_EQ(range.clear, simulator->run_without_errors(kInput));
  EXPECT_GT(range.error, 0);
  EXPECT_TRUE(range.inside());
}

TEST(ValueRange, AnAnswerThatErrorsWouldSpoil) {
  const auto package = sample(1e3, 1e3);
  const auto simulator = Simulator::make(package, 2);
  ASSERT_TRUE(simulator.ok()) << simulator.error().to_string();
  EXPECT_EQ(RangeChecker(package).check(kInput).error, 0);
  const auto clear = [&](std::span<const float> input) { return plan::run_slots(package->program(), input); };
  ValueRange range = RangeChecker(package, {*simulator, clear}).check(kInput);
  EXPECT_GT(range.error, 0);
  EXPECT_EQ(range.error_bound, package->program().error_bound);

  range.error_bound = 2.001 * range.error;
  EXPECT_TRUE(range.exact() && range.inside());
  range.error_bound = 1.999 * range.error;
  EXPECT_FALSE(range.exact() || range.inside());
  EXPECT_FALSE(range.wraps());
  EXPECT_THAT(range.status().error().message, HasSubstr("makes much of the scheme's errors"));
  range.error = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(range.inside());
  range.error_bound = 0;   // none is promised
  EXPECT_TRUE(range.inside());
}

// Both branches of a sum are of the last layer.
TEST(ValueRange, OfASumThatIsTheAnswerOnlyTheOutputsCount) {
  const auto package = *Package::from_bytes(encode_program(test::branched_program()), {});
  plan::SlotTrace trace;
  const auto outputs = plan::run_slots(package->program(), kInput, &trace);
  double largest = 0;
  for (const double x : outputs) largest = std::max(largest, std::fabs(x));
  const auto layers = value_range(package->program(), trace, outputs).layers;
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(layers[1].largest, largest);
  EXPECT_EQ(layers[2].largest, largest);
  EXPECT_NE(trace.largest[7], largest);
}

TEST(ValueRange, OfTheLastLayerOnlyTheOutputsCount) {
  // Slots beside the outputs hold something too: the whole register may be larger than the outputs.
  const auto package = sample(0, 0);
  plan::SlotTrace trace;
  const auto outputs = plan::run_slots(package->program(), kInput, &trace);
  double largest = 0;
  for (const double x : outputs) largest = std::max(largest, std::fabs(x));
  EXPECT_EQ(value_range(package->program(), trace, outputs).layers[1].largest, largest);
}

TEST(ValueRange, AnAnswerThatWouldWrapAround) {
  plan::Program p = test::sample_program();
  const auto package = *Package::from_bytes(encode_program(p), {});
  plan::SlotTrace trace;
  auto outputs = plan::run_slots(p, kInput, &trace);
  const double half = 0.5 * p.parameters.q[0] * p.parameters.q[1] / p.output.scale;
  trace.mean_square[7] = half * half * 0.98;
  EXPECT_TRUE(value_range(p, trace, outputs).inside());
  EXPECT_FALSE(value_range(p, trace, outputs).wraps());
  trace.mean_square[7] = half * half * 1.02;
  const ValueRange range = value_range(p, trace, outputs);
  EXPECT_TRUE(range.wraps());
  EXPECT_NEAR(range.wrap, 1.01, 1e-3);
  EXPECT_THAT(range.status().error().message, HasSubstr("wrap around"));
}

TEST(ValueRange, NumbersThatAreNoneAreOutside) {
  const auto package = sample(10, 10);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    plan::SlotTrace trace;
    auto outputs = plan::run_slots(package->program(), kInput, &trace);
    trace.largest[3] = bad;
    EXPECT_FALSE(value_range(package->program(), trace, outputs).inside());
    EXPECT_FALSE(value_range(package->program(), trace, outputs).status().ok());
    trace.largest[3] = 1;
    outputs[0] = bad;
    EXPECT_FALSE(value_range(package->program(), trace, outputs).inside());
    trace.mean_square[7] = bad;
    EXPECT_FALSE(value_range(package->program(), trace, std::vector<double>(8)).inside());
    EXPECT_TRUE(value_range(package->program(), trace, std::vector<double>(8)).wraps());
  }
}

}  // namespace
}  // namespace brainlock::package
