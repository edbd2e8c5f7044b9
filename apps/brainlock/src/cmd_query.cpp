// `brainlock query`: private inference on somebody's miner.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/client/task_client.hpp"
#include "commands.hpp"
#include "inputs.hpp"
#include "node.hpp"
#include "range_option.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

namespace fs = std::filesystem;

struct QueryFlags {
  std::string miner, miner_hotkey, package, home;
  LedgerOptions ledger;
  int uid = -1;
  bool allow_private = false;
  InputOptions input;
  RangeOption range;
  double timeout_s = 300;
  unsigned threads = 2;
  bool plain = false, json = false;
};

/// ADDRESS:PORT, with IPv6 in brackets.
Result<client::MinerAddress> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return Error{ErrorCode::kInvalidArgument, "--miner wants ADDRESS:PORT, got " + text};
  client::MinerAddress out;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  BRAINLOCK_ASSIGN(out.ip, ledger::canonical_ip(host));
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos || std::stoul(port) == 0 || std::stoul(port) > 65535) {
    return Error{ErrorCode::kInvalidArgument, "not a port: " + port};
  }
  out.port = static_cast<std::uint16_t>(std::stoul(port));
  return out;
}

/// Who says it is at an address. Unproved: whoever answers there names itself.
Result<protocol::AccountId> ask_hotkey(const client::MinerAddress& address) {
  net::Client client(address.ip, address.port);
  BRAINLOCK_ASSIGN(const auto answer, client.send({"GET", "/v1/status", {}, {}}, {}));
  BRAINLOCK_ASSIGN(const auto status, protocol::parse_status({reinterpret_cast<const char*>(answer.body.data()), answer.body.size()}));
  return crypto::ss58_decode(status.hotkey);
}

Result<client::MinerAddress> find_miner(const QueryFlags& flags) {
  if (flags.ledger.given()) {
    if (flags.uid < 0) return Error{ErrorCode::kInvalidArgument, "--ledger and --netuid need --uid"};
    BRAINLOCK_ASSIGN(const auto ledger, flags.ledger.open());
    BRAINLOCK_ASSIGN(const auto metagraph, ledger->metagraph());
    if (static_cast<std::size_t>(flags.uid) >= metagraph.neurons.size() || !metagraph.neurons[static_cast<std::size_t>(flags.uid)].axon) {
      return Error{ErrorCode::kNotFound, "uid " + std::to_string(flags.uid) + " serves no address"};
    }
    const auto& neuron = metagraph.neurons[static_cast<std::size_t>(flags.uid)];
    // Anybody may write any address to a chain: strangers do not get to point this program into its own network.
    if (flags.ledger.on_chain() && !flags.allow_private && ledger::is_non_public_ip(neuron.axon->ip)) {
      return Error{ErrorCode::kDenied, "uid " + std::to_string(flags.uid) + " announces " + neuron.axon->ip +
                                           ", which is no address of the public internet; --allow-private asks it all the same"};
    }
    return client::MinerAddress{neuron.hotkey, neuron.axon->ip, neuron.axon->port};
  }
  if (flags.miner.empty()) return Error{ErrorCode::kInvalidArgument, "which miner? --miner ADDRESS:PORT, or --uid N with --ledger FILE or --netuid N"};
  BRAINLOCK_ASSIGN(auto address, parse_address(flags.miner));
  if (flags.miner_hotkey.empty()) {
    BRAINLOCK_ASSIGN(address.hotkey, ask_hotkey(address));
    std::fprintf(stderr, "the miner says that it is %s; --miner-hotkey makes sure\n", crypto::ss58_encode(address.hotkey).c_str());
  } else {
    BRAINLOCK_ASSIGN(address.hotkey, crypto::ss58_decode(flags.miner_hotkey));
  }
  return address;
}

void run_query(const QueryFlags& flags) {
  const auto package = must(package::Package::load(flags.package));
  const fs::path home = flags.home.empty() ? fs::path(std::getenv("HOME") == nullptr ? "." : std::getenv("HOME")) / ".brainlock" : fs::path(flags.home);
  const Hotkey self = must(user_key(home / "user.seed"));
  client::MinerAddress address = must(find_miner(flags));
  address.tls = !flags.plain;
  const Input input = must(load_input(flags.input, package->program().input));

  const package::ValueRange range = require_range(package, input.values, flags.range);

  std::unique_ptr<client::TaskClient> task;
  {
    Progress progress("making keys", flags.json);
    task = must(client::open_task_client(package, home / "keys" / package->hash_hex().substr(0, 16), flags.threads,
                                         [&](std::size_t done, std::size_t total) { progress.update(done, total); }));
  }
  client::MinerConnection miner(self.signer, address);
  const auto status = must(miner.status());
  const auto offered = std::any_of(status.tasks.begin(), status.tasks.end(), [&](const auto& offer) { return offer.package == package->hash(); });
  if (!offered) fail({ErrorCode::kNotFound, "the miner does not serve package " + package->hash_hex()});
  const auto check = [](const client::Call& call) {
    if (!call.ok()) fail({ErrorCode::kUnavailable, std::string(protocol::reason_sentence(call.reason)) + " " + call.detail});
  };
  const Stopwatch upload_watch;
  {
    Progress progress("uploading keys", flags.json);
    check(miner.upload_key(task->package(), task->key_id(), task->key_file(), std::max<std::uint64_t>(1 << 16, std::min<std::uint64_t>(status.key_part_bytes, 64 << 20)),
                           {5'000, 600'000, protocol::kMaxJsonBytes}, [&](std::uint64_t done, std::uint64_t total) { progress.update(done >> 10, total >> 10); }));
  }
  const double upload_s = upload_watch.seconds();
  const auto question = must(task->encrypt(input.values));
  const auto answer = miner.infer(task->package(), task->key_id(), question, {5'000, static_cast<std::int64_t>(flags.timeout_s * 1000), task->max_answer_bytes()});
  check(answer);
  const auto logits = must(task->decrypt(answer.body));
  const auto best = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (flags.json) {
    const nlohmann::json out = {{"input", input.description},       {"class", best},           {"class_name", class_name(best, logits.size())},
                                {"logits", logits},                 {"response_s", answer.response_s}, {"key_upload_s", upload_s},
                                {"question_bytes", question.size()}, {"answer_bytes", answer.body.size()}, {"miner", crypto::ss58_encode(address.hotkey)},
                                {"range", range_json(range)}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%s -> %s\n", input.description.c_str(), class_name(best, logits.size()).c_str());
  std::printf("answered in %s by %s; sent %s, received %s, keys uploaded in %s\n", human_seconds(answer.response_s).c_str(),
              crypto::ss58_encode(address.hotkey).c_str(), human_bytes(question.size()).c_str(), human_bytes(answer.body.size()).c_str(), human_seconds(upload_s).c_str());
}

}  // namespace

void add_query_commands(CLI::App& app) {
  auto flags = std::make_shared<QueryFlags>();
  CLI::App* command = app.add_subcommand("query", "Ask a miner about one input that it never sees");
  command->add_option("--miner", flags->miner, "ADDRESS:PORT of the miner");
  command->add_option("--miner-hotkey", flags->miner_hotkey, "Hotkey that its answers must be signed by");
  flags->ledger.add_to(*command, false);
  command->add_option("--uid", flags->uid, "The miner's uid on that ledger");
  command->add_flag("--allow-private,--allow-private-addresses", flags->allow_private, "Ask a miner of a network at an address that is not of the public internet");
  command->add_option("--package", flags->package, "Package folder: the model, as the miner serves it")->required();
  command->add_option("--home", flags->home, "Folder for your keys (0600); ~/.brainlock otherwise");
  flags->input.add_to(*command);
  flags->range.add_to(*command);
  command->add_option("--timeout", flags->timeout_s, "Seconds to wait for the answer")->capture_default_str();
  command->add_option("--threads", flags->threads, "Threads for making keys")->capture_default_str();
  command->add_flag("--plain", flags->plain, "Over plain HTTP; TLS bound to the miner's hotkey otherwise");
  command->add_flag("--json", flags->json, "Answer as JSON");
  command->callback([flags] { run_query(*flags); });
}

}  // namespace brainlock::app
