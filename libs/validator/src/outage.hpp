// Whose silence it was: the miners', or our own line's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace brainlock::validator {

/// A miner that does not answer has failed, and where nobody answers it may be that we are cut off. Miners cannot be asked about that: those who own most of
/// them, and rest together, would say so. The ledger is what none of them can silence:
///
///     somebody was heard meanwhile                                     -> it counts
///     nobody was, and the ledger cannot be reached, or stands still    -> it is ours
///     nobody was, and the ledger has a new block since                 -> it counts
///     none of this is known yet                                        -> open
///
/// Not safe from many threads.
class OutageWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;
  enum class Verdict { kCounts, kOurs, kOpen };

  /// A word so little before or after the end of a silence belongs to it.
  static constexpr std::chrono::seconds kBeat{5};
  /// A ledger that has had no block for so long, and for five of its intervals, stands still: a node of our own is reached without a line.
  static constexpr std::chrono::seconds kStill{60};

  /// A miner's word, whatever it said: a connection that was taken or refused, an answer.
  void heard(Time at);
  /// A look at the ledger: its block, or nothing where it could not be read. In the order of time.
  void looked(Time at, std::optional<std::uint64_t> block, Duration block_interval);
  /// Of a question that was not answered: begun, ended, and when its miner was last heard in between, if it was.
  [[nodiscard]] Verdict judge(Time begun, Time ended, std::optional<Time> last_word) const;

 private:
  struct Block {
    Time first{}, last{};   // when it was seen
    std::uint64_t number = 0;
  };
  [[nodiscard]] bool heard_between(Time after, Time until) const;
  void forget(Time before);

  std::deque<Time> words_;      // in order, a tenth of a second apart or more
  std::deque<Time> failures_;   // to read the ledger
  std::deque<Block> blocks_;
  Duration still_ = kStill;
};

}  // namespace brainlock::validator
