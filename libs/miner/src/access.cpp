#include "brainlock/miner/access.hpp"

#include <algorithm>
#include <chrono>

#include "brainlock/ledger/schedule.hpp"
#include "reread_pace.hpp"

namespace brainlock::miner {
namespace {

using protocol::Refusal;
using Clock = std::chrono::steady_clock;

class MetagraphAccess final : public Access {
 public:
  MetagraphAccess(std::shared_ptr<ledger::Ledger> ledger, const AccessOptions& options)
      : ledger_(std::move(ledger)),
        options_(options),
        pace_(std::chrono::milliseconds(options.refresh_ms), std::chrono::milliseconds(options.refresh_after_refusal_ms),
              std::chrono::milliseconds(options.refresh_after_refusals_most_ms)) {
    pace_.reads(Clock::now());
    refresh();
    thread_ = std::jthread([this](const std::stop_token& stop) {
      std::unique_lock lock(mutex_);
      while (!stop.stop_requested()) {
        if (const auto due = pace_.due(); Clock::now() < due) {
          wake_.wait_until(lock, stop, due, [&] { return pace_.due() != due; });
          continue;
        }
        pace_.reads(Clock::now());
        lock.unlock();
        refresh();
        lock.lock();
      }
    });
  }

  Admission admit(const ledger::AccountId& sender) const override {
    const std::lock_guard lock(mutex_);
    const bool known = metagraph_ && Clock::now() - read_at_ < std::chrono::milliseconds(options_.max_age_ms);
    if (!known) return {options_.open_to_everyone ? Refusal::kNone : Refusal::kAccessUnknown, false, {}};
    const ledger::Neuron* neuron = metagraph_->find(sender);
    const bool owner = metagraph_->owner_hotkey == sender;
    Refusal refusal = Refusal::kNone;
    if (neuron == nullptr) refusal = Refusal::kNotRegistered;
    else if (options_.force_validator_permit && !neuron->validator_permit && !owner) refusal = Refusal::kNoPermit;
    else if (neuron->stake_rao < options_.min_stake_rao) refusal = Refusal::kStakeTooLow;
    if (refusal == Refusal::kNone) return {Refusal::kNone, true, slot_owner_ == sender ? std::optional(metagraph_->block / options_.slot_blocks) : std::nullopt};
    const auto was_due = pace_.due();
    pace_.refuses(Clock::now());
    if (pace_.due() != was_due) wake_.notify_one();
    return {options_.open_to_everyone ? Refusal::kNone : refusal, false, {}};
  }

 private:
  void refresh() {
    auto metagraph = ledger_->metagraph(false);
    if (!metagraph.ok()) return;  // the old picture stands until it is too old
    const std::lock_guard lock(mutex_);
    metagraph_ = std::move(*metagraph);
    read_at_ = Clock::now();
    slot_owner_.reset();
    const ledger::Neuron* self = options_.self ? metagraph_->find(*options_.self) : nullptr;
    if (self == nullptr) return;
    if (const auto owner = ledger::validator_in_slot(*metagraph_, self->uid, options_.slot_blocks)) slot_owner_ = metagraph_->neurons[*owner].hotkey;
  }

  const std::shared_ptr<ledger::Ledger> ledger_;
  const AccessOptions options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any wake_;
  mutable RereadPace pace_;
  std::optional<ledger::Metagraph> metagraph_;
  Clock::time_point read_at_{};
  std::optional<ledger::AccountId> slot_owner_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Access> make_metagraph_access(std::shared_ptr<ledger::Ledger> ledger, const AccessOptions& options) {
  return std::make_unique<MetagraphAccess>(std::move(ledger), options);
}

}  // namespace brainlock::miner
