#include "brainlock/chain/timelocked_vote.hpp"

#include <algorithm>

#include "brainlock/chain/subnet.hpp"
#include "brainlock/scale_codec/encoder.hpp"
#include "epoch_clock.hpp"

namespace brainlock::chain {
namespace {

using ledger::Outcome;

constexpr const char* kPallet = "SubtensorModule";
constexpr const char* kCall = "commit_timelocked_weights";
constexpr std::uint64_t kVersion = 4;
constexpr std::uint64_t kRoundsApart = 200;   // ten minutes: the chain's workers fetch a round within a block or two
constexpr std::size_t kMaxCommitBytes = 5000;
constexpr std::int64_t kUsualBlockMs = 12'000;

Result<std::int64_t> chain_time_ms(ChainClient& client, const BlockView& view) {
  BRAINLOCK_ASSIGN(const auto now, client.read(view, "Timestamp", "Now"));
  BRAINLOCK_ASSIGN(const auto ms, now.as_u64());
  return static_cast<std::int64_t>(std::min<std::uint64_t>(ms, INT64_MAX));
}

Result<EpochClock> read_clock(ChainClient& client, const BlockView& view, std::uint16_t netuid) {
  BRAINLOCK_ASSIGN(const auto found, client.read_items(view, kPallet, clock_items(netuid)));
  BRAINLOCK_ASSIGN(const auto clock, clock_from(found.data(), view.number));
  if (!clock) return Error{ErrorCode::kUnsupported, "this runtime does not count its epochs"};
  return *clock;
}

// Whether a sealed vote of the hotkey is noted for an epoch.
Result<bool> noted(ChainClient& client, const BlockView& view, std::uint16_t netuid, std::uint64_t epoch, const crypto::AccountId& hotkey,
                   const crypto::Bytes& commit) {
  BRAINLOCK_ASSIGN(const auto commits, client.read(view, kPallet, "TimelockedWeightCommits", {Value::number(netuid), Value::number(epoch)}));
  for (const auto& item : commits.items()) {
    if (item.items().size() != 4) return Error{ErrorCode::kUnsupported, "this runtime keeps sealed votes in an unknown shape; a newer release is needed"};
    if (item.items()[0] == Value::bytes(hotkey) && item.items()[2] == Value::bytes(commit)) return true;
  }
  return false;
}

}  // namespace

crypto::Bytes timelocked_text(const crypto::AccountId& hotkey, std::span<const ledger::Weight> weights, std::uint64_t version_key) {
  scale_codec::Encoder out;
  out.bytes(hotkey).compact(weights.size());
  for (const auto& weight : weights) out.u16(weight.uid);
  out.compact(weights.size());
  for (const auto& weight : weights) out.u16(weight.value);
  out.u64(version_key);
  return out.take();
}

Result<std::string> why_not_timelocked(ChainClient& client, const BlockView& view) {
  if (!has_call(*view.metadata, kPallet, kCall)) return std::string("the runtime has no call for them");
  BRAINLOCK_ASSIGN(const auto found, client.read_items(view, kPallet, {{"CommitRevealWeightsVersion", {}}}));
  if (!found[0]) return std::string("the runtime does not say which version it wants");
  BRAINLOCK_ASSIGN(const auto version, found[0]->as_u64());
  if (version != kVersion) return "the chain wants version " + std::to_string(version) + ", this build makes version 4";
  for (const char* entry : {"SubnetEpochIndex", "TimelockedWeightCommits"}) {
    if (!view.metadata->storage(kPallet, entry).ok()) return std::string("the runtime has no ") + entry;
  }
  const auto stored = client.read(view, "Drand", "LastStoredRound");
  if (!stored.ok()) {
    if (stored.error().code == ErrorCode::kNotFound) return std::string("the runtime keeps no rounds of the beacon");
    return stored.error();
  }
  BRAINLOCK_ASSIGN(const auto last, stored->as_u64());
  BRAINLOCK_ASSIGN(const auto now_ms, chain_time_ms(client, view));
  const auto newest = beacon_round_at(now_ms);
  // A chain whose clock is not the world's would be told a round of long ago, which opens the vote at once, or one of long hence.
  const std::uint64_t apart = last > newest ? last - newest : newest - last;
  if (last == 0 || newest == 0 || apart > kRoundsApart) {
    return "the beacon's rounds do not arrive on the chain (the last is " + std::to_string(last) + ", by the chain's clock it should be " + std::to_string(newest) + ")";
  }
  return std::string();
}

Result<Outcome> commit_timelocked(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                                  std::span<const ledger::Weight> weights, std::uint64_t version_key, const PairingFunction& pairing) {
  BRAINLOCK_ASSIGN(const auto view, client.best());
  BRAINLOCK_ASSIGN(const auto graph, read_metagraph(client, view, netuid, false));
  Outcome judged = judge_vote(graph, hotkey.account(), weights, version_key);
  if (!judged.accepted()) return judged;
  BRAINLOCK_ASSIGN(const auto clock, read_clock(client, view, netuid));
  // The commit is applied in the next block, and if an epoch begins with that, it belongs to it.
  const std::uint64_t epoch = clock.index + (clock.next_start <= view.number + 1 ? 1 : 0);
  const std::uint64_t reveal_block = clock.start_of(saturating_add(epoch, clock.reveal_period));
  std::int64_t block_ms = kUsualBlockMs;
  if (const auto slot = constant_value(*view.metadata, "Aura", "SlotDuration"); slot.ok()) {
    BRAINLOCK_ASSIGN(const auto ms, slot->as_u64());
    if (ms > 0 && ms <= 600'000) block_ms = static_cast<std::int64_t>(ms);
  }
  BRAINLOCK_ASSIGN(const auto now_ms, chain_time_ms(client, view));
  // A round too late is waited for within the reveal epoch; one too early would show the vote before.
  const auto blocks = static_cast<std::int64_t>(std::min<std::uint64_t>(reveal_block - view.number, 10'000'000));
  const std::uint64_t round = beacon_round_at(now_ms + blocks * block_ms) + 1;
  BRAINLOCK_ASSIGN(const auto commit, timelock_seal(timelocked_text(hotkey.account(), weights, version_key), round, pairing));
  if (commit.size() > kMaxCommitBytes) {
    return Error{ErrorCode::kTooLarge, "a vote for " + std::to_string(weights.size()) + " neurons is larger sealed than the chain takes (5,000 bytes)"};
  }
  BRAINLOCK_ASSIGN(const auto sent, client.submit(hotkey, kPallet, kCall,
                                                  {{"netuid", Value::number(netuid)},
                                                   {"commit", Value::bytes(commit)},
                                                   {"reveal_round", Value::number(round)},
                                                   {"commit_reveal_version", Value::number(kVersion)}}));
  Outcome out = outcome_of(sent);
  out.uid = judged.uid;
  if (!out.accepted()) return out;
  BRAINLOCK_ASSIGN(const auto after, client.at(sent.block));
  BRAINLOCK_ASSIGN(const auto now, read_clock(client, after, netuid));
  for (const std::uint64_t candidate : {now.index, saturating_add(now.index, 1)}) {
    BRAINLOCK_ASSIGN(const bool there, noted(client, after, netuid, candidate, hotkey.account(), commit));
    if (!there) continue;
    out.revealed_at_block = now.start_of(saturating_add(candidate, now.reveal_period));
    out.message = "committed, sealed until round " + std::to_string(round) + " of the beacon; the chain opens it in about block " + std::to_string(*out.revealed_at_block);
    return out;
  }
  return Error{ErrorCode::kInternal, "the sealed vote is in block " + std::to_string(sent.block_number) + " but the chain does not show it"};
}

}  // namespace brainlock::chain
