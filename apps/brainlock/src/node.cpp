#include "node.hpp"

#include <csignal>
#include <ctime>

#include "brainlock/base/file.hpp"
#include "brainlock/ledger/embedded_ledger.hpp"

namespace brainlock::app {
namespace {

class PairSigner final : public ledger::Signer {
 public:
  explicit PairSigner(crypto::Sr25519KeyPair pair) : pair_(std::move(pair)) {}
  ledger::AccountId account() const override { return pair_.public_key(); }
  Result<std::array<std::uint8_t, 64>> sign(std::span<const std::uint8_t> message) const override { return pair_.sign(message); }

 private:
  crypto::Sr25519KeyPair pair_;
};

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Hotkey make_hotkey(const crypto::Sr25519KeyPair& pair) {
  return {protocol::make_signer(pair.clone()), std::make_shared<PairSigner>(pair.clone())};
}

Result<Hotkey> load_hotkey(const WalletOptions& wallet) {
  BRAINLOCK_ASSIGN(const auto key, wallet.store().load_hotkey(wallet.name, wallet.hotkey, wallet.password_source()));
  BRAINLOCK_ASSIGN(const auto* pair, key.pair());
  return make_hotkey(*pair);
}

Result<Hotkey> user_key(const std::filesystem::path& seed_file) {
  auto seed = chain::read_secret_file(seed_file, 32);
  if (!seed.ok()) {
    if (seed.error().code != ErrorCode::kNotFound) return seed.error();
    const auto fresh = crypto::generate_mini_secret();
    BRAINLOCK_TRY(chain::write_private_file(seed_file, fresh.view(), false));
    BRAINLOCK_ASSIGN(const auto pair, crypto::Sr25519KeyPair::from_mini_secret(fresh.view()));
    return make_hotkey(pair);
  }
  BRAINLOCK_ASSIGN(const auto pair, crypto::Sr25519KeyPair::from_mini_secret(seed->bytes()));
  return make_hotkey(pair);
}

void LedgerOptions::add_to(CLI::App& command) {
  command.add_option("--ledger", file, "file of an embedded ledger (as `brainlock devnet up` makes one)")->required();
}

Result<std::shared_ptr<ledger::Ledger>> LedgerOptions::open() const {
  BRAINLOCK_ASSIGN(auto embedded, ledger::EmbeddedLedger::open(file));
  return std::shared_ptr<ledger::Ledger>(std::move(embedded));
}

void hold_signals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
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
