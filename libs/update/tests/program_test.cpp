#include "brainlock/update/program.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "samples.hpp"

namespace brainlock::update {
namespace {

using namespace std::chrono_literals;

TEST(RunProgram, WordsAreWordsAndNoShellReadsThem) {
  const auto finished = run_program({"printf", "%s|", "a b", "$HOME", "`id`", "; exit 3", ""}, 10s, Output::kTake);
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished.value().status, 0);
  EXPECT_EQ(finished.value().output, "a b|$HOME|`id`|; exit 3||");
}

TEST(RunProgram, HowItEnds) {
  EXPECT_EQ(run_program({"sh", "-c", "echo out; echo err >&2; exit 7"}, 10s, Output::kTake).value().status, 7);
  EXPECT_EQ(run_program({"sh", "-c", "echo out; echo err >&2"}, 10s, Output::kTake).value().output, "out\nerr\n");
  EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}, 10s, Output::kTake).value().status, 128 + SIGKILL);
  EXPECT_EQ(run_program({"cat"}, 10s, Output::kTake).value().output, "");  // its input is empty
  EXPECT_EQ(run_program({"true"}, 10s, Output::kLetPass).value().status, 0);
  EXPECT_EQ(run_program({"/no/such/program"}, 10s, Output::kTake).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run_program({}, 10s, Output::kTake).error().code, ErrorCode::kInvalidArgument);
  TemporaryFolder folder;
  put(folder.path / "text", "no program");
  EXPECT_EQ(run_program({(folder.path / "text").string()}, 10s, Output::kTake).error().code, ErrorCode::kDenied);
}

TEST(RunProgram, Limits) {
  const auto begun = std::chrono::steady_clock::now();
  TemporaryFolder folder;
  const std::string pid_file = folder.path / "pid";
  // What it started dies with it.
  const auto late = run_program({"sh", "-c", "sleep 1000 & echo $! >" + pid_file + "; wait"}, 300ms, Output::kTake);
  EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
  const pid_t child = std::stoi(get(pid_file));
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    gone = ::kill(child, 0) != 0 || get("/proc/" + std::to_string(child) + "/stat").find(") Z ") != std::string::npos;
    if (!gone) ::usleep(10'000);
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(run_program({"yes"}, 10s, Output::kTake).error().code, ErrorCode::kTooLarge);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

TEST(RunProgram, ForWhatItLeavesRunningItDoesNotWait) {
  const auto begun = std::chrono::steady_clock::now();
  const auto finished = run_program({"sh", "-c", "sleep 20 & echo $!"}, 15s, Output::kTake);
  ASSERT_TRUE(finished.ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
  const pid_t child = std::stoi(finished.value().output);
  EXPECT_EQ(::kill(child, 0), 0);
  ::kill(child, SIGKILL);
}

}  // namespace
}  // namespace brainlock::update
