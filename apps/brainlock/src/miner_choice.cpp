#include "miner_choice.hpp"

#include <cstdio>
#include <cstdlib>

#include "brainlock/protocol/messages.hpp"

namespace brainlock::app {
namespace {

/// Who says it is at an address. Unproved: whoever answers there names itself.
Result<protocol::AccountId> ask_hotkey(const client::MinerAddress& address) {
  net::Client client(address.ip, address.port);
  BRAINLOCK_ASSIGN(const auto answer, client.send({"GET", "/v1/status", {}, {}}, {}));
  BRAINLOCK_ASSIGN(const auto status, protocol::parse_status({reinterpret_cast<const char*>(answer.body.data()), answer.body.size()}));
  return crypto::ss58_decode(status.hotkey);
}

}  // namespace

Result<client::MinerAddress> MinerChoice::find() const {
  if (ledger.given()) {
    if (uid < 0) return Error{ErrorCode::kInvalidArgument, "--ledger and --netuid need --uid"};
    BRAINLOCK_ASSIGN(const auto opened, ledger.open());
    BRAINLOCK_ASSIGN(const auto metagraph, opened->metagraph());
    if (static_cast<std::size_t>(uid) >= metagraph.neurons.size() || !metagraph.neurons[static_cast<std::size_t>(uid)].axon) {
      return Error{ErrorCode::kNotFound, "uid " + std::to_string(uid) + " serves no address"};
    }
    const auto& neuron = metagraph.neurons[static_cast<std::size_t>(uid)];
    // Anybody may write any address to a chain: strangers do not get to point this program into its own network.
    if (ledger.on_chain() && !allow_private && ledger::is_non_public_ip(neuron.axon->ip)) {
      return Error{ErrorCode::kDenied, "uid " + std::to_string(uid) + " announces " + neuron.axon->ip +
                                           ", which is no address of the public internet; --allow-private asks it all the same"};
    }
    return client::MinerAddress{neuron.hotkey, neuron.axon->ip, neuron.axon->port, !plain};
  }
  if (address.empty()) return Error{ErrorCode::kInvalidArgument, "which miner? --miner ADDRESS:PORT, or --uid N with --ledger FILE or --netuid N"};
  BRAINLOCK_ASSIGN(client::MinerAddress out, client::parse_address(address));
  if (hotkey.empty()) {
    BRAINLOCK_ASSIGN(out.hotkey, ask_hotkey(out));
    std::fprintf(stderr, "the miner says that it is %s; --miner-hotkey makes sure\n", crypto::ss58_encode(out.hotkey).c_str());
  } else {
    BRAINLOCK_ASSIGN(out.hotkey, crypto::ss58_decode(hotkey));
  }
  out.tls = !plain;
  return out;
}

void MinerChoice::add_to(CLI::App& command) {
  command.add_option("--miner", address, "ADDRESS:PORT of the miner");
  command.add_option("--miner-hotkey", hotkey, "Hotkey that its answers must be signed by");
  ledger.add_to(command, false);
  command.add_option("--uid", uid, "The miner's uid on that ledger");
  command.add_flag("--allow-private,--allow-private-addresses", allow_private, "Ask a miner of a network at an address that is not of the public internet");
  command.add_flag("--plain", plain, "Over plain HTTP; TLS bound to the miner's hotkey otherwise");
}

void add_asking_options(CLI::App& command, double& timeout_s, unsigned& threads) {
  command.add_option("--timeout", timeout_s, "Seconds to wait for an answer")->check(CLI::Range(0.001, 1e6))->capture_default_str();
  command.add_option("--threads", threads, "Threads for making keys")->check(CLI::Range(1, 1024))->capture_default_str();
}

std::filesystem::path client_home(const std::string& given) {
  if (!given.empty()) return given;
  const char* const home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "." : home) / ".brainlock";
}

std::filesystem::path client_keys(const std::filesystem::path& home, const package::Package& package) {
  return home / "keys" / package.hash_hex().substr(0, 16);
}

}  // namespace brainlock::app
