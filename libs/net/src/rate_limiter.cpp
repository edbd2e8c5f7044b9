#include "brainlock/net/rate_limiter.hpp"

#include <algorithm>

namespace brainlock::net {

double RateLimiter::tokens(const Bucket& bucket, Clock::time_point now) const {
  return std::min(burst_, bucket.tokens + per_s_ * std::chrono::duration<double>(now - bucket.at).count());
}

bool RateLimiter::allow(const std::string& name, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  // Two at most: nobody pays for all that a flood has left, and the table shrinks all the same.
  for (int i = 0; i < 2 && buckets_.size() > 0 && tokens(*buckets_.oldest(), now) >= burst_; ++i) buckets_.drop_oldest();
  Bucket& bucket = buckets_.touch(name, {burst_, now});
  bucket = {tokens(bucket, now), now};
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

std::size_t RateLimiter::size() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

}  // namespace brainlock::net
