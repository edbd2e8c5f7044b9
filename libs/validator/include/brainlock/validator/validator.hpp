// The validator's work, step by step; the loop around it is run().
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/ledger/ledger.hpp"
#include "brainlock/ledger/schedule.hpp"
#include "brainlock/net/event_log.hpp"
#include "brainlock/sampler/sampler.hpp"
#include "brainlock/score/score.hpp"
#include "brainlock/store/store.hpp"
#include "brainlock/validator/judge.hpp"
#include "brainlock/validator/task.hpp"

namespace brainlock::validator {

struct ValidatorOptions {
  score::Rule rule;
  std::int64_t request_timeout_ms = 120'000;
  std::int64_t patience_ms = 20'000;          ///< after which others' questions go on without a miner
  std::int64_t key_timeout_ms = 180'000;      ///< for one part of a key upload, and
  std::int64_t upload_timeout_ms = 900'000;   ///< for all of it: what is there stays, and the next upload goes on from it
  unsigned uploads_an_hour = 3;               ///< of one key to one miner: one that loses it each time is not sent it for ever
  std::int64_t keep_alive_ms = 4'000;         ///< between words to miners that wait for the others of their batch
  unsigned parallel = 8;                      ///< miners asked at once
  std::size_t most_aside = 64;                ///< questions under way to slow miners, as many to new ones, and as many to those that were never right: each
                                              ///< holds a thread, and a part of a key perhaps
  unsigned threads = 2;                       ///< for encryption and judging
  std::uint64_t slot_blocks = 0;              ///< 0: one slot, every miner in every round (a single validator)
  /// Where several validators share the miners: questions to a miner in its slot, at secret times. What counts then spans many slots, and
  /// a miner that works in its slots' first minutes alone fails in most.
  std::size_t questions_per_slot = 4;
  std::uint64_t vote_interval_blocks = 0;     ///< besides the ledger's own limit
  std::uint64_t version_key = 0;
  bool tls = true;                            ///< ask over TLS, and only servers whose certificate the miner's hotkey has signed
  bool allow_private_addresses = false;       ///< for test networks: elsewhere an address must be of the public internet
  std::uint64_t permit_settle_blocks = 3;     ///< a permit that has just come is not yet known to miners, who read the ledger each block or so
  unsigned draws = 32;                        ///< of an input for one question, until one is in the package's range
  std::int64_t round_pause_ms = 10'000;       ///< between the ends and starts of rounds; drawn between half and all of it
  /// Age at which a task's keys give way to others: miners choose the answers and learn which are accepted, so a key that serves for
  /// ever would be asked about for ever. 0: never.
  std::int64_t key_life_ms = 7LL * 24 * 3600 * 1000;
  /// How long requests are kept at least; once an hour older ones are deleted, by days in which anything was asked rather than by the clock
  /// (Store::prune_requests). 0 keeps them all.
  std::int64_t keep_ms = 90LL * 24 * 3600 * 1000;
};

struct ValidatorParts {
  protocol::Signer self;                      ///< the hotkey, for requests
  std::shared_ptr<ledger::Signer> ledger_signer;
  std::shared_ptr<ledger::Ledger> ledger;
  std::shared_ptr<store::Store> store;
  std::vector<Task> tasks;                    ///< at least one
  std::function<Result<sampler::Sample>(const Task&, std::uint64_t seed)> draw;  ///< an input of the task's shape
  client::WallClock clock = client::system_wall_clock();
  net::EventLog log;
};

/// A miner as the leaderboard shows it.
struct MinerStanding {
  ledger::Uid uid = 0;
  ledger::AccountId hotkey{};
  score::Standing standing;        ///< over all packages; of several, the score is the geometric mean of each package's own
  double confidence = 0;           ///< what a vote multiplies the score by (score::confidence)
  std::string last_reason;         ///< of the newest request; empty if there was none
  std::string zero_because;        ///< empty if the score is above 0
  std::uint16_t weight_sent = 0;   ///< of the last accepted vote
  std::uint16_t weight_on_ledger = 0;
  std::uint16_t incentive = 0;
};

/// Of the questions that ended.
struct RoundReport {
  std::size_t asked = 0, succeeded = 0, failed = 0, not_counted = 0;
};

/// Inputs that were drawn and not asked: beyond a limit, or where errors grow large, the promised error does not hold, and an answer that
/// wraps around is wrong, however honest the miner.
struct RejectedInputs {
  std::uint64_t beyond_limit = 0, wrapping = 0;
};

/// What is happening now, for the page.
struct Activity {
  std::string state = "starting";
  std::int64_t since_ms = 0;
  std::uint64_t rounds = 0;
  std::uint64_t block = 0;
  std::uint64_t blocks_until_vote = 0;
  std::string last_vote;
  std::uint64_t excused = 0;   ///< failures since the start that were this validator's own outage (outage.hpp)
};

class Asker;
class OutageWatch;
class Turns;
struct Question;
enum class Seat;

/// run_round and vote by one thread at a time; standings, activity and rejected_inputs by any.
class Validator {
 public:
  static Result<std::unique_ptr<Validator>> make(ValidatorParts parts, ValidatorOptions options);
  /// Breaks off what is under way.
  ~Validator();

  /// Asks the miners that are due, judges, records; `between` is called after each batch of them. Of a batch all are asked at the same
  /// moment. A batch of new miners comes first, those that kept the validator waiting of late after those that did not, together with those that did so for
  /// about as long, then other new ones, and last those that were never right, some of which rest (turns.hpp). Nobody is waited for longer than `patience_ms`: later answers are judged and
  /// recorded when they come, by this round or another, and miners known to take longer are asked beside the others. Errors: of the ledger or store; a
  /// miner's failure is none.
  Result<RoundReport> run_round(std::stop_token stop = {}, const std::function<void()>& between = {});
  /// Waits for the questions that are still out, judges, records. Of silences that might be this validator's own nothing will be known: they count.
  Result<RoundReport> finish(const std::stop_token& stop = {});
  /// Votes if the ledger allows it now; nothing happens (and no Outcome) otherwise or when nobody has a score: ledgers know no such vote. The
  /// old one then stays until it is too old to count.
  Result<std::optional<ledger::Outcome>> vote();
  /// Rounds, and votes in their middle too (a round of miners that are slow on purpose takes long), until stopped or `rounds` have ended
  /// well; 0: for ever. What goes wrong is logged and tried again.
  void run(std::stop_token stop, std::uint64_t rounds = 0);

  /// All miners, best first.
  Result<std::vector<MinerStanding>> standings();
  [[nodiscard]] Activity activity() const;
  /// Since the start.
  [[nodiscard]] RejectedInputs rejected_inputs() const;
  [[nodiscard]] const ValidatorParts& parts() const { return parts_; }
  [[nodiscard]] const ValidatorOptions& options() const { return options_; }

 private:
  Validator(ValidatorParts parts, ValidatorOptions options);

  void prepare(Question& question);
  /// Questions for those miners, encrypted.
  std::vector<std::unique_ptr<Question>> questions_for(const ledger::Metagraph& metagraph, std::span<const ledger::Uid> uids, Seat seat);
  /// Judges and records what has ended, and what could not be recorded before.
  Status collect(RoundReport& report);
  /// Makes up its mind about silences, as far as that is possible; at `last`, about all.
  void settle_doubts(bool last);
  Result<std::vector<MinerStanding>> standings_of(const ledger::Metagraph& metagraph);
  /// The newest rows that count for a miner, enough for a window of each package.
  Result<std::vector<store::RequestRow>> counted_rows(const ledger::AccountId& miner, std::int64_t now_ms);
  /// Whether the next of a miner's questions of this slot is due.
  bool due_in_slot(const ledger::AccountId& miner, std::uint64_t block);
  void forget_strangers(const ledger::Metagraph& metagraph);
  void try_to_vote();
  Status draw_in_range(Question& question);
  void judge(Question& question);
  [[nodiscard]] store::RequestRow row_of(const Question& question) const;
  Status record(std::span<const std::unique_ptr<Question>> questions);
  Status prune();
  void renew_keys();
  void set_state(std::string state);
  Result<ledger::Metagraph> metagraph();

  ValidatorParts parts_;
  ValidatorOptions options_;
  AnswerMemory answers_;
  NoiseMemory noise_;
  mutable std::mutex mutex_;
  Activity activity_;
  RejectedInputs rejected_;
  struct SlotPlan {
    std::uint64_t slot = 0;
    std::vector<std::uint64_t> blocks;        ///< of the slot: when the next question is due, at random
    std::size_t asked = 0;
  };
  std::map<ledger::AccountId, SlotPlan> plans_;
  std::vector<std::unique_ptr<Question>> judged_;   ///< and not recorded yet
  std::vector<std::unique_ptr<Question>> in_doubt_; ///< not answered, and it is not known yet whose fault that is
  std::vector<std::uint16_t> last_vote_;      ///< by uid
  bool nobody_scores_ = false;                ///< said already
  std::uint64_t last_vote_block_ = 0;
  std::optional<std::chrono::steady_clock::time_point> pruned_;
  bool permit_was_missing_ = false;
  std::optional<std::uint64_t> permit_since_block_;   ///< of a permit that came while this validator ran
  std::unique_ptr<Turns> turns_;
  std::unique_ptr<OutageWatch> outage_;
  std::unique_ptr<Asker> asker_;              ///< last: its threads use the others
};

}  // namespace brainlock::validator
