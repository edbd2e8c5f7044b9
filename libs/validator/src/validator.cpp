#include "brainlock/validator/validator.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "brainlock/base/parallel.hpp"
#include "brainlock/crypto/random.hpp"
#include "asker.hpp"
#include "clock_check.hpp"
#include "outage.hpp"
#include "turns.hpp"

namespace brainlock::validator {

using protocol::Reason;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::int64_t kDayMs = 24 * 3'600'000;
constexpr std::chrono::hours kPruneEvery{1};
constexpr std::int64_t kRenewAgainMs = 600'000;   // after a failure
constexpr std::chrono::seconds kUsualBlock{12};   // between two
constexpr std::chrono::seconds kVoteEvery{60};    // within a round; the ledger is read for it

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  crypto::random_bytes({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
  return seed & 0x7fff'ffff'ffff'ffff;  // the store keeps signed 64-bit numbers
}

}  // namespace

Validator::Validator(ValidatorParts parts, ValidatorOptions options) : parts_(std::move(parts)), options_(options) {
  turns_ = std::make_unique<Turns>(TurnRules{options_.patience_ms, options_.rule.window_ms, options_.rule.window_requests * std::max<std::size_t>(1, parts_.tasks.size())});
  outage_ = std::make_unique<OutageWatch>();
  const DeliveryRules delivery{options_.key_timeout_ms, options_.upload_timeout_ms, options_.uploads_an_hour, options_.parallel};
  asker_ = std::make_unique<Asker>(parts_.self, parts_.clock,
                                   AskerOptions{options_.request_timeout_ms, options_.patience_ms, options_.keep_alive_ms, options_.tls, options_.allow_private_addresses, delivery});
}

Validator::~Validator() = default;

Result<std::unique_ptr<Validator>> Validator::make(ValidatorParts parts, ValidatorOptions options) {
  if (parts.tasks.empty()) return {ErrorCode::kInvalidArgument, "a validator needs at least one approved package"};
  if (options.keep_ms != 0 && options.keep_ms < options.rule.window_ms) {
    return {ErrorCode::kInvalidArgument, "requests are to be kept for " + std::to_string(options.keep_ms / 3'600'000) + " hours, and scores look back " +
                                             std::to_string(options.rule.window_ms / 3'600'000) + "; keep them for longer, or for ever (0)"};
  }
  std::unique_ptr<Validator> validator(new Validator(std::move(parts), options));
  // What was voted for last survives a restart in the store.
  BRAINLOCK_ASSIGN(const auto votes, validator->parts_.store->votes(20));
  for (const auto& vote : votes) {
    if (!vote.accepted) continue;
    for (const auto& [uid, weight] : vote.weights) {
      if (validator->last_vote_.size() <= uid) validator->last_vote_.resize(std::size_t{uid} + 1);
      validator->last_vote_[uid] = weight;
    }
    validator->last_vote_block_ = vote.block;
    break;
  }
  return validator;
}

void Validator::set_state(std::string state) {
  const std::lock_guard lock(mutex_);
  activity_.state = std::move(state);
  activity_.since_ms = parts_.clock();
}

Activity Validator::activity() const {
  const std::lock_guard lock(mutex_);
  return activity_;
}

Result<ledger::Metagraph> Validator::metagraph() {
  auto read = parts_.ledger->metagraph(true);
  outage_->looked(Clock::now(), read.ok() ? std::optional(read->block) : std::nullopt, kUsualBlock);
  if (!read.ok()) return read.error();
  ledger::Metagraph metagraph = std::move(*read);
  const auto* self = metagraph.find(parts_.self.account);
  const std::lock_guard lock(mutex_);
  activity_.block = metagraph.block;
  activity_.blocks_until_vote = self == nullptr ? 0 : metagraph.blocks_until_weights_allowed(self->uid);
  return metagraph;
}

RejectedInputs Validator::rejected_inputs() const {
  const std::lock_guard lock(mutex_);
  return rejected_;
}

Status Validator::draw_in_range(Question& question) {
  const Task& task = *question.task;
  Status last;
  for (unsigned i = 0; i < std::max(1U, options_.draws); ++i) {
    BRAINLOCK_ASSIGN(auto sample, parts_.draw(task, random_seed()));
    package::ValueRange range;
    if (task.range) {
      BRAINLOCK_ASSIGN(range, task.range(sample.image.pixels));
      last = range.status();
    }
    if (last.ok()) {
      question.sample = std::move(sample);
      question.expected = {std::move(range.clear), std::move(range.foretold)};
      return {};
    }
    {
      const std::lock_guard lock(mutex_);
      ++(range.wraps() ? rejected_.wrapping : rejected_.beyond_limit);
    }
    net::log_event(parts_.log, "input_rejected", {{"task", task.name},
                                                 {"input", sample.kind},
                                                 {"seed", std::to_string(sample.seed)},
                                                 {"wraps", range.wraps() ? "yes" : "no"},
                                                 {"detail", last.error().message}});
  }
  return Error{last.error().code, std::to_string(std::max(1U, options_.draws)) + " inputs in a row leave the package's range; the last: " + last.error().message};
}

void Validator::prepare(Question& question) {
  const auto work = [&]() -> Status {
    BRAINLOCK_TRY(draw_in_range(question));
    if (question.expected.clear.empty()) {
      BRAINLOCK_ASSIGN(question.expected.clear, question.task->baseline(question.sample.image.pixels));
    }
    BRAINLOCK_ASSIGN(question.bytes, question.keys->encrypt(question.sample.image.pixels));
    return {};
  };
  question.prepared = work();
}

void Validator::judge(Question& question) {
  question.verdict.reason = question.call.reason;
  question.verdict.detail = question.call.detail;
  if (!question.call.ok()) return;
  Verdict& verdict = question.verdict;
  verdict = judge_answer(*question.task, *question.keys, question.expected, question.call.body);
  // Encryption is never twice the same: repeated bytes are a copy, however they decrypt. What is no answer at all keeps its reason.
  const bool seen = answers_.seen(question.call.body);
  if (seen && (verdict.reason == Reason::kOk || verdict.reason == Reason::kWrongOutput)) verdict.reason = Reason::kRepeatedAnswer;
  if (verdict.reason != Reason::kOk || !verdict.noise_ratio || question.task->judged_by_cosine) return;
  const double known = question.expected.foretold->independent_outputs, outputs = known > 0 ? known : static_cast<double>(question.expected.clear.size());
  if (const auto mean = noise_.add(question.miner.hotkey, question.task->package, *verdict.noise_ratio, outputs)) {
    verdict.reason = Reason::kWrongOutput;
    verdict.detail = "the miner's answers are all a little off: their mean squared difference from the foretold ones is " + std::to_string(*mean) +
                     " times what the scheme's errors make";
  }
}

store::RequestRow Validator::row_of(const Question& question) const {
  store::RequestRow row;
  row.uuid = question.call.uuid;
  row.validator = parts_.self.account;
  row.miner = question.miner.hotkey;
  row.miner_uid = question.miner.uid;
  row.package = protocol::content_id_text(question.keys->package());
  row.input_kind = question.sample.kind;
  row.input_seed = question.sample.seed;
  row.started_ms = question.call.started_ms;
  row.finished_ms = question.call.finished_ms;
  row.success = question.verdict.reason == Reason::kOk;
  row.reason = protocol::reason_name(question.verdict.reason);
  row.detail = question.verdict.detail;
  row.response_s = row.success ? question.call.response_s : 0;
  row.network_s = question.call.network_s;
  row.bytes_sent = static_cast<std::int64_t>(question.call.bytes_sent);
  row.bytes_received = static_cast<std::int64_t>(question.call.bytes_received);
  row.deviation = question.verdict.deviation;
  row.similarity = question.verdict.similarity;
  return row;
}

Status Validator::record(std::span<const std::unique_ptr<Question>> questions) {
  std::vector<store::RequestRow> rows;
  rows.reserve(questions.size());
  for (const auto& question : questions) rows.push_back(row_of(*question));
  // One transaction, so the disk is waited for once.
  BRAINLOCK_ASSIGN(const std::size_t stored, parts_.store->record_requests(rows));
  (void)stored;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const store::RequestRow& row = rows[i];
    net::log_event(parts_.log, "measured", {{"uuid", row.uuid},
                                           {"uid", std::to_string(row.miner_uid)},
                                           {"reason", row.reason},
                                           {"detail", row.detail},
                                           {"response_s", std::to_string(questions[i]->call.response_s)},
                                           {"network_s", std::to_string(row.network_s)},
                                           {"round_trip_s", std::to_string(questions[i]->call.round_trip_s)},
                                           {"deviation", row.deviation ? std::to_string(*row.deviation) : std::string()},
                                           {"noise_ratio", questions[i]->verdict.noise_ratio ? std::to_string(*questions[i]->verdict.noise_ratio) : std::string()}});
  }
  return {};
}

void Validator::forget_strangers(const ledger::Metagraph& metagraph) {
  std::set<ledger::AccountId> known;
  for (const auto& neuron : metagraph.neurons) known.insert(neuron.hotkey);
  const auto gone = [&](const ledger::AccountId& miner) { return !known.contains(miner); };
  noise_.forget(gone);
  asker_->keys().forget_miners(gone);
  turns_->forget(gone);
  std::erase_if(plans_, [&](const auto& entry) { return !known.contains(entry.first); });
}

bool Validator::due_in_slot(const ledger::AccountId& miner, std::uint64_t block) {
  const std::uint64_t slot = block / options_.slot_blocks;
  SlotPlan& plan = plans_[miner];
  if (plan.blocks.empty() || plan.slot != slot) {
    plan = {slot, {}, 0};
    for (std::size_t i = 0; i < std::max<std::size_t>(1, options_.questions_per_slot); ++i) plan.blocks.push_back(random_seed() % options_.slot_blocks);
  }
  const auto due = std::count_if(plan.blocks.begin(), plan.blocks.end(), [&](std::uint64_t at) { return at <= block % options_.slot_blocks; });
  return plan.asked < static_cast<std::size_t>(due);
}

Result<RoundReport> Validator::run_round(std::stop_token stop, const std::function<void()>& between) {
  RoundReport report;
  BRAINLOCK_TRY(collect(report));
  set_state("reading the ledger");
  BRAINLOCK_ASSIGN(const auto metagraph, this->metagraph());
  const auto* self = metagraph.find(parts_.self.account);
  if (self == nullptr) return {ErrorCode::kDenied, "this hotkey is not registered on the subnet"};
  if (!self->validator_permit) {
    permit_was_missing_ = true;
    permit_since_block_.reset();
    return {ErrorCode::kDenied, "this hotkey has no validator permit yet"};
  }
  if (permit_was_missing_) {
    // Miners that have not seen the permit would refuse, and that would count against them.
    if (!permit_since_block_) permit_since_block_ = metagraph.block;
    if (metagraph.block < *permit_since_block_ + options_.permit_settle_blocks) {
      return {ErrorCode::kUnavailable, "the validator permit is new: miners are learning of it"};
    }
    permit_was_missing_ = false;
  }
  BRAINLOCK_ASSIGN(const ledger::BlockTime time, parts_.ledger->block_time());
  BRAINLOCK_TRY(check_clock(time, parts_.clock()));
  renew_keys();
  forget_strangers(metagraph);
  auto uids = ledger::miners_in_slot(metagraph, self->uid, options_.slot_blocks);
  std::erase_if(uids, [&](ledger::Uid uid) { return asker_->busy_with(metagraph.neurons[uid].hotkey); });
  const std::uint64_t round = activity().rounds;
  for (const ledger::Uid uid : uids) {
    const auto& miner = metagraph.neurons[uid].hotkey;
    if (turns_->knows(miner)) continue;
    BRAINLOCK_ASSIGN(const auto rows, counted_rows(miner, parts_.clock()));
    turns_->see(miner, rows, round);
  }
  auto slot_end = Clock::time_point::max();
  if (options_.slot_blocks != 0) {
    const auto duration_of = [&](std::uint64_t blocks) { return std::chrono::milliseconds(static_cast<std::int64_t>(blocks) * time.block_interval_ms); };
    slot_end = Clock::now() + duration_of(options_.slot_blocks - metagraph.block % options_.slot_blocks);
    if (ledger::sharing_validators(metagraph, self->uid).size() > 1) {
      // Others' slots are left alone: a miner that is still at work when its next begins has two validators at once, and each takes it for half
      // as fast. Half a slot is open to everybody, however long it says it takes.
      const Clock::duration most = duration_of(options_.slot_blocks) / 2;
      std::erase_if(uids, [&](ledger::Uid uid) { return Clock::now() + std::min(turns_->took(metagraph.neurons[uid].hotkey), most) > slot_end; });
      std::erase_if(uids, [&](ledger::Uid uid) { return !due_in_slot(metagraph.neurons[uid].hotkey, metagraph.block); });
    }
  }
  // In another order each time, so that nobody is always asked first.
  std::mt19937_64 shuffler(random_seed());
  std::shuffle(uids.begin(), uids.end(), shuffler);
  auto order = turns_->order(metagraph, uids, parts_.clock());
  const auto seats = [&](Seat seat) { return options_.most_aside - std::min(options_.most_aside, asker_->under_way(seat)); };
  // Those known to take longer than anybody waits. Where there are more than seats, chance decides: by slowness those who stall could keep out whoever is
  // honestly slower.
  order.proven_slow.resize(std::min(order.proven_slow.size(), seats(Seat::kSlow)));
  asker_->ask_aside(questions_for(metagraph, order.proven_slow, Seat::kSlow));
  order.failing_slow.resize(std::min(order.failing_slow.size(), seats(Seat::kFailing)));
  asker_->ask_aside(questions_for(metagraph, order.failing_slow, Seat::kFailing));

  // A batch of new ones before all others, since a round may end before its end; no more, since they may stall.
  const std::size_t batch = std::max(1U, options_.parallel);
  using Uids = std::span<const ledger::Uid>;
  const Uids fresh(order.fresh), first = fresh.first(std::min(batch, fresh.size()));
  for (const auto& [group, seat] : {std::pair(first, Seat::kFresh), std::pair(Uids(order.proven), Seat::kBatch), std::pair(fresh.subspan(first.size()), Seat::kFresh),
                                    std::pair(Uids(order.failing), Seat::kFailing)}) {
    for (Uids rest = group; !rest.empty() && !stop.stop_requested() && Clock::now() < slot_end;) {
      const std::size_t count = std::min({batch, rest.size(), seat == Seat::kBatch ? batch : seats(seat)});
      if (count == 0) break;
      auto questions = questions_for(metagraph, rest.first(count), seat);
      rest = rest.subspan(count);
      set_state("asking " + std::to_string(count) + (count == 1 ? " miner" : " miners"));
      asker_->ask(std::move(questions), stop);
      if (stop.stop_requested()) break;
      BRAINLOCK_TRY(collect(report));
      if (between) between();
    }
  }
  BRAINLOCK_TRY(collect(report));
  if (stop.stop_requested()) asker_->stop();  // what is cut off is nobody's failure
  const std::lock_guard lock(mutex_);
  ++activity_.rounds;
  return report;
}

std::vector<std::unique_ptr<Question>> Validator::questions_for(const ledger::Metagraph& metagraph, std::span<const ledger::Uid> uids, Seat seat) {
  std::vector<std::unique_ptr<Question>> questions;
  for (const ledger::Uid uid : uids) {
    auto question = std::make_unique<Question>();
    question->seat = seat;
    question->miner = metagraph.neurons[uid];
    question->task = &parts_.tasks[random_seed() % parts_.tasks.size()];
    question->keys = question->task->client;
    if (const auto plan = plans_.find(question->miner.hotkey); plan != plans_.end()) ++plan->second.asked;
    questions.push_back(std::move(question));
  }
  if (!questions.empty()) set_state("encrypting questions");
  parallel_for(questions.size(), options_.threads, [&](std::size_t i) { prepare(*questions[i]); });
  return questions;
}

Status Validator::collect(RoundReport& report) {
  auto questions = asker_->finished();
  for (const auto& question : questions) {
    if (question->withdrawn) turns_->kept_us(question->miner.hotkey, question->took, false);
  }
  for (const auto& question : questions) {
    if (question->heard) outage_->heard(*question->heard);
  }
  std::erase_if(questions, [](const auto& question) { return question->withdrawn; });
  if (!questions.empty()) set_state("judging answers");
  parallel_for(questions.size(), options_.threads, [&](std::size_t i) { judge(*questions[i]); });
  for (auto& question : questions) {
    question->bytes = {};
    question->call.body = {};
    turns_->kept_us(question->miner.hotkey, question->took, question->verdict.reason == Reason::kOk);
    in_doubt_.push_back(std::move(question));
  }
  settle_doubts(false);
  if (judged_.empty()) return {};
  // Where the store is away nothing is lost, and nobody is asked before it is back: the next round begins here.
  BRAINLOCK_TRY(record(judged_));
  for (const auto& question : std::exchange(judged_, {})) {
    ++report.asked;
    if (question->verdict.reason == Reason::kOk) ++report.succeeded;
    else if (protocol::counts_against_miner(question->verdict.reason)) ++report.failed;
    else ++report.not_counted;
  }
  return {};
}

void Validator::settle_doubts(bool last) {
  const auto verdict = [&](const Question& question) {
    const Reason reason = question.verdict.reason;
    if (reason != Reason::kUnreachable && reason != Reason::kTimeout) return OutageWatch::Verdict::kCounts;
    return outage_->judge(question.begun, question.ended, question.heard);
  };
  // The ledger is asked only where it matters.
  if (std::any_of(in_doubt_.begin(), in_doubt_.end(), [&](const auto& question) { return verdict(*question) == OutageWatch::Verdict::kOpen; })) {
    const auto time = parts_.ledger->block_time();
    outage_->looked(Clock::now(), time.ok() ? std::optional(time->block) : std::nullopt, time.ok() ? std::chrono::milliseconds(time->block_interval_ms) : kUsualBlock);
  }
  std::size_t excused = 0;
  for (auto& question : in_doubt_) {
    auto is = verdict(*question);
    if (is == OutageWatch::Verdict::kOpen && !last) continue;
    if (is == OutageWatch::Verdict::kOurs) {
      ++excused;
      question->verdict.detail = "nobody was heard, nor the ledger: this validator was cut off (" + std::string(protocol::reason_name(question->verdict.reason)) + ": " + question->verdict.detail + ")";
      question->verdict.reason = Reason::kValidatorError;
    }
    const bool right = question->verdict.reason == Reason::kOk;
    if (right || protocol::counts_against_miner(question->verdict.reason)) turns_->judged(question->miner.hotkey, right, question->call.finished_ms);
    judged_.push_back(std::move(question));
  }
  std::erase(in_doubt_, nullptr);
  if (excused == 0) return;
  net::log_event(parts_.log, net::EventLevel::kWarning, "outage", {{"excused", std::to_string(excused)}});
  const std::lock_guard lock(mutex_);
  activity_.excused += excused;
}

Result<RoundReport> Validator::finish(const std::stop_token& stop) {
  RoundReport report;
  asker_->wait(stop);
  BRAINLOCK_TRY(collect(report));
  settle_doubts(true);
  BRAINLOCK_TRY(collect(report));
  if (stop.stop_requested()) asker_->stop();
  return report;
}

void Validator::renew_keys() {
  if (options_.key_life_ms == 0) return;
  const std::int64_t now_ms = parts_.clock();
  for (Task& task : parts_.tasks) {
    // Keys that were made in what is the future now, since the clock was set back, are not to serve until then and a life more.
    task.keys_made_ms = std::min(task.keys_made_ms, now_ms);
    if (!task.renew || now_ms < task.keys_made_ms + options_.key_life_ms) continue;
    set_state("making keys");
    // What is under way reads the old key's file. It is nobody's failure.
    asker_->stop();
    auto renewed = task.renew();
    if (!renewed.ok()) {
      // Those that there are do for a while longer.
      task.keys_made_ms = now_ms - options_.key_life_ms + kRenewAgainMs;
      net::log_event(parts_.log, net::EventLevel::kWarning, "keys_not_renewed", {{"task", task.name}, {"error", renewed.error().to_string()}});
      continue;
    }
    asker_->keys().forget_key(task.client->key_id());
    const std::lock_guard lock(mutex_);
    task.client = std::move(*renewed);
    task.keys_made_ms = now_ms;
    net::log_event(parts_.log, "keys_renewed", {{"task", task.name}});
  }
}

Status Validator::prune() {
  const auto now = Clock::now();
  if (options_.keep_ms == 0 || (pruned_ && now < *pruned_ + kPruneEvery)) return {};
  // One more, for the day that a wrong clock may write before it is set right.
  const std::int64_t days = (options_.keep_ms + kDayMs - 1) / kDayMs + 1;
  BRAINLOCK_ASSIGN(const std::int64_t removed, parts_.store->prune_requests(parts_.clock(), days));
  pruned_ = now;
  if (removed > 0) net::log_event(parts_.log, "pruned", {{"requests", std::to_string(removed)}});
  return {};
}

void Validator::try_to_vote() {
  if (const auto voted = vote(); !voted.ok()) net::log_event(parts_.log, net::EventLevel::kWarning, "vote_failed", {{"error", voted.error().to_string()}});
}

void Validator::run(std::stop_token stop, std::uint64_t rounds) {
  std::mutex mutex;
  std::condition_variable_any wake;
  const auto pause = [&](std::int64_t ms) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
  };
  for (std::uint64_t done = 0; !stop.stop_requested() && (rounds == 0 || done < rounds);) {
    // Before all miners were asked once, a vote would be for those alone that came first. One who voted before knows them.
    auto tried = Clock::now();
    const auto report = run_round(stop, [&] {
      if ((done == 0 && last_vote_block_ == 0) || Clock::now() - tried < kVoteEvery) return;
      try_to_vote();
      tried = Clock::now();
    });
    if (!report.ok()) {
      // The ledger or the store is away, or the permit is not there yet: say so, and try again.
      net::log_event(parts_.log, net::EventLevel::kWarning, "round_failed", {{"error", report.error().to_string()}});
      set_state("waiting: " + report.error().message);
      pause(std::min<std::int64_t>(options_.round_pause_ms, 2'000));
      continue;
    }
    ++done;
    if (const auto pruned = prune(); !pruned.ok()) net::log_event(parts_.log, net::EventLevel::kWarning, "prune_failed", {{"error", pruned.error().to_string()}});
    try_to_vote();
    if (rounds != 0 && done == rounds) {
      if (const auto last = finish(stop); !last.ok()) net::log_event(parts_.log, net::EventLevel::kWarning, "round_failed", {{"error", last.error().to_string()}});
    }
    set_state("waiting for the next round");
    // Not to the second: a miner that knows when it is asked next could rest until then.
    const std::int64_t half = options_.round_pause_ms / 2;
    pause(half + static_cast<std::int64_t>(random_seed() % static_cast<std::uint64_t>(half + 1)));
  }
  set_state("stopped");
}

}  // namespace brainlock::validator
