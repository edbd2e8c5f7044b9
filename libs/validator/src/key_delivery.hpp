// Evaluation keys at miners: where they are, and their way there.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <vector>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/client/task_client.hpp"
#include "uplink.hpp"

namespace brainlock::validator {

struct DeliveryRules {
  std::int64_t part_timeout_ms = 0;      ///< for one part
  std::int64_t upload_timeout_ms = 0;    ///< for all parts of one upload
  unsigned uploads_an_hour = 0;          ///< of one key to one miner
  unsigned uploads_at_once = 1;          ///< to all miners, slow ones not counted
};

/// How it went. Not ok: why the miner has no key.
struct Readiness {
  client::Call call;
  bool first = false;   ///< it was sent the key just now, for the first time as far as we know
  /// Of the time that it took, what is not the miner's: that our own line was taken, and all of a first upload. A key that the miner lost
  /// is its own affair; whoever may deny it for nothing chooses when it is asked, and whether.
  std::chrono::steady_clock::duration excused{};
};

/// Safe from many threads, one at a time for each miner.
class KeyDelivery {
 public:
  KeyDelivery(const DeliveryRules& rules, client::WallClock clock) : rules_(rules), clock_(std::move(clock)), uplink_(std::max(1U, rules.uploads_at_once)) {}

  /// Sees to it that the miner has the key: asks it, and sends what is not there unless it is too early for that after earlier uploads. A
  /// miner that was tried in vain is not even dialled for a while.
  Readiness ensure(client::MinerConnection& connection, const client::TaskClient& task, const std::stop_token& stop);
  /// The miner says that it does not know the key.
  void lost(const protocol::AccountId& miner, const protocol::ContentId& key);
  void forget_miners(const std::function<bool(const protocol::AccountId&)>& gone);
  void forget_key(const protocol::ContentId& key);
  [[nodiscard]] Uplink& uplink() { return uplink_; }

 private:
  /// What is known of a miner and one of our keys.
  struct Place {
    bool there = false;                       ///< the miner said so
    bool was_there = false;                   ///< ever
    int failures = 0;                         ///< in a row, of uploads
    int misses = 0;                           ///< in a row, of attempts to ask the miner
    std::int64_t not_before_ms = 0;           ///< the next attempt
    std::vector<std::int64_t> restarts_ms;    ///< that broke off uploads within the last hour
    std::vector<std::int64_t> sent_ms;        ///< uploads of the last hour, and those that failed after most was sent
  };
  using Name = std::pair<protocol::AccountId, protocol::ContentId>;

  Readiness send(client::MinerConnection& connection, const client::TaskClient& task, const Name& name, const std::stop_token& stop);
  /// The next upload waits: the longer, the longer this one kept us.
  void postpone(Place& place, std::chrono::steady_clock::duration kept_us) const;
  /// The next attempt to ask it waits. That costs us little, and a miner that was down is not to wait for long when it is back.
  void missed(Place& place, bool somebody_else) const;
  /// A call that was not made.
  [[nodiscard]] client::Call too_early(std::string detail) const;

  const DeliveryRules rules_;
  const client::WallClock clock_;
  Uplink uplink_;
  std::mutex mutex_;
  std::map<Name, Place> places_;
};

}  // namespace brainlock::validator
