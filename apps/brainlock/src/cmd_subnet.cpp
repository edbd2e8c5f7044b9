// `brainlock subnet`: registration, metagraph, hyperparameters, address and weights on a Bittensor network.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "brainlock/chain/chain_ledger.hpp"
#include "brainlock/chain/pairing_program.hpp"
#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "commands.hpp"
#include "node.hpp"
#include "wallet_options.hpp"

namespace brainlock::app {
namespace {

using nlohmann::json;

struct SubnetOptions : WalletOptions {
  std::string network = "finney";
  std::string endpoint;
  std::uint16_t netuid = 0;
  bool as_json = false;

  void add_network(CLI::App& command) {
    command.add_option("--subtensor.network,--network", network, "finney, test, local, or a ws/wss/http/https address")
        ->capture_default_str();
    command.add_option("--subtensor.chain_endpoint,--endpoint", endpoint,
                       "address of a node, or several separated by commas; overrides --network");
    command.add_option("--netuid", netuid, "number of the subnet")->required();
    command.add_flag("--json", as_json, "print JSON");
  }
  [[nodiscard]] std::shared_ptr<chain::Transport> transport() const {
    return must(chain::open_transport(endpoint.empty() ? network : endpoint));
  }
  [[nodiscard]] ledger::KeySigner signer(const chain::WalletKey& key) const {
    return ledger::KeySigner(must(key.pair())->clone());
  }
  [[nodiscard]] ledger::KeySigner hotkey_signer() const {
    return signer(must(store().load_hotkey(name, hotkey, password_source())));
  }
};

std::string tao(std::uint64_t rao) {
  char text[48];
  std::snprintf(text, sizeof text, "%llu.%09llu", static_cast<unsigned long long>(rao / ledger::kRaoPerTao),
                static_cast<unsigned long long>(rao % ledger::kRaoPerTao));
  return text;
}

// Prints an outcome; a refusal ends the command with code 1.
void report(const SubnetOptions& options, const ledger::Outcome& outcome) {
  if (options.as_json) {
    json out{{"accepted", outcome.accepted()},
             {"refusal", ledger::refusal_name(outcome.refusal)},
             {"message", outcome.message},
             {"block", outcome.block},
             {"blocks_to_wait", outcome.blocks_to_wait}};
    if (outcome.uid) out["uid"] = *outcome.uid;
    if (outcome.revealed_at_block) out["revealed_at_block"] = *outcome.revealed_at_block;
    std::cout << out.dump(2) << "\n";
  } else if (outcome.accepted()) {
    std::cout << "done at block " << outcome.block << (outcome.message.empty() ? "" : ": " + outcome.message) << "\n";
  } else {
    std::cerr << "brainlock: refused: " << ledger::refusal_sentence(outcome.refusal) << " " << outcome.message << "\n";
  }
  if (!outcome.accepted()) throw ExitWith{kExitFailed};
}

json axon_json(const std::optional<ledger::Axon>& axon) {
  if (!axon) return nullptr;
  return {{"ip", axon->ip},           {"port", axon->port},         {"version", axon->version},
          {"protocol", axon->protocol}, {"served_block", axon->served_block}};
}

void show_metagraph(const SubnetOptions& options) {
  chain::ChainClient client(options.transport());
  const auto view = must(client.best());
  const auto graph = must(chain::read_metagraph(client, view, options.netuid, false));
  if (options.as_json) {
    json neurons = json::array();
    for (const auto& n : graph.neurons) {
      neurons.push_back({{"uid", n.uid},
                         {"hotkey", crypto::ss58_encode(n.hotkey)},
                         {"coldkey", crypto::ss58_encode(n.coldkey)},
                         {"stake_rao", n.stake_rao},
                         {"validator_permit", n.validator_permit},
                         {"active", n.active},
                         {"axon", axon_json(n.axon)},
                         {"last_update", n.last_update},
                         {"registered_at", n.registered_at},
                         {"incentive", n.incentive},
                         {"dividends", n.dividends},
                         {"consensus", n.consensus},
                         {"validator_trust", n.validator_trust},
                         {"emission_rao", n.emission_rao}});
    }
    std::cout << json{{"netuid", graph.netuid},
                      {"block", graph.block},
                      {"next_epoch_block", graph.next_epoch_block()},
                      {"spec_version", view.version.spec_version},
                      {"neurons", neurons}}
                     .dump(2)
              << "\n";
    return;
  }
  std::printf("subnet %u at block %llu, next epoch at %llu, %zu neurons\n", static_cast<unsigned>(graph.netuid),
              static_cast<unsigned long long>(graph.block), static_cast<unsigned long long>(graph.next_epoch_block()),
              graph.neurons.size());
  std::printf("%5s %16s %6s %6s %6s %6s %8s %-21s %s\n", "uid", "stake", "permit", "incent", "divid", "vtrust", "updated",
              "axon", "hotkey");
  for (const auto& n : graph.neurons) {
    const std::string axon = n.axon ? n.axon->ip + ":" + std::to_string(n.axon->port) : "-";
    const auto age = graph.block > n.last_update ? graph.block - n.last_update : 0;
    std::printf("%5u %16s %6s %6.4f %6.4f %6.4f %8llu %-21s %s\n", static_cast<unsigned>(n.uid), tao(n.stake_rao).c_str(),
                n.validator_permit ? "yes" : "", n.incentive / 65535.0, n.dividends / 65535.0, n.validator_trust / 65535.0,
                static_cast<unsigned long long>(age), axon.c_str(), crypto::ss58_encode(n.hotkey).c_str());
  }
}

void show_hyperparameters(const SubnetOptions& options) {
  chain::ChainClient client(options.transport());
  const auto view = must(client.best());
  if (!must(chain::subnet_exists(client, view, options.netuid))) {
    fail({ErrorCode::kNotFound, "the network has no subnet " + std::to_string(options.netuid)});
  }
  const auto items = must(chain::list_hyperparameters(client, view, options.netuid));
  const auto notice = must(chain::read_vote_notice(client, view, options.netuid, bool(chain::installed_pairing())));
  if (options.as_json) {
    json out{{"block", view.number}, {"spec_version", view.version.spec_version}, {"voting", notice}};
    for (const auto& [name, value] : items) out["hyperparameters"][name] = json::parse(value, nullptr, false);
    std::cout << out.dump(2) << "\n";
    return;
  }
  for (const auto& [name, value] : items) std::printf("%-32s %s\n", name.c_str(), value.c_str());
  std::cout << "\n" << notice << "\n";
}

struct RegisterOptions : SubnetOptions {
  double limit_price_tao = -1;
  bool yes = false;
};

void register_hotkey(const RegisterOptions& options) {
  const auto store = options.store();
  const auto hotkey = must(store.load_hotkey(options.name, options.hotkey, options.password_source()));
  std::optional<std::uint64_t> limit;
  if (options.limit_price_tao >= 0) {
    if (!(options.limit_price_tao < 1e9)) fail({ErrorCode::kInvalidArgument, "--limit-price is in TAO, below 1e9"});
    limit = static_cast<std::uint64_t>(std::llround(options.limit_price_tao * 1e9));
  }
  chain::ChainClient client(options.transport());
  const auto view = must(client.best());
  if (!must(chain::subnet_exists(client, view, options.netuid))) {
    fail({ErrorCode::kNotFound, "the network has no subnet " + std::to_string(options.netuid)});
  }
  const auto rules = must(chain::read_hyperparameters(client, view, options.netuid));
  if (const auto uid = must(chain::read_uid(client, view, options.netuid, hotkey.account()))) {
    ledger::Outcome out;
    out.refusal = ledger::Refusal::kAlreadyRegistered;
    out.message = "the hotkey has uid " + std::to_string(*uid);
    out.uid = uid;
    out.block = view.number;
    report(options, out);
  }
  std::cerr << "network  " << client.rpc().transport().describe() << "\nsubnet   " << options.netuid << "\nhotkey   "
            << hotkey.ss58() << "\nprice    " << tao(rules.registration_cost_rao)
            << " TAO, burned, plus the transaction fee; it can change until the transaction is included\n";
  if (limit) std::cerr << "limit    " << tao(*limit) << " TAO\n";
  // Without a limit the confirmed price is the limit: nobody pays more than was shown.
  if (!limit) limit = rules.registration_cost_rao;
  if (!options.yes && !confirm("Register and pay from the coldkey of wallet " + options.name + "?")) {
    fail({ErrorCode::kCancelled, "not confirmed; --yes skips the question"});
  }
  const auto coldkey = options.signer(must(store.load_coldkey(options.name, options.password_source())));
  report(options, must(chain::register_neuron(client, coldkey, options.netuid, hotkey.account(), limit)));
}

// Whether something listens on this machine's port. Only the loop-back interface is tried.
bool listens_here(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bool open = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (!open && errno == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    int error = 1;
    socklen_t size = sizeof error;
    open = ::poll(&waiting, 1, 3000) == 1 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  ::close(fd);
  return open;
}

struct AxonOptions : SubnetOptions {
  ledger::Axon axon;
  bool allow_private = false;
  bool no_probe = false;
  bool show = false;
};

void announce_axon(const AxonOptions& options) {
  chain::ChainClient client(options.transport());
  if (options.show) {
    const auto key = must(options.store().load_hotkey(options.name, options.hotkey, options.password_source()));
    const auto view = must(client.best());
    const auto axon = must(chain::read_axon(client, view, options.netuid, key.account()));
    std::cout << axon_json(axon).dump(2) << "\n";
    return;
  }
  if (options.axon.ip.empty() || options.axon.port == 0) {
    fail({ErrorCode::kInvalidArgument, "--ip and --port say where the server is; --show prints what the chain has"});
  }
  if (!options.allow_private && ledger::is_non_public_ip(options.axon.ip)) {
    fail({ErrorCode::kInvalidArgument, options.axon.ip + " is not an address of the public internet: others could not reach "
                                                         "it; --allow-private announces it all the same"});
  }
  if (!options.no_probe && !listens_here(options.axon.port)) {
    fail({ErrorCode::kUnavailable, "nothing listens on port " + std::to_string(options.axon.port) +
                                       " of this machine; start the miner first, or give --no-probe"});
  }
  report(options, must(chain::serve_axon(client, options.hotkey_signer(), options.netuid, options.axon)));
}

struct WeightsOptions : SubnetOptions {
  int uid = -1;
  std::vector<std::uint16_t> uids;
  std::vector<double> values;
  std::uint64_t version_key = 0;
  std::string commit_folder = default_commit_folder().string();
  bool hash_commits = false;
};

void show_weights(const WeightsOptions& options) {
  chain::ChainClient client(options.transport());
  const auto view = must(client.best());
  int uid = options.uid;
  if (uid < 0) {
    const auto key = must(options.store().load_hotkey(options.name, options.hotkey, options.password_source()));
    const auto found = must(chain::read_uid(client, view, options.netuid, key.account()));
    if (!found) fail({ErrorCode::kNotFound, "the hotkey is not registered on this subnet"});
    uid = *found;
  }
  const auto row = must(chain::read_weights(client, view, options.netuid, static_cast<ledger::Uid>(uid)));
  if (options.as_json) {
    json list = json::array();
    for (const auto& weight : row) list.push_back({{"uid", weight.uid}, {"value", weight.value}});
    std::cout << json{{"block", view.number}, {"uid", uid}, {"weights", list}}.dump(2) << "\n";
    return;
  }
  if (row.empty()) std::cout << "uid " << uid << " has set no weights\n";
  for (const auto& weight : row) std::printf("%5u %5u\n", static_cast<unsigned>(weight.uid), static_cast<unsigned>(weight.value));
}

void set_weights(const WeightsOptions& options) {
  if (options.uids.size() != options.values.size()) {
    fail({ErrorCode::kInvalidArgument, "--uids and --values must have the same number of items"});
  }
  double largest = 0;
  for (double value : options.values) {
    if (!(value >= 0) || !std::isfinite(value)) fail({ErrorCode::kInvalidArgument, "weights are finite and not negative"});
    largest = std::max(largest, value);
  }
  if (largest == 0) fail({ErrorCode::kInvalidArgument, "every weight is zero: nothing to set"});
  std::vector<ledger::Weight> vote;
  for (std::size_t i = 0; i < options.uids.size(); ++i) {
    const double scaled = std::nearbyint(options.values[i] / largest * 65535.0);  // Half to even, as elsewhere.
    if (scaled > 0) vote.push_back({options.uids[i], static_cast<std::uint16_t>(scaled)});
  }
  auto ledger = must(chain::ChainLedger::open(options.transport(), {options.netuid, std::filesystem::path(options.commit_folder),
                                                                   options.hash_commits ? chain::PairingFunction() : chain::installed_pairing()}));
  std::cerr << must(ledger->voting_notice()) << "\n";
  report(options, must(ledger->set_weights(options.hotkey_signer(), vote, options.version_key)));
}

void reveal_weights(const WeightsOptions& options) {
  auto ledger = must(
      chain::ChainLedger::open(options.transport(), {options.netuid, std::filesystem::path(options.commit_folder)}));
  const auto result = must(ledger->reveal_due(options.hotkey_signer()));
  json out{{"revealed", result.revealed}, {"waiting", result.waiting}, {"dropped", result.dropped}, {"messages", result.messages}};
  if (result.next_reveal_block) out["next_reveal_block"] = *result.next_reveal_block;
  std::cout << out.dump(2) << "\n";
}

// A subcommand with its own options object and the shared ones added.
template <typename Options>
std::shared_ptr<Options> add(CLI::App& group, const char* name, const char* about, bool with_wallet,
                             void (*run)(const Options&), CLI::App*& command) {
  auto options = std::make_shared<Options>();
  command = group.add_subcommand(name, about);
  options->add_network(*command);
  if (with_wallet) options->add_to(*command, true);
  command->callback([options, run] { run(*options); });
  return options;
}

}  // namespace

void add_subnet_commands(CLI::App& app) {
  auto* subnet = app.add_subcommand("subnet", "registration, metagraph, address and weights on a Bittensor network");
  subnet->require_subcommand(1);
  CLI::App* command = nullptr;
  auto registration = add<RegisterOptions>(*subnet, "register", "register a hotkey: burns the price shown from the coldkey",
                                           true, register_hotkey, command);
  command->add_option("--limit-price", registration->limit_price_tao, "highest price in TAO; the price shown when left out")->check(CLI::Range(0.0, 1e9));
  command->add_flag("-y,--yes,--no-prompt,--no_prompt", registration->yes, "do not ask for confirmation");
  add<SubnetOptions>(*subnet, "metagraph", "all neurons of a subnet", false, show_metagraph, command);
  add<SubnetOptions>(*subnet, "hyperparameters", "the rules of a subnet", false, show_hyperparameters, command);
  command->alias("hyperparams");
  auto axon = add<AxonOptions>(*subnet, "axon", "announce where this hotkey's server is; nothing is sent when it is known",
                               true, announce_axon, command);
  command->add_option("--axon.external_ip,--axon.ip,--ip", axon->axon.ip, "public address of this machine");
  command->add_option("--axon.external_port,--axon.port,--port", axon->axon.port, "port of the server")->check(CLI::Range(1, 65'535));
  command->add_option("--axon.version", axon->axon.version, "version number to announce");
  command->add_flag("--allow-private,--allow-private-addresses", axon->allow_private, "announce a private address (test networks)");
  command->add_flag("--no-probe", axon->no_probe, "do not check that something listens on the port here");
  command->add_flag("--show", axon->show, "print what the chain has and change nothing");
  auto* weights = subnet->add_subcommand("weights", "show, set or reveal weights")->require_subcommand(1);
  auto shown = add<WeightsOptions>(*weights, "show", "the vote of one neuron as the chain holds it", true, show_weights, command);
  command->add_option("--uid", shown->uid, "neuron; that of --wallet.hotkey when left out");
  auto set = add<WeightsOptions>(*weights, "set", "set weights, or commit them where the subnet wants that", true,
                                 set_weights, command);
  command->add_option("--uids", set->uids, "uids, separated by commas")->delimiter(',')->required();
  command->add_option("--values,--weights", set->values, "weights in the same order; only ratios count")->delimiter(',')->required();
  command->add_option("--version-key", set->version_key, "version key of the vote");
  command->add_option("--commit-folder", set->commit_folder, "where pending votes are kept")->capture_default_str();
  add_hash_commits_flag(*command, set->hash_commits);
  auto reveal = add<WeightsOptions>(*weights, "reveal", "reveal committed votes that are due", true, reveal_weights, command);
  command->add_option("--commit-folder", reveal->commit_folder, "where pending votes are kept")->capture_default_str();
}

}  // namespace brainlock::app
