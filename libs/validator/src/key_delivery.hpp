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

/// Safe from many threads, one at a time for each miner. By a clock that nobody sets: one that was set back by a day would let a miner wait for a day.
class KeyDelivery {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;
  explicit KeyDelivery(const DeliveryRules& rules, std::function<Time()> now = std::chrono::steady_clock::now)
      : rules_(rules), now_(std::move(now)), uplink_(std::max(1U, rules.uploads_at_once)) {}

  /// Sees to it that the miner has the key: asks it, and sends what is not there unless it is too early for that after earlier uploads. A
  /// miner that was tried in vain is not even dialled for a while: such a call has no times.
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
    Time not_before{};                        ///< the next attempt
    std::vector<Time> restarts;               ///< that broke off uploads within the last hour
    std::vector<Time> sent;                   ///< uploads of the last hour, and those that failed after most was sent
  };
  using Name = std::pair<protocol::AccountId, protocol::ContentId>;

  Readiness send(client::MinerConnection& connection, const client::TaskClient& task, const Name& name, const std::stop_token& stop);
  /// The next upload waits: the longer, the longer this one kept us.
  void postpone(Place& place, Duration kept_us) const;
  /// The next attempt to ask it waits. That costs us little, and a miner that was down is not to wait for long when it is back.
  void missed(Place& place, bool somebody_else) const;
  /// A call that was not made.
  [[nodiscard]] static client::Call too_early(std::string detail);

  const DeliveryRules rules_;
  const std::function<Time()> now_;
  Uplink uplink_;
  std::mutex mutex_;
  std::map<Name, Place> places_;
};

}  // namespace brainlock::validator
