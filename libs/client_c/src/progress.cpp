#include <signal.h>

#include <condition_variable>
#include <exception>
#include <thread>

#include "objects.hpp"

namespace brainlock::client_c {
namespace {

/// Between two calls of a callback that nothing new is told: how long a cancel waits to be noticed.
constexpr std::chrono::milliseconds kPause(100);

/// Signals are the program's own threads' business: while it lives, none is delivered to threads that are started.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

/// What the worker tells and the caller's thread passes on.
struct Told {
  std::mutex mutex;
  std::condition_variable changed;
  std::int32_t phase = 0;
  std::uint64_t done = 0, total = 0;
  bool fresh = false, finished = false;
};

}  // namespace

Outcome with_progress(brainlock_progress progress, void* user,
                      const std::function<Outcome(const Report&, const std::stop_token&)>& work) {
  if (progress == nullptr) return work([](std::int32_t, std::uint64_t, std::uint64_t) {}, {});
  Told told;
  Outcome outcome;
  std::exception_ptr thrown;
  const Report report = [&](std::int32_t phase, std::uint64_t done, std::uint64_t total) {
    const std::lock_guard lock(told.mutex);
    told.phase = phase;
    told.done = done;
    told.total = total;
    told.fresh = true;
    told.changed.notify_one();
  };
  const auto run = [&](const std::stop_token& stop) {
    try {
      outcome = work(report, stop);
    } catch (...) {
      thrown = std::current_exception();
    }
    const std::lock_guard lock(told.mutex);
    told.finished = true;
    told.changed.notify_one();
  };
  std::jthread worker;
  {
    const SignalsHeld held;
    worker = std::jthread(run);
  }
  bool cancelled = false;
  for (bool finished = false; !finished;) {
    std::unique_lock lock(told.mutex);
    told.changed.wait_for(lock, kPause, [&] { return told.fresh || told.finished; });
    finished = told.finished;
    // After a pause without news the last state again, so that a callback can cancel a long wait; nothing more after it
    // did.
    if (cancelled || told.phase == 0 || (finished && !told.fresh)) continue;
    told.fresh = false;
    const auto phase = told.phase;
    const auto done = told.done, total = told.total;
    lock.unlock();
    if (progress(user, phase, done, total) != 0) {
      cancelled = true;
      worker.request_stop();
    }
  }
  worker.join();
  if (thrown) std::rethrow_exception(thrown);
  if (cancelled && !outcome.ok()) return {BRAINLOCK_CANCELLED, "cancelled by the progress callback"};
  return outcome;
}

}  // namespace brainlock::client_c
