// Questions whose bodies are still on their way: memory that nobody's line in the queue counts yet.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "brainlock/miner/fair_queue.hpp"

namespace brainlock::miner {

/// As many as the queue takes, of one asker and in all, and `first` more that go before others. Safe from many threads.
class Arrivals {
 public:
  Arrivals(const QueueLimits& limits, std::size_t first) : limits_(limits), most_first_(first) {}

  /// One question's, until it is destroyed. The arrivals outlive it.
  class Place {
   public:
    Place(Place&& other) noexcept : arrivals_(std::exchange(other.arrivals_, nullptr)), asker_(other.asker_), first_(other.first_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (arrivals_ != nullptr) arrivals_->leave(asker_, first_);
    }

   private:
    friend class Arrivals;
    Place(Arrivals* arrivals, const protocol::AccountId& asker, bool first) : arrivals_(arrivals), asker_(asker), first_(first) {}
    Arrivals* arrivals_;
    protocol::AccountId asker_;
    bool first_;
  };

  /// Nothing if there is no room.
  std::optional<Place> enter(const protocol::AccountId& asker, bool may_go_first) {
    const std::lock_guard lock(mutex_);
    if (may_go_first && first_ < most_first_) {
      ++first_;
      return Place(this, asker, true);
    }
    const auto held = of_.find(asker);
    if (all_ >= limits_.total || (held != of_.end() && held->second >= limits_.per_asker)) return std::nullopt;
    ++of_[asker];
    ++all_;
    return Place(this, asker, false);
  }

 private:
  void leave(const protocol::AccountId& asker, bool first) {
    const std::lock_guard lock(mutex_);
    if (first) {
      --first_;
      return;
    }
    const auto held = of_.find(asker);
    if (--held->second == 0) of_.erase(held);
    --all_;
  }

  const QueueLimits limits_;
  const std::size_t most_first_;
  std::mutex mutex_;
  std::map<protocol::AccountId, std::size_t> of_;
  std::size_t all_ = 0, first_ = 0;
};

}  // namespace brainlock::miner
