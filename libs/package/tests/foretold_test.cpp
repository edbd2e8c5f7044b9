#include "brainlock/package/foretold.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "brainlock/package/program_codec.hpp"
#include "sample_program.hpp"

namespace brainlock::package {
namespace {

TEST(Foretold, TheRatioIsOfTheRmsDifferenceFromTheMean) {
  const Foretold foretold{{}, {1, 2, 3, 4}, 0.5};
  EXPECT_EQ(foretold.ratio(std::vector<double>{1, 2, 3, 4}), 0);
  EXPECT_DOUBLE_EQ(foretold.ratio(std::vector<double>{2, 2, 3, 4}), 1);
  EXPECT_DOUBLE_EQ(foretold.ratio(std::vector<double>{2, 1, 4, 5}), 2);
}

TEST(Foretold, WhatIsNoAnswerIsInfinitelyFar) {
  const Foretold foretold{{}, {1, 2}, 0.5};
  EXPECT_EQ(foretold.ratio(std::vector<double>{1}), HUGE_VAL);
  EXPECT_EQ(foretold.ratio(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()}), HUGE_VAL);
  EXPECT_EQ(foretold.ratio(std::vector<double>{1, HUGE_VAL}), HUGE_VAL);
  // No errors at all: only the very answer is honest.
  EXPECT_EQ((Foretold{{}, {1}, 0}).ratio(std::vector<double>{1}), 0);
  EXPECT_EQ((Foretold{{}, {1}, 0}).ratio(std::vector<double>{2}), HUGE_VAL);
}

struct Foretelling : testing::Test {
  const std::shared_ptr<const Package> package = *Package::from_bytes(encode_program(test::sample_program()), {});
  const std::shared_ptr<const Simulator> simulator = *Simulator::make(package);
  const std::vector<float> input = std::vector<float>(test::kElements, 0.5F);
};

TEST_F(Foretelling, TheDeviationIsThatOfManyRuns) {
  // Without a prior, and with so many runs that their own scatter is small.
  const Foretold much = foretell(*simulator, 0, input, 4000);
  ASSERT_EQ(much.runs.size(), 4000U);
  double squares = 0, mean = 0;
  for (const auto& run : much.runs) mean += run[0] / 4000, squares += std::pow(run[0] - much.mean[0], 2) / 4000;
  EXPECT_NEAR(much.mean[0], mean, 1e-12);
  if (much.mean.size() == 1) {
    EXPECT_NEAR(much.deviation, std::sqrt(squares), 1e-3 * much.deviation);
  }
  // Others of the same kind are at 1, in the mean of squares.
  double ratios = 0;
  for (std::uint64_t seed = 10'001; seed <= 12'000; ++seed) ratios += std::pow(much.ratio(simulator->run(input, seed)), 2) / 2000;
  EXPECT_NEAR(ratios, 1, 0.2);
}

TEST_F(Foretelling, TheEstimateWeighsAsMuchAsOneRun) {
  const Foretold alone = foretell(*simulator, 0.25, input, 1);
  EXPECT_EQ(alone.mean, simulator->run(input, 1));
  EXPECT_DOUBLE_EQ(alone.deviation, 0.25 * std::sqrt(2));   // nothing else is known, and the mean is one run
  const Foretold three = foretell(*simulator, 0, input, 3), prior = foretell(*simulator, 0.25, input, 3);
  const auto runs = static_cast<double>(three.runs.size());
  EXPECT_NEAR(std::pow(prior.deviation, 2) - std::pow(three.deviation, 2), 0.25 * 0.25 / runs * (runs + 1) / runs, 1e-12);
  EXPECT_EQ(foretell(*simulator, 0.25, input, 0).runs.size(), 1U);
}

TEST_F(Foretelling, TheMoreOutputsErrTogetherTheMoreRuns) {
  for (const unsigned least : {2U, 6U, 12U, 40U}) {
    const Foretold foretold = foretell(*simulator, 0, input, least);
    EXPECT_GE(foretold.runs.size(), least);
    EXPECT_GE(foretold.runs.size(), foretelling_draws(foretold.independent_outputs));
    EXPECT_LE(foretold.runs.size(), std::max(25U, least));
  }
  // What few runs show of the independent outputs is right in the mean, whatever their number; so is what many show, by other sums.
  const double many = foretell(*simulator, 0, input, 2000).independent_outputs;
  EXPECT_GE(many, 1);
  EXPECT_LE(many, static_cast<double>(foretell(*simulator, 0, input, 1).mean.size()));
  EXPECT_NEAR(foretell(*simulator, 0, input, 40).independent_outputs, many, 0.25 * many);
  EXPECT_EQ(foretelling_draws(1), 25U);
  EXPECT_EQ(foretelling_draws(2), 13U);
  EXPECT_EQ(foretelling_draws(5), 6U);
  EXPECT_EQ(foretelling_draws(1000), 6U);
}

}  // namespace
}  // namespace brainlock::package
