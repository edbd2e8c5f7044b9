// EmbeddedLedger: a subnet in one file, for one machine and no chain. Same interface, same rules, same consensus.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "brainlock/base/result.hpp"
#include "brainlock/ledger/ledger.hpp"

namespace brainlock::store {
class Database;
}

namespace brainlock::ledger {

/// How a new embedded subnet starts.
struct Genesis {
  std::uint16_t netuid = 54;
  std::int64_t block_interval_ms = 12'000;
  std::uint64_t emission_per_block_rao = 820'000'000;  ///< what neurons share: 1 per block less the owner's 18 %
  std::optional<AccountId> owner_hotkey;
  Hyperparameters parameters;
};

/// Unix time in milliseconds; replaced in tests.
using WallClock = std::function<std::int64_t()>;
WallClock system_wall_clock();

/// Blocks are counted by the clock; nobody has to run for time to pass. An epoch that fell due is worked out by whoever
/// looks next, at the block where it was due (of a long absence, only the last 64 epochs are worked out).
///
/// Many processes may hold the file; every change is one transaction on disk. There is no cryptography: whoever may
/// write the file may do anything, as befits a test network on one machine. Signers are asked for their account only.
/// Differences from the chain: loopback addresses are taken; emission is shown but does not change stakes; stakes
/// and balances are given by set_stake and credit; committed votes are hidden by this interface, not by encryption.
class EmbeddedLedger final : public Ledger {
 public:
  /// Makes the file. kInvalidArgument if one is there already or the genesis makes no sense; errors of the store.
  static Result<std::unique_ptr<EmbeddedLedger>> create(const std::filesystem::path& path, const Genesis& genesis,
                                                        WallClock clock = system_wall_clock());
  /// Opens an existing one. kNotFound, kCorrupted (not a ledger), kUnsupported (from a newer program).
  static Result<std::unique_ptr<EmbeddedLedger>> open(const std::filesystem::path& path,
                                                      WallClock clock = system_wall_clock());
  /// A copy in memory, for those who only look: epochs that fell due are worked out there, and the file stays as it is. Errors as of open(), and of
  /// store::copy_sqlite_to_memory().
  static Result<std::unique_ptr<EmbeddedLedger>> open_copy(const std::filesystem::path& path,
                                                           WallClock clock = system_wall_clock());
  ~EmbeddedLedger() override;

  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] std::uint16_t netuid() const override { return netuid_; }
  Result<BlockTime> block_time() override;
  Result<Metagraph> metagraph(bool with_weights) override;
  Result<std::vector<Weight>> weights(Uid uid) override;
  Result<Outcome> register_neuron(const Signer& coldkey, const AccountId& hotkey) override;
  Result<Outcome> serve_axon(const Signer& hotkey, const Axon& axon) override;
  Result<Outcome> set_weights(const Signer& hotkey, std::span<const Weight> weights,
                              std::uint64_t version_key) override;

  /// What a test network's owner can do.
  Status set_stake(const AccountId& hotkey, std::uint64_t stake_rao);  ///< kNotFound if not registered
  Status credit(const AccountId& coldkey, std::uint64_t rao);
  Result<std::uint64_t> balance(const AccountId& coldkey);
  Status set_parameters(const Hyperparameters& parameters);

 private:
  EmbeddedLedger(std::unique_ptr<store::Database> database, std::filesystem::path path, WallClock clock);
  Status load();
  /// Runs `work` in a transaction at the present block, after the epochs that fell due.
  Status at_block(const std::function<Status(BlockNumber)>& work);
  Result<Outcome> decide_at_block(const std::function<Result<Outcome>(BlockNumber)>& work);
  Result<BlockNumber> catch_up();
  Status run_epoch_at(BlockNumber block, const Hyperparameters& parameters);
  [[nodiscard]] BlockNumber clock_block() const;

  std::unique_ptr<store::Database> database_;
  std::filesystem::path path_;
  WallClock clock_;
  std::mutex mutex_;
  std::uint16_t netuid_ = 0;
  std::int64_t genesis_ms_ = 0;
  std::int64_t block_interval_ms_ = 1;
  std::uint64_t emission_per_block_rao_ = 0;
  std::optional<AccountId> owner_hotkey_;
};

}  // namespace brainlock::ledger
