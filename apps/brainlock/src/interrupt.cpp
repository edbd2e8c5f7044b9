#include "interrupt.hpp"

#include <unistd.h>

#include <ctime>

#include "commands.hpp"

namespace brainlock::app {
namespace {

constexpr timespec kPatience{0, 50'000'000};

}  // namespace

Interrupt::Interrupt() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  watcher_ = std::jthread([this, signals](const std::stop_token& done) {
    while (!done.stop_requested()) {
      if (sigtimedwait(&signals, nullptr, &kPatience) <= 0) continue;
      if (source_.stop_requested()) ::_exit(kExitInterrupted);
      source_.request_stop();
    }
  });
}

Interrupt::~Interrupt() {
  watcher_ = {};
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

Status Interrupt::status() const {
  if (!source_.stop_requested()) return {};
  return {ErrorCode::kCancelled, "interrupted; nothing was written"};
}

}  // namespace brainlock::app
