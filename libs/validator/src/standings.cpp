// What miners are worth by what was recorded of them, and the vote that follows.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "brainlock/validator/validator.hpp"

namespace brainlock::validator {

using protocol::Reason;

namespace {

constexpr std::string_view kNobodyScores = "not sent: no miner has a score above 0; the vote on the ledger, if there is one, stays until it is too old to count";

std::string why_zero(const score::Standing& standing, const std::string& last_reason) {
  if (standing.score > 0) return {};
  if (standing.requests == 0) return "Not asked within the time that counts.";
  if (standing.failures == standing.requests) {
    return "No request succeeded: " + std::string(protocol::reason_sentence(protocol::reason_from_name(last_reason)));
  }
  return "Too many requests failed.";
}

}  // namespace

Result<std::vector<store::RequestRow>> Validator::counted_rows(const ledger::AccountId& miner, std::int64_t now_ms) {
  const std::size_t wanted = options_.rule.window_requests * parts_.tasks.size();
  store::RequestFilter filter;
  filter.miner = miner;
  filter.since_ms = now_ms - options_.rule.window_ms;
  // What ended in what is the future now was written by a clock that was set back since: it would take the places of all that comes until then.
  filter.until_ms = now_ms + 1;
  // Those that are our own fault, or another validator's in the same database, are left out: they must not take the places of those that count.
  for (filter.limit = 2 * wanted;; filter.limit *= 4) {
    BRAINLOCK_ASSIGN(auto rows, parts_.store->requests(filter));
    const bool all = rows.size() < filter.limit;
    std::erase_if(rows, [&](const store::RequestRow& row) {
      return row.validator != parts_.self.account || (!row.success && !protocol::counts_against_miner(protocol::reason_from_name(row.reason)));
    });
    if (all || rows.size() >= wanted) return rows;
  }
}

Result<std::vector<MinerStanding>> Validator::standings() {
  BRAINLOCK_ASSIGN(const auto metagraph, parts_.ledger->metagraph(true));
  return standings_of(metagraph);
}

Result<std::vector<MinerStanding>> Validator::standings_of(const ledger::Metagraph& metagraph) {
  const auto* self = metagraph.find(parts_.self.account);
  std::vector<std::uint16_t> sent, on_ledger(metagraph.neurons.size());
  {
    const std::lock_guard lock(mutex_);
    sent = last_vote_;
  }
  if (self != nullptr) {
    for (const auto& weight : self->weights) {
      if (weight.uid < on_ledger.size()) on_ledger[weight.uid] = weight.value;
    }
  }
  const std::int64_t now_ms = parts_.clock();
  std::vector<MinerStanding> out;
  for (const auto& neuron : metagraph.neurons) {
    if (self != nullptr && neuron.uid == self->uid) continue;
    BRAINLOCK_ASSIGN(const auto rows, counted_rows(neuron.hotkey, now_ms));
    if (rows.empty() && !neuron.axon) continue;
    MinerStanding miner;
    miner.uid = neuron.uid;
    miner.hotkey = neuron.hotkey;
    miner.incentive = neuron.incentive;
    if (!rows.empty()) miner.last_reason = rows.front().reason;
    std::vector<score::Observation> observations;
    std::map<std::string, std::vector<score::Observation>> by_package;
    for (const auto& row : rows) {
      observations.push_back({row.finished_ms, row.success, row.response_s});
      by_package[row.package].push_back(observations.back());
    }
    miner.standing = score::judge(observations, now_ms, options_.rule);
    miner.confidence = score::confidence(miner.standing.requests, options_.rule);
    // One median over packages of different weight would be that of the light ones: a miner could leave the heavy ones to the time limit.
    double scores = 0, confidences = 0;   // logarithms, -inf for 0
    std::size_t packages = 0;
    for (const Task& task : parts_.tasks) {
      const auto of_task = by_package.find(protocol::content_id_text(task.package));
      if (of_task == by_package.end()) continue;
      const auto standing = score::judge(of_task->second, now_ms, options_.rule);
      scores += std::log(standing.score);
      confidences += std::log(score::confidence(standing.requests, options_.rule));
      ++packages;
    }
    if (by_package.size() > 1 && packages > 0) {
      miner.standing.score = std::exp(scores / static_cast<double>(packages));
      miner.confidence = std::exp(confidences / static_cast<double>(packages));
    }
    miner.zero_because = why_zero(miner.standing, miner.last_reason);
    if (!neuron.axon) {
      // It is not asked, and could live for days on what it did before it took its address back.
      miner.standing.score = 0;
      miner.zero_because = protocol::reason_sentence(Reason::kNoAddress);
    }
    if (neuron.uid < sent.size()) miner.weight_sent = sent[neuron.uid];
    miner.weight_on_ledger = on_ledger[neuron.uid];
    out.push_back(std::move(miner));
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.standing.score > b.standing.score; });
  return out;
}

Result<std::optional<ledger::Outcome>> Validator::vote() {
  BRAINLOCK_ASSIGN(const auto metagraph, this->metagraph());
  const auto* self = metagraph.find(parts_.self.account);
  if (self == nullptr) return {ErrorCode::kDenied, "this hotkey is not registered on the subnet"};
  if (metagraph.blocks_until_weights_allowed(self->uid) > 0) return std::optional<ledger::Outcome>{};
  if (last_vote_block_ != 0 && metagraph.block < last_vote_block_ + options_.vote_interval_blocks) return std::optional<ledger::Outcome>{};
  BRAINLOCK_ASSIGN(const auto miners, standings_of(metagraph));
  std::vector<double> scores(metagraph.neurons.size());
  for (const auto& miner : miners) scores[miner.uid] = miner.standing.score * miner.confidence;
  BRAINLOCK_ASSIGN(auto quantised, ledger::quantise_weights(scores));
  const auto weights = ledger::fit_vote(std::move(quantised), metagraph, self->uid);
  if (weights.empty()) {
    // No ledger takes a vote for nobody, and it may be our own line that failed. What stands there goes on counting for a while: say so.
    if (!std::exchange(nobody_scores_, true)) net::log_event(parts_.log, net::EventLevel::kWarning, "no_vote", {{"reason", std::string(kNobodyScores)}});
    const std::lock_guard lock(mutex_);
    activity_.last_vote = kNobodyScores;
    return std::optional<ledger::Outcome>{};
  }
  nobody_scores_ = false;
  set_state("voting");
  BRAINLOCK_ASSIGN(ledger::Outcome outcome, parts_.ledger->set_weights(*parts_.ledger_signer, weights, options_.version_key));

  store::VoteRow row;
  row.id = protocol::make_uuid();
  row.time_ms = parts_.clock();
  row.block = outcome.block;
  row.netuid = metagraph.netuid;
  row.accepted = outcome.accepted();
  row.reason = ledger::refusal_name(outcome.refusal);
  row.detail = outcome.message;
  for (const auto& weight : weights) row.weights.emplace_back(weight.uid, weight.value);
  if (outcome.accepted()) {
    const std::lock_guard lock(mutex_);
    last_vote_.assign(metagraph.neurons.size(), 0);
    for (const auto& weight : weights) last_vote_[weight.uid] = weight.value;
    last_vote_block_ = outcome.block;
  }
  BRAINLOCK_ASSIGN(const bool stored, parts_.store->record_vote(row));
  (void)stored;
  // "Submitted" is not "landed": read it back (a committed vote can be read only after its reveal).
  bool landed = false;
  if (outcome.accepted() && !outcome.revealed_at_block) {
    const auto read = parts_.ledger->weights(self->uid);
    landed = read.ok() && *read == weights;
    if (landed) BRAINLOCK_TRY(parts_.store->confirm_vote(row.id, outcome.block));
  }
  {
    const std::lock_guard lock(mutex_);
    activity_.last_vote = outcome.accepted() ? (landed ? "landed" : "accepted") + std::string(" at block ") + std::to_string(outcome.block)
                                             : std::string(ledger::refusal_sentence(outcome.refusal)) + " " + outcome.message;
  }
  net::log_event(parts_.log, outcome.accepted() ? net::EventLevel::kInfo : net::EventLevel::kWarning, "vote", {{"accepted", outcome.accepted() ? "yes" : "no"}, {"landed", landed ? "yes" : "no"},
                                     {"reason", row.reason}, {"detail", row.detail}, {"block", std::to_string(outcome.block)}});
  return std::optional<ledger::Outcome>(std::move(outcome));
}

}  // namespace brainlock::validator
