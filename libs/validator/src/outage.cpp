#include "outage.hpp"

#include <algorithm>

namespace brainlock::validator {

namespace {

constexpr std::chrono::hours kKept{1};   // longer than any question takes
constexpr std::chrono::milliseconds kApart{100};

}  // namespace

void OutageWatch::heard(Time at) {
  const auto place = std::upper_bound(words_.begin(), words_.end(), at);
  if (place != words_.begin() && at < *std::prev(place) + kApart) return;
  words_.insert(place, at);
  forget(at - kKept);
}

void OutageWatch::looked(Time at, std::optional<std::uint64_t> block, Duration block_interval) {
  still_ = std::max<Duration>(kStill, 5 * block_interval);
  if (!block) failures_.push_back(at);
  else if (!blocks_.empty() && blocks_.back().number == *block) blocks_.back().last = at;
  else blocks_.push_back({at, at, *block});
  forget(at - kKept);
}

void OutageWatch::forget(Time before) {
  while (!words_.empty() && words_.front() < before) words_.pop_front();
  while (!failures_.empty() && failures_.front() < before) failures_.pop_front();
  while (!blocks_.empty() && blocks_.front().last < before) blocks_.pop_front();
}

bool OutageWatch::heard_between(Time after, Time until) const {
  const auto first = std::upper_bound(words_.begin(), words_.end(), after);
  return first != words_.end() && *first <= until;
}

OutageWatch::Verdict OutageWatch::judge(Time begun, Time ended, std::optional<Time> last_word) const {
  const Time silent_since = last_word.value_or(begun);
  if (last_word && ended - *last_word <= kBeat) return Verdict::kCounts;
  if (heard_between(silent_since, ended + kBeat)) return Verdict::kCounts;
  for (const Time failed : failures_) {
    if (failed > silent_since && !heard_between(silent_since, failed)) return Verdict::kOurs;
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    // The block that was seen when it was over, or first after it.
    if (blocks_[i].last < ended) continue;
    const Time seen = std::max(blocks_[i].first, silent_since);
    if (blocks_[i].last - seen >= still_) return Verdict::kOurs;
    if (i + 1 < blocks_.size()) return Verdict::kCounts;
  }
  return Verdict::kOpen;
}

}  // namespace brainlock::validator
