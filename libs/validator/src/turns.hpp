// Whose turn it is: who is asked with the others, who beside them, who is new, who only fails, and who rests.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "brainlock/ledger/types.hpp"
#include "brainlock/store/store.hpp"

namespace brainlock::validator {

struct TurnRules {
  std::int64_t patience_ms = 0;        ///< who takes longer is asked beside the others
  std::int64_t window_ms = 0;          ///< a right answer is worth nothing after that long,
  std::size_t window_requests = 0;     ///< or after so many failures
};

/// Miners that have a right answer among what counts (proven) are asked whenever they are due: silence must cost them. The others have nothing to lose, and
/// cost whoever registers them little; they keep to seats of their own, and none of their doing reaches another kind's:
///
///     fresh     never asked before, or only sent a key: who was seen first goes first, so nobody who comes later delays it
///     failing   asked, and never right: who was asked longest ago goes first, and it rests before it is asked again
///
/// Not safe from many threads.
class Turns {
 public:
  using Duration = std::chrono::steady_clock::duration;

  /// A failing miner is asked as everybody for so long. Then it rests for half as long as it has failed beyond that, and never longer than kLongestRest: who
  /// was down for a while comes back within half of it.
  static constexpr std::int64_t kGraceMs = 5 * 60'000;
  static constexpr std::int64_t kLongestRestMs = 15 * 60'000;
  /// A failing miner that kept us for longer is asked beside the others, until it is right: rounds do not wait for it again.
  static constexpr std::chrono::seconds kFailsAtOnce{2};

  explicit Turns(const TurnRules& rules) : rules_(rules) {}

  [[nodiscard]] bool knows(const ledger::AccountId& miner) const { return miners_.contains(miner); }
  /// At first sight: `rows` are those that count, newest first. Those that are seen in the same round are alike.
  void see(const ledger::AccountId& miner, std::span<const store::RequestRow> rows, std::uint64_t round);
  /// It kept us for so long. A failure does not shorten what is known: whoever stalls now and then is not prompt in between.
  void kept_us(const ledger::AccountId& miner, Duration took, bool right);
  /// A question that counts ended.
  void judged(const ledger::AccountId& miner, bool right, std::int64_t finished_ms);
  void forget(const std::function<bool(const ledger::AccountId&)>& gone);

  /// How long a miner kept us of late; zero where that is not known.
  [[nodiscard]] Duration took(const ledger::AccountId& miner) const;
  /// Until when a failing miner is not asked; nothing for all others.
  [[nodiscard]] std::optional<std::int64_t> rests_until_ms(const ledger::AccountId& miner, std::int64_t now_ms) const;

  struct Order {
    std::vector<ledger::Uid> fresh, proven;          ///< asked together; the proven ones by how long they take
    std::vector<ledger::Uid> proven_slow;            ///< beside them
    std::vector<ledger::Uid> failing, failing_slow;  ///< after all others; beside them
  };
  /// Of those that do not rest. Where nothing else decides, in the order of `uids`.
  [[nodiscard]] Order order(const ledger::Metagraph& metagraph, std::span<const ledger::Uid> uids, std::int64_t now_ms) const;

 private:
  struct Record {
    std::uint64_t round = 0;                  // of first sight
    Duration took{};
    std::optional<std::int64_t> right_ms;     // the newest right answer
    std::size_t failures = 0;                 // since then
    std::int64_t failing_since_ms = 0;        // the first of them
    std::int64_t asked_ms = 0;                // the newest
  };
  enum class Kind { kFresh, kProven, kFailing };
  [[nodiscard]] Kind kind(const Record& record, std::int64_t now_ms) const;
  [[nodiscard]] const Record& record(const ledger::AccountId& miner) const;

  const TurnRules rules_;
  std::map<ledger::AccountId, Record> miners_;
};

}  // namespace brainlock::validator
