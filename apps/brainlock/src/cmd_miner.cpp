// `brainlock miner`: serves packages until it is told to stop.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>

#include "brainlock/device_cuda/device_list.hpp"
#include "brainlock/miner/browser_access.hpp"
#include "brainlock/miner/device_engines.hpp"
#include "brainlock/miner/fhe_engine.hpp"
#include "brainlock/miner/misbehaving_engine.hpp"
#include "brainlock/miner/service.hpp"
#include "chain_duties.hpp"
#include "commands.hpp"
#include "inference.hpp"
#include "miner_options.hpp"
#include "ui.hpp"
#include "version.hpp"

namespace brainlock::app {
namespace {

/// Refuses to start where the first request would meet the memory limit; says how many key sets fit.
Result<std::size_t> key_sets_that_fit(const MinerFlags& flags, const std::vector<std::shared_ptr<const package::Package>>& packages) {
  if (flags.max_ram_gb <= 0) return std::size_t{4};
  const auto need = miner::forecast_ram(packages);
  const auto limit = static_cast<std::uint64_t>(flags.max_ram_gb * 1e9);
  if (need.least() > limit) {
    return {ErrorCode::kResource, "serving needs about " + human_bytes(need.least()) + " (weights " + human_bytes(need.weights) + ", keys " +
                                      human_bytes(need.largest_keys) + ", work " + human_bytes(need.largest_working) + "), --max-ram allows " + human_bytes(limit)};
  }
  const std::uint64_t rest = limit - need.weights - need.largest_working;
  return std::max<std::uint64_t>(1, std::min<std::uint64_t>(miner::kMostKeySets, rest / std::max<std::uint64_t>(1, need.largest_keys)));
}

void run_miner(const MinerFlags& flags) {
  hold_signals();  // before any thread exists
  (void)must(device_cuda::parse_devices(flags.devices));
  const net::EventLog log = must(flags.log.open("miner"));
  const Hotkey hotkey = must(load_hotkey(flags.wallet));
  const std::shared_ptr<ledger::Ledger> ledger = must(flags.ledger.open());
  must(check_registered(ledger, hotkey));

  std::vector<std::shared_ptr<const package::Package>> packages;
  for (const auto& directory : flags.packages) packages.push_back(must(package::Package::load(directory)));
  std::size_t key_sets = must(key_sets_that_fit(flags, packages));
  const auto devices = must(device_cuda::parse_devices(flags.devices));
  std::vector<std::unique_ptr<miner::Engine>> engines;
  for (const auto& device : devices) engines.push_back(must(miner::make_fhe_engine(packages, flags.threads, device, flags.in_flight)));
  // Without a device there is nothing to serve with. A driver that lost one wants a new process: whoever watches over this one starts it again.
  const auto no_device_left = std::make_shared<std::atomic<bool>>(false);
  auto engine = miner::make_device_engines(std::move(engines), [log, no_device_left](const miner::Engine::Device& device, const Error& error, std::size_t left) {
    net::log_event(log, net::EventLevel::kError, "device_lost", {{"device", device.name}, {"error", error.to_string()}, {"left", std::to_string(left)}});
    if (left > 0) return;
    *no_device_left = true;
    ::kill(::getpid(), SIGTERM);
  });
  key_sets = engine->room_for_key_sets().value_or(key_sets);
  for (const auto& device : engine->devices()) net::log_event(log, "device", {{"name", device.name}, {"packages", std::to_string(packages.size())}, {"key_sets", std::to_string(key_sets)}});
  if (!flags.misbehave.empty()) {
    engine = miner::make_misbehaving_engine(std::move(engine), must(miner::misbehaviour_from_name(flags.misbehave)), flags.delay_ms, flags.slow_factor);
  }

  const std::filesystem::path state = flags.state;
  const auto clock = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  miner::AccessOptions access;
  access.force_validator_permit = !flags.any_registered;
  access.open_to_everyone = flags.open_to_everyone;
  access.min_stake_rao = static_cast<std::uint64_t>(flags.min_stake_tao * 1e9);
  access.refresh_ms = flags.access_refresh_ms;
  access.self = hotkey.signer.account;
  access.slot_blocks = flags.slot_blocks;
  auto who = miner::make_metagraph_access(ledger, access);
  // Whoever served from this folder before had a fence, or a version that kept requests in a database.
  std::error_code ignored;
  const bool first_run = !std::filesystem::exists(state / "keys", ignored);
  auto keys = must(miner::KeyRegistry::open(state / "keys", miner::quota_for(packages.size()), clock(), [&who](const protocol::AccountId& owner) {
    const auto admission = who->admit(owner);
    return admission.validator || admission.refusal == protocol::Refusal::kAccessUnknown;
  }));

  miner::ServiceOptions options;
  options.version = program_version();
  options.loaded_key_sets = key_sets;
  options.queue.workers = static_cast<unsigned>(devices.size()) * flags.in_flight;
  auto fence = miner::ReplayFence::open(state / "replay.fence", clock(), {.window_ms = options.window_ms, .first_run = first_run}, log);
  const auto service = miner::Service::make(
      {hotkey.signer, std::move(engine), std::move(keys), std::move(who), std::move(fence), clock, log}, options);

  const auto server = must(net::Server::start({.address = flags.listen,
                                               .port = flags.port,
                                               .tls = must(miner::make_server_tls(hotkey.signer)),
                                               .browsers = must(miner::browser_access(flags.browser_origins)),
                                               .proxies = must(net::AddressNetworks::parse(flags.proxy_from)),
                                               .log = log},
                                              service));
  std::unique_ptr<net::Server> metrics;
  if (flags.metrics_port != 0) {
    metrics = must(net::Server::start({.address = flags.metrics_listen, .port = flags.metrics_port, .threads = 1},
                                      miner::make_metrics_application([service, server = server.get()] {
                                        const auto counters = server->counters();
                                        return service->metrics(&counters);
                                      })));
  }
  net::log_event(log, "listening", {{"address", flags.listen}, {"port", std::to_string(server->port())}, {"hotkey", crypto::ss58_encode(hotkey.signer.account)}});
  bool told_to_stop = false;
  if (!flags.external_ip.empty()) {
    ledger::Axon axon;
    axon.ip = must(ledger::canonical_ip(flags.external_ip));
    axon.port = flags.external_port != 0 ? flags.external_port : server->port();
    told_to_stop = !must(announce_axon(ledger, hotkey, axon, log));
  }
  if (!told_to_stop) wait_for_signal();
  net::log_event(log, "stopping");
  const bool finished = service->drain(flags.drain_s * 1000);
  server->stop(2'000);
  net::log_event(log, finished ? net::EventLevel::kInfo : net::EventLevel::kWarning, "stopped", {{"all_requests_finished", finished ? "yes" : "no"}});
  if (*no_device_left) fail({ErrorCode::kUnavailable, "every device is lost; start again, and see dmesg if it stays"});
}

}  // namespace

void add_miner_commands(CLI::App& app) {
  auto flags = std::make_shared<MinerFlags>();
  CLI::App* command = app.add_subcommand("miner", "Serve encrypted inference on packages");
  flags->add_to(*command);
  command->callback([flags] { run_miner(*flags); });
}

}  // namespace brainlock::app
