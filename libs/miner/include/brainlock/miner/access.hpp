// Who may use a miner.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "brainlock/ledger/ledger.hpp"
#include "brainlock/protocol/refusal.hpp"

namespace brainlock::miner {

struct Admission {
  protocol::Refusal refusal = protocol::Refusal::kNone;
  bool validator = false;   ///< false: an ordinary user; all of them share one line in the queue
  std::optional<std::uint64_t> slot;   ///< this slot is the sender's to ask us (ledger::validator_in_slot)
};

class Access {
 public:
  virtual ~Access() = default;
  /// Must be quick: it stands before every body.
  [[nodiscard]] virtual Admission admit(const ledger::AccountId& sender) const = 0;
};

struct AccessOptions {
  bool force_validator_permit = true;
  std::uint64_t min_stake_rao = 0;
  bool open_to_everyone = false;         ///< ordinary users too (they need no registration)
  std::int64_t refresh_ms = 12'000;
  /// A refusal has the ledger read again after so long: whoever has just got its permit is served soon. While refusals go on it is twice as long each time,
  /// up to the second: strangers do not choose how often a node is asked (src/reread_pace.hpp).
  std::int64_t refresh_after_refusal_ms = 2'000, refresh_after_refusals_most_ms = 60'000;
  std::int64_t max_age_ms = 10 * 60'000; ///< an older picture of the ledger admits nobody
  std::optional<ledger::AccountId> self; ///< whose slots are told; none: nobody's
  std::uint64_t slot_blocks = 30;        ///< as validators have it
};

/// Judges by the metagraph, read at once and then in the background.
std::unique_ptr<Access> make_metagraph_access(std::shared_ptr<ledger::Ledger> ledger, const AccessOptions& options);

}  // namespace brainlock::miner
