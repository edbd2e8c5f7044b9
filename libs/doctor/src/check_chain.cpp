// chain, clock, registration, permit (a validator's), axon, votes (a validator's).
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "brainlock/chain/commit_reveal.hpp"
#include "brainlock/chain/extrinsic.hpp"
#include "brainlock/chain/pairing_program.hpp"
#include "brainlock/chain/runtime.hpp"
#include "brainlock/chain/subnet.hpp"
#include "brainlock/ledger/embedded_ledger.hpp"
#include "patient.hpp"
#include "text.hpp"

namespace brainlock::doctor {
namespace {

using chain::Milliseconds;

constexpr Milliseconds kConnect{6'000}, kAnswer{10'000};

std::int64_t now_ms() { return std::chrono::duration_cast<Milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

Finding embedded_of(const PatientPtr& shared) {
  const std::string& file = shared->setup.ledger_file;
  const auto copy = ledger::EmbeddedLedger::open_copy(file);
  auto graph = copy.ok() ? (*copy)->metagraph(true) : Result<ledger::Metagraph>(copy.error());
  if (!graph.ok()) {
    std::string next = "a ledger file that is damaged is made anew (`brainlock devnet up`), or comes from a backup";
    if (graph.error().code == ErrorCode::kNotFound) next = "correct --ledger";
    if (graph.error().code == ErrorCode::kDenied) next = "let user " + shared->machine.user + " read and write it";
    return failure(graph.error().message, next);
  }
  if (::access(file.c_str(), W_OK) != 0) return failure(file + ": " + std::strerror(errno), "let user " + shared->machine.user + " read and write it");
  Finding finding = ok("embedded ledger " + file + ", subnet " + std::to_string(graph->netuid) + ", block " + std::to_string(graph->block) + ", " + std::to_string(graph->neurons.size()) + " neurons");
  finding.learn = [shared, read = *graph] { shared->graph = read; };
  return finding;
}

std::string chain_remedy(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument: return "--network finney, test or local, or --endpoint with a ws:// or wss:// address";
    case ErrorCode::kInsecure: return "correct the address, or the system's certificates (`apt install ca-certificates`); a wrong clock does this too";
    case ErrorCode::kNotFound: return "correct --netuid, or the network";
    case ErrorCode::kMalformed:
    case ErrorCode::kTruncated:
    case ErrorCode::kUnsupported:
    case ErrorCode::kDenied: return "is this the node of a Bittensor chain? If it is, a newer brainlock knows its runtime";
    default: return "is the address right, does a firewall let it out, does the node run? Another one, or several: --endpoint A,B";
  }
}

Finding chain_of(const PatientPtr& shared) {
  const Setup& setup = shared->setup;
  const auto failed = [&setup](const Error& error) {
    const bool says_where = error.message.find("://") != std::string::npos || error.code == ErrorCode::kInvalidArgument;
    return failure(says_where ? error.message : setup.endpoints + ": " + error.message, chain_remedy(error));
  };
  auto endpoints = chain::parse_endpoints(setup.endpoints);
  if (!endpoints.ok()) return failed(endpoints.error());
  chain::ReconnectOptions options;
  options.attempts = static_cast<int>(endpoints->size());
  options.connect_timeout = kConnect;
  const auto client = std::make_shared<chain::ChainClient>(chain::make_reconnecting(std::move(*endpoints), options), kAnswer);
  const auto view = client->best();
  if (!view.ok()) return failed(view.error());
  const std::string at = client->rpc().transport().describe();
  if (const auto rules = chain::check_signing_rules(*view->metadata); !rules.ok()) return failed(rules.error());
  const auto genesis = client->genesis();
  if (!genesis.ok()) return failed(genesis.error());
  std::string text = at + ", block " + std::to_string(view->number) + ", runtime " + view->version.spec_name + " " + std::to_string(view->version.spec_version) + ", genesis " + crypto::hex_encode_0x(*genesis).substr(0, 12) + "...";
  std::optional<ledger::Metagraph> graph;
  if (setup.netuid >= 0) {
    const auto netuid = static_cast<std::uint16_t>(setup.netuid);
    const auto exists = chain::subnet_exists(*client, *view, netuid);
    if (!exists.ok()) return failed(exists.error());
    if (!*exists) return failed({ErrorCode::kNotFound, "the network at " + at + " has no subnet " + std::to_string(setup.netuid)});
    auto read = chain::read_metagraph(*client, *view, netuid, false);
    if (!read.ok()) return failed(read.error());
    text += ", subnet " + std::to_string(setup.netuid) + " with " + std::to_string(read->neurons.size()) + " neurons";
    graph = std::move(*read);
  }
  Finding finding = ok(text);
  finding.learn = [shared, client, seen = *view, graph] {
    shared->client = client;
    shared->view = seen;
    shared->graph = graph;
  };
  return finding;
}

Finding clock_of(const Patient& patient) {
  ClockEvidence evidence;
  evidence.synchronised = patient.machine.clock_synchronised;
  if (patient.client && patient.view) {
    // The newest block there is now: the chain's own check may have taken a while.
    auto view = patient.client->best();
    const auto made = patient.client->read(view.ok() ? *view : *patient.view, "Timestamp", "Now");
    const std::int64_t now = now_ms();
    const auto stamp = made.ok() ? made->as_u64() : Result<std::uint64_t>(made.error());
    if (stamp.ok() && *stamp > 0 && *stamp < INT64_MAX / 2) evidence.block_age_ms = now - static_cast<std::int64_t>(*stamp);
    if (const auto slot = chain::constant_value(*patient.view->metadata, "Aura", "SlotDuration"); slot.ok()) {
      if (const auto ms = slot->as_u64(); ms.ok() && *ms > 0 && *ms <= 600'000) evidence.block_interval_ms = static_cast<std::int64_t>(*ms);
    }
    // The endpoint's own clock, by the header of an HTTP answer: to whole seconds, where a block says no more than its age. No other server is asked.
    if (const auto endpoint = chain::parse_endpoint(patient.client->rpc().transport().describe()); endpoint.ok()) {
      const auto date = chain::read_server_date(*endpoint, Milliseconds{4'000});
      // The header was cut to a whole second, on average half a second ago.
      if (date.ok()) evidence.date_offset_ms = (date->asked_ms + date->answered_ms) / 2 - (date->unix_ms + 500);
    }
  }
  return judge_clock(evidence);
}

Finding votes_of(const Patient& patient) {
  const ledger::Neuron& neuron = *patient.neuron();
  VoteEvidence evidence;
  evidence.running = patient.running;
  evidence.version_key = patient.setup.validator.version_key;
  if (patient.health) evidence.last = patient.health->last_vote;
  evidence.weights = neuron.weights.size();
  if (patient.client) {
    const auto netuid = static_cast<std::uint16_t>(patient.setup.netuid);
    const auto failed = [](const Error& error) { return failure("the votes could not be read: " + error.message, chain_remedy(error)); };
    const auto row = chain::read_weights(*patient.client, *patient.view, netuid, neuron.uid);
    if (!row.ok()) return failed(row.error());
    evidence.weights = row->size();
    const bool can_seal = !patient.setup.hash_commits && bool(chain::installed_pairing());
    const auto scheme = chain::vote_scheme(*patient.client, *patient.view, netuid, can_seal);
    if (!scheme.ok()) return failed(scheme.error());
    const auto notice = chain::read_vote_notice(*patient.client, *patient.view, netuid, can_seal);
    if (!notice.ok()) return failed(notice.error());
    evidence.how = *notice;
    evidence.impossible = *scheme == chain::VoteScheme::kUnsupported;
    if (*scheme == chain::VoteScheme::kHashCommit) {
      const auto genesis = patient.client->genesis();
      if (!genesis.ok()) return failed(genesis.error());
      const auto pending = chain::CommitStore(patient.setup.commit_folder).load(*genesis, netuid, neuron.hotkey);
      if (!pending.ok()) return failure(pending.error().message, "that file holds a vote that waits for its reveal: let user " + patient.machine.user + " read it, or move it away and lose that vote");
      evidence.pending_commits = pending->size();
    }
  }
  return judge_votes(*patient.graph, neuron, evidence);
}

}  // namespace

void add_chain_checks(std::vector<Check>& checks, const PatientPtr& patient) {
  const Setup& setup = patient->setup;
  const Finding late = failure("the chain's node does not answer in time", "another one: --endpoint A,B");
  Check ledger{"chain", {}, {}, {}, std::chrono::seconds(45), late};
  if (!setup.ledger_file.empty()) ledger.run = [patient] { return embedded_of(patient); };
  else if (setup.endpoints.empty()) ledger.run = [] { return skipped("no network is named"); };
  else if (setup.netuid < 0 && setup.role != Role::kMachine) ledger.run = [] { return failure("no subnet is named", "--netuid N on --network NAME, or --ledger FILE"); };
  else ledger.run = [patient] { return chain_of(patient); };
  checks.push_back(std::move(ledger));
  checks.push_back({"clock", [patient] { return clock_of(*patient); }, {}, {"chain"}, std::chrono::seconds(30), warning("the time could not be compared", "another --endpoint; `timedatectl` shows the clock's state")});
  if (setup.role == Role::kMachine) return;
  checks.push_back({"registration", [patient] { return judge_registration(patient->setup, *patient->graph, *patient->account); }, {"hotkey", "chain"}});
  if (setup.role == Role::kMiner) {
    checks.push_back({"axon", [patient] { return judge_axon(patient->setup, *patient->graph, *patient->neuron(), patient->running); }, {"registration", "address"}, {"port"}});
    return;
  }
  checks.push_back({"permit", [patient] { return judge_permit(*patient->graph, *patient->neuron()); }, {"registration"}});
  checks.push_back({"axon", [patient] { return judge_axon(patient->setup, *patient->graph, *patient->neuron(), patient->running); }, {"registration"}});
  checks.push_back({"votes", [patient] { return votes_of(*patient); }, {"permit"}, {"page", "database"}, std::chrono::seconds(45), late});
}

}  // namespace brainlock::doctor
