// Ctrl-C for commands that write files: work stops at the next step, what was begun is taken away, and the exit code says so.
#pragma once

#include <signal.h>

#include <stop_token>
#include <thread>

#include "brainlock/base/result.hpp"

namespace brainlock::app {

/// While it lives, SIGINT and SIGTERM do not end the process but request a stop; the second one ends it at once. Make it
/// before any other thread is started. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }
  /// kCancelled after a signal.
  [[nodiscard]] Status status() const;

 private:
  std::stop_source source_;
  sigset_t before_{};
  std::jthread watcher_;
};

}  // namespace brainlock::app
