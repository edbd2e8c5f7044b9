#include "clock_check.hpp"

#include <algorithm>
#include <string>

#include "brainlock/protocol/epistula.hpp"

namespace brainlock::validator {

namespace {

constexpr std::int64_t kLateMs = 60'000;

std::string seconds(std::int64_t ms) { return std::to_string(ms / 1000) + " s"; }

}  // namespace

Status check_clock(const ledger::BlockTime& time, std::int64_t now_ms) {
  if (!time.made_ms) return {};
  const std::int64_t age_ms = now_ms - *time.made_ms;
  if (-age_ms > protocol::kTimeWindowMs) {
    return {ErrorCode::kUnavailable, "this machine's clock is at least " + seconds(-age_ms) +
                                         " behind: the ledger's newest block is of that future; set the clock"};
  }
  if (age_ms > std::max(kLateMs, 5 * time.block_interval_ms)) {
    return {ErrorCode::kUnavailable,
            "the ledger's newest block is " + seconds(age_ms) +
                " old by this machine's clock: the clock is ahead (set it), or the ledger or its node stands still"};
  }
  return {};
}

}  // namespace brainlock::validator
