#include "brainlock/simulation/simulation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace brainlock::simulation {
namespace {

Options small() {
  Options options;
  options.miners = 128;
  options.validators = 9;
  options.tempos = 80;
  options.threads = 2;
  return options;
}

const Report& reference() {
  static const Report kReport = run(small()).value();
  return kReport;
}

double relative(const Report& report, MinerKind kind, double parameter) {
  for (const Comparison& point : compare_by_parameter(report, kind)) {
    if (point.parameter == parameter) return point.relative_income;
  }
  ADD_FAILURE() << "no such step";
  return -1.0;
}

double income(const Report& report, MinerKind kind) {
  double total = 0.0;
  for (const Miner& miner : report.miners) total += miner.kind == kind ? miner.income : 0.0;
  return total;
}

TEST(Simulation, FasterPaysByTheCube) {
  EXPECT_NEAR(reference().speed_exponent, 3.0, 0.1);
  double before = 1.0;
  for (const Miner& miner : reference().miners) {
    if (miner.kind != MinerKind::kHonest) continue;
    EXPECT_LT(miner.income, before * 1.1) << "a slower miner must not earn more than noise allows";
    before = miner.income;
  }
}

TEST(Simulation, CheatingPaysNothing) {
  EXPECT_EQ(income(reference(), MinerKind::kCheater), 0.0);
  EXPECT_LT(relative(reference(), MinerKind::kPartCheater, 0.10), 1.05);
  EXPECT_LT(relative(reference(), MinerKind::kPartCheater, 0.30), 0.05);
  EXPECT_LT(relative(reference(), MinerKind::kPartCheater, 0.50), 1e-6);
}

// The README's free 20 % leave a little room for dropping the slowest queries; beyond it the penalty takes everything.
TEST(Simulation, BestCaseSelectionGainsLittleAndThenLosesAll) {
  EXPECT_LT(relative(reference(), MinerKind::kSelector, 0.10), 1.2);
  EXPECT_LT(relative(reference(), MinerKind::kSelector, 0.25), 0.3);
  EXPECT_LT(relative(reference(), MinerKind::kSelector, 0.30), 0.05);
}

TEST(Simulation, TheSilentEarnNothingSoon) {
  EXPECT_GT(reference().tempos_to_zero, 0U);
  EXPECT_LE(reference().tempos_to_zero, 20U);  // 40 requests at two a tempo
  EXPECT_EQ(income(reference(), MinerKind::kDying) > 0.0, true) << "they were honest first";
}

TEST(Simulation, AColluderAndAnIdlerEarnNothingPerStake) {
  for (const Validator& validator : reference().validators) {
    const double per_stake = validator.income / validator.stake;
    if (validator.kind == ValidatorKind::kHonest) {
      EXPECT_NEAR(per_stake, 1.1, 0.15);
    } else if (validator.kind == ValidatorKind::kColluder) {
      EXPECT_LT(per_stake, 0.01);
    }
  }
}

TEST(Simulation, CheatsThatAreNeverFoundOutWouldWin) {
  Options blind = small();
  blind.tempos = 40;
  blind.detection = 0.0;
  const Report report = run(blind).value();
  EXPECT_GT(income(report, MinerKind::kCheater), 0.9) << "so the verdict, not the score, is what keeps miners honest";
}

TEST(Simulation, SharesAddUpAndThreadsDoNotMatter) {
  double miners = 0.0;
  double validators = 0.0;
  for (const Miner& miner : reference().miners) miners += miner.income;
  for (const Validator& validator : reference().validators) validators += validator.income;
  EXPECT_NEAR(miners, 1.0, 1e-9);
  EXPECT_NEAR(validators, 1.0, 1e-9);
  Options alone = small();
  alone.tempos = 10;
  alone.threads = 1;
  Options many = alone;
  many.threads = 5;
  EXPECT_EQ(participants_csv(run(alone).value()), participants_csv(run(many).value()));
  many.seed = 2;
  EXPECT_NE(participants_csv(run(alone).value()), participants_csv(run(many).value()));
}

TEST(Simulation, ReportsProgress) {
  Options options = small();
  options.tempos = 3;
  std::vector<std::size_t> seen;
  ASSERT_TRUE(run(options, [&](std::size_t done) { seen.push_back(done); }).ok());
  EXPECT_EQ(seen, (std::vector<std::size_t>{1, 2, 3}));
}

TEST(Simulation, RefusesImpossibleOptions) {
  const auto refused = [](auto change) {
    Options options = small();
    change(options);
    return run(options).error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](Options& o) { o.miners = 15; }));
  EXPECT_TRUE(refused([](Options& o) { o.miners = 60'001; }));
  EXPECT_TRUE(refused([](Options& o) { o.validators = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.tempos = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.queries_per_tempo = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.detection = 1.1; }));
  EXPECT_TRUE(refused([](Options& o) { o.rule.window_requests = 0; }));
}

TEST(Report, CsvHasARowForEveryoneAndEveryTempo) {
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  const std::string participants = participants_csv(reference());
  EXPECT_THAT(participants, testing::StartsWith("role,kind,parameter,median_s,spread,stake,income\nminer,honest,0,4,"));
  EXPECT_EQ(lines(participants), 1 + 128 + 9);
  std::istringstream rows(participants);
  for (std::string row; std::getline(rows, row);) EXPECT_EQ(std::count(row.begin(), row.end(), ','), 6) << row;
  const std::string tempos = tempos_csv(reference());
  EXPECT_THAT(tempos, testing::StartsWith("tempo,honest,selector,part_cheater,flaky,cheater,dying\n0,"));
  EXPECT_EQ(lines(tempos), 1 + 80);
}

TEST(Report, SvgIsWholeAndHoldsItsFourCharts) {
  const std::string svg = report_svg(reference());
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, testing::Not(testing::AnyOf(testing::HasSubstr("nan"), testing::HasSubstr("inf"))));
  for (const char* title : {"Does faster pay", "Income per miner", "dropping slow queries", "validators earn"}) {
    EXPECT_THAT(svg, testing::HasSubstr(title));
  }
  const auto count = [&](const std::string& what) {
    std::size_t found = 0;
    for (auto at = svg.find(what); at != std::string::npos; at = svg.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("<circle"), 48U + 3 * 8) << "one dot per honest miner and per compared step";
  EXPECT_EQ(count("<g"), count("</g>"));
  EXPECT_EQ(count("<text"), count("</text>"));
}

TEST(Report, TextAnswersTheQuestions) {
  const std::string text = report_text(reference());
  EXPECT_THAT(text, testing::HasSubstr("Does faster pay?"));
  EXPECT_THAT(text, testing::HasSubstr("cheaters earn 0.0 %"));
  EXPECT_THAT(text, testing::HasSubstr("honest 1."));
}

}  // namespace
}  // namespace brainlock::simulation
