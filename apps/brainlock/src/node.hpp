// What `miner`, `validator` and `query` share: hotkeys as signers, the ledger, signals.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "brainlock/ledger/ledger.hpp"
#include "brainlock/protocol/signer.hpp"
#include "wallet_options.hpp"

namespace brainlock::app {

/// One hotkey, for the protocol and for the ledger.
struct Hotkey {
  protocol::Signer signer;
  std::shared_ptr<ledger::Signer> ledger_signer;
};
Hotkey make_hotkey(const crypto::Sr25519KeyPair& pair);
/// The hotkey of a wallet; asks for a password where the file is encrypted.
Result<Hotkey> load_hotkey(const WalletOptions& wallet);
/// A key for those who need none of their own: made anew each time, or read from `seed_file` (0600), which is made if absent.
Result<Hotkey> user_key(const std::filesystem::path& seed_file);

/// Where the subnet's state is: in a file, or on a Bittensor network.
struct LedgerOptions {
  std::string file;  ///< of an embedded ledger; a network otherwise
  std::string network = "finney";
  std::string endpoint;
  int netuid = -1;
  std::string commit_folder;
  bool hash_commits = false;

  void add_to(CLI::App& command, bool votes = true);
  [[nodiscard]] bool given() const { return !file.empty() || netuid >= 0; }
  [[nodiscard]] bool on_chain() const { return file.empty() && netuid >= 0; }
  /// kInvalidArgument unless exactly one of --ledger and --netuid was given.
  [[nodiscard]] Result<std::shared_ptr<ledger::Ledger>> open() const;
};

/// `--hash-commits`, for commands that vote.
void add_hash_commits_flag(CLI::App& command, bool& flag);

/// Where committed votes are kept until their reveal: ~/.brainlock/commits.
std::filesystem::path default_commit_folder();

/// From now on SIGINT and SIGTERM are held back in this thread and in those it starts; wait_for_signal() takes the next one. SIGPIPE is ignored: whoever reads
/// what a service says may end before it.
void hold_signals();
int wait_for_signal();
/// True if a signal came within the time.
bool wait_for_signal(std::int64_t timeout_ms);

}  // namespace brainlock::app
