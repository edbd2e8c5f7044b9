// A bucket of tokens for each name.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "brainlock/net/recent_table.hpp"

namespace brainlock::net {

/// Each name may do `burst` things at once and `per_s` a second in the long run. Buckets that are full again are forgotten, and the one
/// that was asked least recently when there are `most`: memory is bounded, and a call costs a search among `most`. Safe from many threads.
class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;
  RateLimiter(double per_s, double burst, std::size_t most = 10'000) : per_s_(per_s), burst_(burst), buckets_(most) {}

  /// Takes a token, if there is one.
  bool allow(const std::string& name, Clock::time_point now = Clock::now());
  [[nodiscard]] std::size_t size() const;

 private:
  struct Bucket {
    double tokens = 0;
    Clock::time_point at;   ///< when it had so many
  };
  /// What would be in it by now.
  [[nodiscard]] double tokens(const Bucket& bucket, Clock::time_point now) const;

  const double per_s_, burst_;
  mutable std::mutex mutex_;
  RecentTable<Bucket> buckets_;
};

}  // namespace brainlock::net
