// When the ledger is read again: strangers may ask for that, and have no say in how often.
#pragma once

#include <algorithm>
#include <chrono>

namespace brainlock::miner {

/// A reading is due a `regular` interval after the last one. Where somebody was refused since then it is due sooner,
/// for whoever has just got its permit: after `least`, twice as long after each reading that came of refusals, `most`
/// in the end. Hotkeys cost nothing, so one that is refused for ever, or many, have the ledger read as often as it is
/// read anyway (or once in `most`, where that is rarer), after a few readings that came sooner. When nobody was refused
/// for `most` it begins anew.
///
///     12 s, 2 s, 60 s      refused again and again:   0  2  6  14  26  38  50  62 ...
///                          nobody refused:            0  12  24  36  48  60 ...
///
/// Not safe from many threads; no clock.
class RereadPace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  RereadPace(Duration regular, Duration least, Duration most)
      : regular_(regular), least_(least), most_(std::max(least, most)), wait_(least) {}

  /// A reading begins.
  void reads(Time now) {
    if (refused_) wait_ = std::min(2 * wait_, most_);
    refused_ = false;
    read_at_ = now;
  }
  void refuses(Time now) {
    if (now - refused_at_ > most_) wait_ = least_;
    refused_ = true;
    refused_at_ = now;
  }
  /// When the next reading is due.
  [[nodiscard]] Time due() const { return read_at_ + (refused_ ? std::min(regular_, wait_) : regular_); }

 private:
  Duration regular_, least_, most_, wait_;
  bool refused_ = false;  // since the last reading
  Time read_at_{}, refused_at_{};
};

}  // namespace brainlock::miner
