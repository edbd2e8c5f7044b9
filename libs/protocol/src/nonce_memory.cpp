#include "brainlock/protocol/nonce_memory.hpp"

namespace brainlock::protocol {

NonceVerdict NonceMemory::remember(const AccountId& sender, const std::string& uuid, std::int64_t expires_ms,
                                   std::int64_t now_ms, bool ordinary) {
  const std::lock_guard lock(mutex_);
  // A nonce whose time is exactly over is still inside the window that check_head allows: forget strictly older ones.
  while (!by_expiry_.empty() && by_expiry_.begin()->first < now_ms) {
    const auto& [key, was_ordinary] = by_expiry_.begin()->second;
    const auto held = held_.find(key.first);
    if (--held->second == 0) held_.erase(held);
    if (was_ordinary) --ordinary_;
    seen_.erase(key);
    by_expiry_.erase(by_expiry_.begin());
  }
  Key key{sender, uuid};
  if (seen_.contains(key)) return NonceVerdict::kReplayed;
  const auto held = held_.find(sender);
  if (seen_.size() >= capacity_ || (held != held_.end() && held->second >= per_sender_) || (ordinary && ordinary_ >= capacity_ / 2)) return NonceVerdict::kFull;
  ++held_[sender];
  if (ordinary) ++ordinary_;
  by_expiry_.emplace(expires_ms, Entry{key, ordinary});
  seen_.insert(std::move(key));
  return NonceVerdict::kFresh;
}

std::size_t NonceMemory::size() const {
  const std::lock_guard lock(mutex_);
  return seen_.size();
}

}  // namespace brainlock::protocol
