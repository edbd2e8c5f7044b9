// The work behind the page: one thread that gets ready, and then answers one question at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "brainlock/client_page/inference.hpp"

namespace brainlock::client_page {

/// One question and what came of it.
struct Asked {
  std::uint64_t id = 0;
  std::vector<std::uint8_t> input;     ///< as the page sent it
  std::optional<Error> error;
  Answer answer;                       ///< without an error
};

struct DeskState {
  Phase phase = Phase::kMakingKeys;
  std::uint64_t done = 0, total = 0;
  double phase_s = 0;                  ///< since it began
  std::string error;                   ///< of kFailed
  std::uint64_t asking = 0;            ///< id of the question in work; 0: none
  std::vector<std::uint64_t> asked;    ///< those that are kept, oldest first
};

/// Safe from many threads.
class Desk {
 public:
  /// After a failure it gets ready again by itself: the first time after `retry_after`, then twice as long after each (an hour at most), so that a miner
  /// that never takes the keys is not sent them day and night.
  explicit Desk(std::unique_ptr<Inference> inference, std::chrono::milliseconds retry_after = std::chrono::seconds(15));
  /// Stops what goes on and waits for it.
  ~Desk();

  /// Its id. kUnavailable: not ready, or another question is in work.
  Result<std::uint64_t> ask(std::vector<std::uint8_t> input);
  /// After a failure: gets ready again now, not in a while.
  void retry();
  [[nodiscard]] DeskState state() const;
  [[nodiscard]] std::optional<Asked> asked(std::uint64_t id) const;

 private:
  void work(const std::stop_token& stop);
  void report(Phase phase, std::uint64_t done, std::uint64_t total);
  /// kFailed until retry(), or for a while that doubles.
  void fail(const std::stop_token& stop, const Error& error);

  const std::unique_ptr<Inference> inference_;
  const std::chrono::milliseconds retry_after_;
  std::chrono::milliseconds pause_;    ///< after the next failure; the worker's
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  DeskState state_;
  std::chrono::steady_clock::time_point phase_began_ = std::chrono::steady_clock::now();
  std::optional<Asked> question_;      ///< in work, or about to be
  std::deque<Asked> kept_;
  std::uint64_t next_id_ = 1;
  bool retry_ = false;
  std::jthread worker_;                ///< the last: it uses all of these
};

}  // namespace brainlock::client_page
