#include "brainlock/doctor/check.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace brainlock::doctor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

std::vector<std::string> levels(const std::vector<Report>& reports) {
  std::vector<std::string> out;
  for (const auto& report : reports) out.emplace_back(std::string(report.name) + " " + std::string(level_name(report.finding.level)));
  return out;
}

TEST(RunChecks, ReportsComeInOrderHoweverChecksEnd) {
  const auto gate = std::make_shared<std::promise<void>>();
  std::vector<std::string> told;
  const auto reports = run_checks({{"first", [gate] { gate->get_future().wait(); return ok("1"); }}, {"second", [gate] { gate->set_value(); return warning("2", "look"); }}},
                                  [&](const Report& report) { told.push_back(report.name); });
  EXPECT_THAT(levels(reports), ElementsAre("first ok", "second warn"));
  EXPECT_THAT(told, ElementsAre("first", "second"));
  EXPECT_FALSE(any_failure(reports));
}

TEST(RunChecks, WhatNeedsAFailedCheckIsSkippedAndSoIsWhatNeedsThat) {
  const auto never = [] { ADD_FAILURE() << "was run"; return ok(""); };
  const auto reports = run_checks({{"chain", [] { return failure("no answer", "another endpoint"); }}, {"registration", never, {"chain"}}, {"permit", never, {"registration"}},
                                   {"clock", [] { return ok("right"); }, {}, {"chain"}}});
  EXPECT_THAT(levels(reports), ElementsAre("chain fail", "registration skip", "permit skip", "clock ok"));
  EXPECT_THAT(reports[1].finding.found, HasSubstr("'chain'"));
  EXPECT_TRUE(any_failure(reports));
}

TEST(RunChecks, ACheckThatWarnsIsGoodEnoughForOthers) {
  const auto reports = run_checks({{"disk", [] { return warning("little room", "make some"); }}, {"database", [] { return ok("sound"); }, {"disk"}}});
  EXPECT_THAT(levels(reports), ElementsAre("disk warn", "database ok"));
}

TEST(RunChecks, OneThatComesAfterSeesWhatWasLearnt) {
  const auto shared = std::make_shared<int>(0);
  const auto reports = run_checks({{"later", [shared] { return ok(std::to_string(*shared)); }, {"first"}},
                                   {"first", [shared] {
                                      Finding finding = ok("1");
                                      finding.learn = [shared] { *shared = 7; };
                                      return finding;
                                    }}});
  EXPECT_EQ(reports[0].finding.found, "7");
}

TEST(RunChecks, NobodyWaitsForACheckThatHangs) {
  const auto release = std::make_shared<std::promise<void>>();
  const auto learnt = std::make_shared<std::atomic<bool>>(false);
  Check hangs{"hangs", [release, learnt] {
                release->get_future().wait();
                Finding finding = ok("too late");
                finding.learn = [learnt] { *learnt = true; };
                return finding;
              }};
  hangs.limit = 50ms;
  hangs.late = warning("slow", "wait");
  const auto begun = std::chrono::steady_clock::now();
  const auto reports = run_checks({hangs, {"quick", [] { return ok(""); }}, {"after", [learnt] { return ok(*learnt ? "learnt" : "not"); }, {}, {"hangs"}}});
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  EXPECT_THAT(levels(reports), ElementsAre("hangs warn", "quick ok", "after ok"));
  EXPECT_THAT(reports[0].finding.found, HasSubstr("not done after 1 s"));
  EXPECT_EQ(reports[2].finding.found, "not");
  EXPECT_TRUE(still_running());
  release->set_value();
  while (still_running()) std::this_thread::yield();
  EXPECT_FALSE(*learnt);
}

TEST(RunChecks, AnExceptionIsAFailedCheck) {
  const auto reports = run_checks({{"throws", []() -> Finding { throw std::bad_alloc(); }}});
  EXPECT_THAT(levels(reports), ElementsAre("throws fail"));
  EXPECT_FALSE(reports[0].finding.next.empty());
}

TEST(RunChecks, TextsStayOneLine) {
  const auto reports = run_checks({{"odd", [] { return failure("two\nlines\x1b[31m", "go\ton"); }}});
  EXPECT_EQ(reports[0].finding.found, "two lines [31m");
  EXPECT_EQ(reports[0].finding.next, "go on");
}

}  // namespace
}  // namespace brainlock::doctor
