// Which requests were seen: a captured one is good for nothing.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "brainlock/protocol/signer.hpp"

namespace brainlock::protocol {

enum class NonceVerdict { kFresh, kReplayed, kFull };

/// Remembers (sender, uuid) until the timestamp that they were signed with is out of the window. Bounded: it refuses
/// rather than forgets. One sender may hold a fraction of it only, and those to whom an account costs nothing a half among them, so that nobody fills it for the others. In memory: what a
/// restart forgets is fenced off as a whole (the miner's replay fence). Safe from many threads.
class NonceMemory {
 public:
  explicit NonceMemory(std::size_t capacity = 100'000, std::size_t per_sender = 10'000)
      : capacity_(capacity), per_sender_(per_sender) {}

  /// `ordinary`: the sender's account costs nothing.
  NonceVerdict remember(const AccountId& sender, const std::string& uuid, std::int64_t expires_ms, std::int64_t now_ms, bool ordinary = false);
  [[nodiscard]] std::size_t size() const;

 private:
  using Key = std::pair<AccountId, std::string>;
  struct Entry {
    Key key;
    bool ordinary;
  };
  std::size_t capacity_, per_sender_;
  mutable std::mutex mutex_;
  std::set<Key> seen_;
  std::multimap<std::int64_t, Entry> by_expiry_;
  std::map<AccountId, std::size_t> held_;
  std::size_t ordinary_ = 0;   ///< of all
};

}  // namespace brainlock::protocol
