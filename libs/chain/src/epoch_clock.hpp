// How newer runtimes count a subnet's time: an epoch is a number of its own, and a commit is revealed in one epoch and no other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "brainlock/chain/client.hpp"

namespace brainlock::chain {

inline std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

struct EpochClock {
  std::uint64_t index = 0;
  std::uint64_t reveal_period = 1;
  std::uint64_t tempo = 0;
  std::uint64_t next_start = 0;  ///< block, an estimate: the chain may put an epoch off

  /// First block, as estimated, of an epoch that is yet to come.
  [[nodiscard]] std::uint64_t start_of(std::uint64_t epoch) const {
    const std::uint64_t more = epoch > index ? std::min<std::uint64_t>(epoch - index - 1, UINT32_MAX) : 0;
    return saturating_add(next_start, more * tempo);
  }
};

/// What a clock is read from; clock_from() takes the answers in this order.
inline std::vector<ChainClient::Item> clock_items(std::uint16_t netuid) {
  const Value n = Value::number(netuid);
  return {{"SubnetEpochIndex", {n}}, {"LastEpochBlock", {n}}, {"RevealPeriodEpochs", {n}}, {"Tempo", {n}}};
}

/// Nothing where the runtime does not count epochs.
inline Result<std::optional<EpochClock>> clock_from(const std::optional<Value>* found, std::uint64_t block) {
  if (!found[0]) return std::optional<EpochClock>();
  EpochClock clock;
  BRAINLOCK_ASSIGN(clock.index, found[0]->as_u64());
  std::uint64_t last_epoch = 0;
  if (found[1]) {
    BRAINLOCK_ASSIGN(last_epoch, found[1]->as_u64());
  }
  if (found[2]) {
    BRAINLOCK_ASSIGN(clock.reveal_period, found[2]->as_u64());
  }
  if (found[3]) {
    BRAINLOCK_ASSIGN(clock.tempo, found[3]->as_u16());
  }
  clock.next_start = std::max(block + 1, saturating_add(last_epoch, clock.tempo));
  return std::optional(clock);
}

}  // namespace brainlock::chain
