// Running a program: its words, no shell, a limit of time, what it says up to a limit.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::update {

struct Finished {
  int status = 0;      ///< exit status; 128 + signal where one ended it
  std::string output;  ///< of both its streams, where it was asked for
};

enum class Output {
  kTake,     ///< into Finished, at most 1 MB; more ends the program
  kLetPass,  ///< both streams to this process's standard error: whatever the program starts and leaves running may go
             ///< on writing there
};

/// Runs words[0], which is looked for in PATH where it has no slash, with an empty input, in a process group of its
/// own, and waits for it; for programs that it left running it does not wait. At its limit the group is killed:
/// kTimeout. kNotFound, kDenied, kIo if it cannot be started; kTooLarge.
Result<Finished> run_program(const std::vector<std::string>& words, std::chrono::milliseconds limit, Output output);

}  // namespace brainlock::update
