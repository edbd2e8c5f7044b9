// Ledger: what a miner and a validator need of a chain. One implementation is a local file (embedded_ledger.hpp), the
// other speaks to a real chain (libs/chain); services know only this file and types.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ledger/types.hpp"

namespace brainlock::ledger {

/// Signs for one account. The secret stays behind this interface.
class Signer {
 public:
  virtual ~Signer() = default;
  [[nodiscard]] virtual AccountId account() const = 0;
  /// sr25519 signature of `message` in the "substrate" context.
  [[nodiscard]] virtual Result<std::array<std::uint8_t, 64>> sign(std::span<const std::uint8_t> message) const = 0;
};

/// Why a ledger did not do what was asked. Closed list; each value has a test that produces it.
enum class Refusal {
  kNone,
  kSubnetUnknown,  ///< no subnet of that number
  kNotRegistered,  ///< the hotkey has no uid
  kAlreadyRegistered,
  kRegistrationClosed,  ///< the owner has switched registration off
  kSubnetFull,          ///< every uid is taken and immune
  kNotEnoughBalance,    ///< registration costs more than the coldkey has
  kStakeTooLow,         ///< below the stake threshold
  kNoPermit,            ///< not among the permitted validators of the last epoch
  kTooSoon,             ///< rate limit; Outcome::blocks_to_wait says for how long
  kVersionTooOld,       ///< version key below the subnet's
  kNoWeights,           ///< an empty or all-zero vote
  kTooFewWeights,
  kWeightTooLarge,  ///< one weight is above max_weights_limit of the vote
  kDuplicateUid,
  kUnknownUid,
  kBadAddress,  ///< not an IP address, or one that the ledger does not take
  kBadPort,
  kCommitRevealOnly,  ///< plain weights are switched off and this implementation could not commit
  kOther,             ///< a refusal without a name here; the message quotes it
};

/// Stable snake_case name of a refusal, for JSON, logs and metrics.
std::string_view refusal_name(Refusal refusal);
/// One sentence for people, without numbers.
std::string_view refusal_sentence(Refusal refusal);

/// What became of a request that reached the ledger. A refusal is not an Error: the ledger works, and said no.
struct Outcome {
  Refusal refusal = Refusal::kNone;
  std::string message;               ///< one line for people; for kTooSoon "next allowed in N blocks"
  BlockNumber block = 0;             ///< where it was included, or judged
  std::uint64_t blocks_to_wait = 0;  ///< for kTooSoon
  std::optional<Uid> uid;            ///< of the neuron, where known (a registration gives it)
  /// For a committed vote: the block from which it counts and can be read back. Absent when it counts at once.
  std::optional<BlockNumber> revealed_at_block;

  [[nodiscard]] bool accepted() const { return refusal == Refusal::kNone; }
};

/// The present of the ledger.
struct BlockTime {
  BlockNumber block = 0;
  std::int64_t block_interval_ms = 0;    ///< usual time between two blocks
  std::int64_t until_next_block_ms = 0;  ///< estimate, at least 0
  /// Unix time of the newest block, as it says itself; nothing where that would be this machine's own clock.
  std::optional<std::int64_t> made_ms = std::nullopt;
};

/// A subnet of a chain. Every call may block on disk or network and is safe from many threads. Errors (not refusals):
/// kUnavailable, kTimeout, kIo, kCorrupted, kMalformed from whatever is underneath; a caller retries later.
class Ledger {
 public:
  virtual ~Ledger() = default;

  /// One line that says which ledger this is: a file, or an endpoint and its network.
  [[nodiscard]] virtual std::string describe() const = 0;
  [[nodiscard]] virtual std::uint16_t netuid() const = 0;

  [[nodiscard]] virtual Result<BlockTime> block_time() = 0;

  /// Everything at one block. Votes are read only on request (they are the expensive part on a real chain).
  [[nodiscard]] virtual Result<Metagraph> metagraph(bool with_weights = false) = 0;

  /// The vote of one neuron as the ledger holds it, in uid order: proof that weights landed. Empty if it has none.
  [[nodiscard]] virtual Result<std::vector<Weight>> weights(Uid uid) = 0;

  /// Takes a uid for `hotkey`, owned and paid for by the signer's coldkey.
  [[nodiscard]] virtual Result<Outcome> register_neuron(const Signer& coldkey, const AccountId& hotkey) = 0;

  /// Announces where the signer's server is. An equal announcement of the present address is accepted without effect.
  [[nodiscard]] virtual Result<Outcome> serve_axon(const Signer& hotkey, const Axon& axon) = 0;

  /// Sets the signer's vote, or commits it where the subnet wants that. Returns after inclusion is confirmed.
  [[nodiscard]] virtual Result<Outcome> set_weights(const Signer& hotkey, std::span<const Weight> weights,
                                                    std::uint64_t version_key) = 0;
};

}  // namespace brainlock::ledger
