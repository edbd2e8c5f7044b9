// Runs tests on the machine. Each begins on one of its own, whatever the test does with it later, and must leave
// nothing on it and nothing against CUDA's rules. What takes long is left to BRAINLOCK_SLOW_TESTS=1.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "machine/machine.hpp"

namespace brainlock::device_cuda::machine {
namespace {

double executed = 0;

/// Operations on rings of 2^15 and 2^16, of 2^12 with its twelve digits, and linear layers from 2^13 on or with long
/// digits; the longest of the recordings.
bool is_long(const std::string& name) {
  const auto has = [&](const char* what) { return name.find(what) != std::string::npos; };
  if (has("EqualPlainRunsForTwoSetsOfKeysInTurn")) return true;
  const bool twelve_digits = has("2To12") && !has("LiftAdd") && !has("Multiply") && !has("ModDown");
  const bool long_digits = has("Digits") && (has("LinearCore") || (has("Digits12") && has("Switch")));
  return has("BackendOperations") && (has("2To15") || has("2To16") || twelve_digits || long_digits ||
                                      ((has("2To13") || has("2To14")) && has("LinearCore")));
}

/// BRAINLOCK_MACHINE=8.0 or 8.0:7: the compute capability of the machine that a test begins with, and its seed.
MachineOptions usual_machine() {
  MachineOptions options;
  if (const char* const kind = std::getenv("BRAINLOCK_MACHINE")) {
    std::sscanf(kind, "%d.%d:%u", &options.major, &options.minor, &options.seed);
  }
  return options;
}

class NothingLeft : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    if (std::getenv("BRAINLOCK_SLOW_TESTS") == nullptr &&
        is_long(std::string(test.test_suite_name()) + "." + test.name()))
      GTEST_SKIP() << "BRAINLOCK_SLOW_TESTS=1 runs it";
    set_machine(usual_machine());
    take_findings();
  }
  void OnTestEnd(const ::testing::TestInfo&) override {
    for (const std::string& finding : take_findings()) ADD_FAILURE() << finding;
    executed += static_cast<double>(instructions());
    for (const std::string& left : leftovers()) ADD_FAILURE() << "not given back: " << left;
  }
};

}  // namespace

double all_instructions() { return executed; }

}  // namespace brainlock::device_cuda::machine

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  // The machine's time says nothing, and trials are long; tests that want them say so.
  setenv("BRAINLOCK_CUDA_TRANSFORM", "two-pass", 0);
  setenv("BRAINLOCK_CUDA_LAUNCHES", "plain", 0);
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  auto* const printer = listeners.Release(listeners.default_result_printer());
  listeners.Append(
      new brainlock::device_cuda::machine::NothingLeft);  // before the printer, which then says what was left
  listeners.Append(printer);
  const auto begin = std::chrono::steady_clock::now();
  const int result = RUN_ALL_TESTS();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%.3g instructions of threads, %.3g a second of all that was run\n",
              brainlock::device_cuda::machine::all_instructions(),
              brainlock::device_cuda::machine::all_instructions() / seconds);
  return result;
}
