#include "turns.hpp"

#include <algorithm>
#include <bit>

namespace brainlock::validator {

namespace {

constexpr std::chrono::milliseconds kPrompt{500};   // below that all miners are alike, above it those alike that differ by less than a factor of two

auto slowness(Turns::Duration took) { return std::bit_width(static_cast<std::uint64_t>(took / kPrompt)); }

}  // namespace

void Turns::see(const ledger::AccountId& miner, std::span<const store::RequestRow> rows, std::uint64_t round) {
  Record record;
  record.round = round;
  if (!rows.empty()) record.asked_ms = rows.front().finished_ms;
  for (const auto& row : rows) {
    if (row.success) {
      record.right_ms = row.finished_ms;
      record.took = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(row.response_s));
      break;
    }
    ++record.failures;
    record.failing_since_ms = row.finished_ms;
  }
  miners_.insert_or_assign(miner, record);
}

void Turns::kept_us(const ledger::AccountId& miner, Duration took, bool right) {
  Duration& known = miners_[miner].took;
  known = std::max(took, right ? known * 3 / 4 : known);
}

void Turns::judged(const ledger::AccountId& miner, bool right, std::int64_t finished_ms) {
  Record& record = miners_[miner];
  record.asked_ms = finished_ms;
  if (right) {
    record.right_ms = finished_ms;
    record.failures = 0;
  } else if (record.failures++ == 0) {
    record.failing_since_ms = finished_ms;
  }
  record.failing_since_ms = std::min(record.failing_since_ms, finished_ms);   // a clock that was set back
}

void Turns::forget(const std::function<bool(const ledger::AccountId&)>& gone) {
  std::erase_if(miners_, [&](const auto& entry) { return gone(entry.first); });
}

const Turns::Record& Turns::record(const ledger::AccountId& miner) const {
  static const Record kStranger;
  const auto found = miners_.find(miner);
  return found == miners_.end() ? kStranger : found->second;
}

Turns::Kind Turns::kind(const Record& record, std::int64_t now_ms) const {
  const bool scores = record.right_ms && now_ms - *record.right_ms < rules_.window_ms && record.failures < rules_.window_requests;
  if (scores) return Kind::kProven;
  return record.failures == 0 ? Kind::kFresh : Kind::kFailing;
}

Turns::Duration Turns::took(const ledger::AccountId& miner) const { return record(miner).took; }

std::optional<std::int64_t> Turns::rests_until_ms(const ledger::AccountId& miner, std::int64_t now_ms) const {
  const Record& known = record(miner);
  if (kind(known, now_ms) != Kind::kFailing) return std::nullopt;
  const std::int64_t failed_ms = known.asked_ms - known.failing_since_ms;
  return known.asked_ms + std::clamp<std::int64_t>((failed_ms - kGraceMs) / 2, 0, kLongestRestMs);
}

Turns::Order Turns::order(const ledger::Metagraph& metagraph, std::span<const ledger::Uid> uids, std::int64_t now_ms) const {
  const auto of = [&](ledger::Uid uid) -> const Record& { return record(metagraph.neurons[uid].hotkey); };
  Order out;
  for (const ledger::Uid uid : uids) {
    const Record& miner = of(uid);
    switch (kind(miner, now_ms)) {
      case Kind::kFresh: out.fresh.push_back(uid); break;
      case Kind::kProven: (miner.took < std::chrono::milliseconds(rules_.patience_ms) ? out.proven : out.proven_slow).push_back(uid); break;
      case Kind::kFailing:
        // A clock that was set back must not keep anybody out for longer than a rest.
        if (const std::int64_t until_ms = *rests_until_ms(metagraph.neurons[uid].hotkey, now_ms); until_ms > now_ms && until_ms - now_ms <= kLongestRestMs) break;
        (miner.took < std::min<Duration>(kFailsAtOnce, std::chrono::milliseconds(rules_.patience_ms)) ? out.failing : out.failing_slow).push_back(uid);
        break;
    }
  }
  std::stable_sort(out.fresh.begin(), out.fresh.end(), [&](ledger::Uid a, ledger::Uid b) { return of(a).round < of(b).round; });
  // Who stalls holds up those who do the same.
  std::stable_sort(out.proven.begin(), out.proven.end(), [&](ledger::Uid a, ledger::Uid b) { return slowness(of(a).took) < slowness(of(b).took); });
  // Who was asked in what is the future now, since the clock was set back, was asked longest ago: others must not go before it until that time comes.
  const auto asked_ms = [&](ledger::Uid uid) { return of(uid).asked_ms <= now_ms ? of(uid).asked_ms : 0; };
  for (auto* failing : {&out.failing, &out.failing_slow}) {
    std::stable_sort(failing->begin(), failing->end(), [&](ledger::Uid a, ledger::Uid b) { return asked_ms(a) < asked_ms(b); });
  }
  return out;
}

}  // namespace brainlock::validator
