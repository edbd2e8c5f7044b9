#include "node.hpp"

#include <csignal>
#include <cstdlib>
#include <ctime>

#include "brainlock/base/file.hpp"
#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/chain/pairing_program.hpp"
#include "brainlock/client/identity.hpp"
#include "brainlock/ledger/embedded_ledger.hpp"
#include "brainlock/ledger/key_signer.hpp"

namespace brainlock::app {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Hotkey make_hotkey(const crypto::Sr25519KeyPair& pair) {
  return {protocol::make_signer(pair.clone()), std::make_shared<ledger::KeySigner>(pair.clone())};
}

Result<Hotkey> load_hotkey(const WalletOptions& wallet) {
  BRAINLOCK_ASSIGN(const auto key, wallet.store().load_hotkey(wallet.name, wallet.hotkey, wallet.password_source()));
  BRAINLOCK_ASSIGN(const auto* pair, key.pair());
  return make_hotkey(*pair);
}

Result<Hotkey> user_key(const std::filesystem::path& seed_file) {
  BRAINLOCK_ASSIGN(const auto pair, client::user_key(seed_file));
  return make_hotkey(pair);
}

void add_hash_commits_flag(CLI::App& command, bool& flag) {
  command.add_flag("--hash-commits", flag, "commit votes as hashes and reveal them later, also where the chain takes sealed ones that it opens by itself");
}

std::filesystem::path default_commit_folder() {
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : ".") / ".brainlock" / "commits";
}

void LedgerOptions::add_to(CLI::App& command, bool votes) {
  commit_folder = default_commit_folder().string();
  auto* embedded = command.add_option("--ledger", file, "file of an embedded ledger (as `brainlock devnet up` makes one)");
  command.add_option("--netuid", netuid, "number of the subnet on a Bittensor network, in place of --ledger")->check(CLI::Range(0, 65535))->excludes(embedded);
  command.add_option("--subtensor.network,--network", network, "finney, test, local, or a ws/wss/http/https address")->capture_default_str();
  command.add_option("--subtensor.chain_endpoint,--endpoint", endpoint, "address of a node, or several separated by commas; overrides --network");
  if (!votes) return;
  command.add_option("--commit-folder", commit_folder, "where a validator's committed votes are kept until their reveal")->capture_default_str();
  add_hash_commits_flag(command, hash_commits);
}

Result<std::shared_ptr<ledger::Ledger>> LedgerOptions::open() const {
  if (!file.empty()) {
    BRAINLOCK_ASSIGN(auto embedded, ledger::EmbeddedLedger::open(file));
    return std::shared_ptr<ledger::Ledger>(std::move(embedded));
  }
  if (netuid < 0) return Error{ErrorCode::kInvalidArgument, "which subnet? --netuid N on --network NAME, or --ledger FILE"};
  BRAINLOCK_ASSIGN(auto transport, chain::open_transport(endpoint.empty() ? network : endpoint));
  BRAINLOCK_ASSIGN(auto on_chain, chain::ChainLedger::open(std::move(transport), {static_cast<std::uint16_t>(netuid), commit_folder, hash_commits ? chain::PairingFunction() : chain::installed_pairing()}));
  return std::shared_ptr<ledger::Ledger>(std::move(on_chain));
}

void hold_signals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
}

int wait_for_signal() {
  const sigset_t set = stop_signals();
  int signal = 0;
  sigwait(&set, &signal);
  return signal;
}

bool wait_for_signal(std::int64_t timeout_ms) {
  const sigset_t set = stop_signals();
  const timespec time{static_cast<time_t>(timeout_ms / 1000), static_cast<long>(timeout_ms % 1000) * 1'000'000};
  return sigtimedwait(&set, nullptr, &time) > 0;
}

}  // namespace brainlock::app
