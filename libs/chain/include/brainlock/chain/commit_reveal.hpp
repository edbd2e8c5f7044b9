// Commit-reveal weights, version 2: first the hash of a vote, an epoch later the vote.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/chain/client.hpp"
#include "brainlock/crypto/hash.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::chain {

/// A vote that was, or is about to be, committed. Everything that its reveal needs.
struct PendingCommit {
  BlockHash genesis{};  ///< of the chain it belongs to: votes of two networks never mix
  std::uint16_t netuid = 0;
  crypto::AccountId hotkey{};
  std::vector<std::uint16_t> uids, values, salt;
  std::uint64_t version_key = 0;

  /// BLAKE2b-256 of SCALE (hotkey, netuid, uids, values, salt, version_key).
  [[nodiscard]] crypto::Hash256 hash() const;
  bool operator==(const PendingCommit&) const = default;
};

/// Pending commits as files of a folder, one each, 0600. A vote whose salt is lost cannot be revealed, so the file is
/// written and synced before the commit is sent, and removed only after the reveal or the end of its window.
class CommitStore {
 public:
  explicit CommitStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] Status save(const PendingCommit& commit) const;
  /// Those of one hotkey on one subnet of one chain. Unreadable files are an error that names them: they hold votes.
  [[nodiscard]] Result<std::vector<PendingCommit>> load(const BlockHash& genesis, std::uint16_t netuid,
                                                        const crypto::AccountId& hotkey) const;
  [[nodiscard]] Status remove(const PendingCommit& commit) const;
  /// Time since the commit was saved; zero when that cannot be read.
  [[nodiscard]] std::chrono::seconds age(const PendingCommit& commit) const;

  /// The file form, for tests and fuzzing.
  [[nodiscard]] static std::string to_text(const PendingCommit& commit);
  [[nodiscard]] static Result<PendingCommit> from_text(std::string_view text);

 private:
  [[nodiscard]] std::filesystem::path file_of(const PendingCommit& commit) const;
  std::filesystem::path folder_;
};

/// How votes get to a subnet at a block.
enum class VoteScheme {
  kPlain,        ///< commit-reveal is off: set_weights
  kHashCommit,   ///< commit-reveal version 2: commit_weights and reveal_weights
  kTimelocked,   ///< commit-reveal version 4: commit_timelocked_weights
  kUnsupported,  ///< only the timelocked form is left, and it cannot be made
};
/// `can_seal`: whether there is a pairing. Sealed votes are preferred wherever the chain can open them, as nothing needs to be revealed.
[[nodiscard]] Result<VoteScheme> vote_scheme(ChainClient& client, const BlockView& view, std::uint16_t netuid, bool can_seal);
/// What a validator should know about a scheme, one or two sentences.
[[nodiscard]] std::string vote_notice(VoteScheme scheme);
/// The same for a subnet, with why votes are not sealed where they could be; printed at start-up.
[[nodiscard]] Result<std::string> read_vote_notice(ChainClient& client, const BlockView& view, std::uint16_t netuid, bool can_seal);

/// Saves and commits a vote. The outcome's revealed_at_block is the first block of its reveal window.
[[nodiscard]] Result<ledger::Outcome> commit_weights(ChainClient& client, const ledger::Signer& hotkey,
                                                     std::uint16_t netuid, std::span<const ledger::Weight> weights,
                                                     std::uint64_t version_key, const CommitStore& store);

struct RevealReport {
  int revealed = 0;
  int waiting = 0;   ///< committed, not yet in their window
  int dropped = 0;   ///< window passed, or not on the chain an hour after it was saved
  std::optional<std::uint64_t> next_reveal_block;
  std::vector<std::string> messages;  ///< one line a commit that was revealed, dropped or refused
};

/// Reveals what is in its window and forgets what has passed. Call it at start-up and every few blocks.
[[nodiscard]] Result<RevealReport> reveal_due(ChainClient& client, const ledger::Signer& hotkey, std::uint16_t netuid,
                                              const CommitStore& store);

}  // namespace brainlock::chain
