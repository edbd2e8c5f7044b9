// Puts questions to miners, those of a batch at the same moment, and lets nobody wait for the slow ones.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "key_delivery.hpp"
#include "question.hpp"

namespace brainlock::validator {

struct AskerOptions {
  std::int64_t request_timeout_ms = 0;
  std::int64_t patience_ms = 0;             ///< that a batch is waited for, for readiness and for answers each
  std::int64_t keep_alive_ms = 4'000;       ///< between words to a miner that waits for the others of its batch: servers close silent connections
  bool tls = true;
  bool allow_private_addresses = false;
  DeliveryRules delivery;
};

/// A question has a thread of its own from its start to its end, however long the miner takes. One thread uses an Asker.
class Asker {
 public:
  using Questions = std::vector<std::unique_ptr<Question>>;
  Asker(protocol::Signer self, client::WallClock clock, const AskerOptions& options);
  /// stop().
  ~Asker();

  /// Asks the batch: all miners get ready, which takes the connection and the key, and those that are ready are sent their questions at
  /// once, so that hotkeys that share a machine share it in this, too. Returns when all questions have ended or patience has; the others
  /// go on. A miner that is ready too late is not asked: a failure, but where the key is on its way to it for the first time.
  void ask(Questions batch, const std::stop_token& stop);
  /// Begins questions that nobody waits for: sent at once when all are ready or 2 s have passed, and to later ones as they come.
  void ask_aside(Questions questions);
  /// Questions that have ended.
  Questions finished();
  /// Waits until none is under way.
  void wait(const std::stop_token& stop);
  /// Breaks off and drops whatever is under way.
  void stop();

  [[nodiscard]] bool busy_with(const ledger::AccountId& miner) const;
  [[nodiscard]] std::size_t under_way(Seat seat) const;
  [[nodiscard]] KeyDelivery& keys() { return keys_; }

 private:
  /// Where the miners of a batch wait for each other.
  struct Line {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::size_t not_ready = 0, not_ended = 0;
    enum Phase { kGathering, kAsking, kOver, kCalledOff } phase = kGathering;
    std::chrono::steady_clock::time_point asking_since;   ///< for those aside: at the latest
    bool aside = false;   ///< nobody is late
  };
  struct Running {
    std::unique_ptr<Question> question;
    std::atomic<bool> ended{false};
    std::jthread thread;   // last: it uses the others
  };

  void begin(std::unique_ptr<Question> question, const std::shared_ptr<Line>& line);
  void put(Question& question, Line& line);
  /// Until the question may be sent, if the phase says so; `late_s`: how much later than those of the others that is, by the miner's doing.
  Line::Phase wait_for_others(const client::TaskClient& task, client::MinerConnection& connection, Line& line, double& late_s, const std::stop_token& stop) const;

  const protocol::Signer self_;
  const client::WallClock clock_;
  const AskerOptions options_;
  KeyDelivery keys_;
  std::stop_source breaking_off_;
  std::mutex mutex_;
  std::condition_variable_any one_ended_;
  std::list<Running> running_;
};

}  // namespace brainlock::validator
