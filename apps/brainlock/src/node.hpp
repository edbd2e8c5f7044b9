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

/// Where the subnet's state is.
struct LedgerOptions {
  std::string file;   ///< of an embedded ledger
  void add_to(CLI::App& command);
  [[nodiscard]] Result<std::shared_ptr<ledger::Ledger>> open() const;
};

/// From now on SIGINT and SIGTERM are held back in this thread and in those it starts; wait_for_signal() takes the next one.
void hold_signals();
int wait_for_signal();
/// True if a signal came within the time.
bool wait_for_signal(std::int64_t timeout_ms);

}  // namespace brainlock::app
