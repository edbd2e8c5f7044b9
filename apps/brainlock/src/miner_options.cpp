#include "miner_options.hpp"

#include "brainlock/miner/browser_access.hpp"
#include "brainlock/net/address_networks.hpp"

namespace brainlock::app {

std::string complaint_about_origin(const std::string& text) {
  const auto access = miner::browser_access(std::span(&text, 1));
  return access.ok() ? std::string() : access.error().message;
}

std::string complaint_about_network(const std::string& text) {
  const auto networks = net::AddressNetworks::parse(std::span(&text, 1));
  return networks.ok() ? std::string() : networks.error().message;
}

void MinerFlags::add_to(CLI::App& command) {
  wallet.add_to(command, true);
  ledger.add_to(command, false);
  command.add_option("--package", packages, "Package folder to serve; may be given several times")->required();
  command.add_option("--state", state, "Folder for uploaded keys and replay protection")->capture_default_str();
  command.add_option("--listen", listen, "Address to listen on")->capture_default_str();
  command.add_option("--port", port, "Port to listen on; 0 takes a free one")->capture_default_str();
  command.add_option("--external-ip", external_ip, "Address to announce on the ledger; none is announced without it");
  command.add_option("--external-port", external_port, "Port to announce, where it differs");
  command.add_option("--metrics-port", metrics_port, "Serve /metrics at this port");
  command.add_option("--metrics-listen", metrics_listen, "Address of /metrics; another one is for a container's own network")->capture_default_str();
  command.add_option("--browser-origin", browser_origins, "Site whose pages may ask from a browser, as https://app.example.org; * for all; may be given several times")
      ->check(complaint_about_origin);
  command.add_option("--proxy-from", proxy_from, "Address or network (10.0.0.0/8) of a proxy in front: connections from there must begin with a PROXY header, and count for the address in it; may be given several times")
      ->check(complaint_about_network);
  command.add_option("--device", devices, "Where requests run: cpu, cuda, cuda:N, auto; several with commas between, or cuda:all, share one queue")
      ->capture_default_str();
  command.add_option("--in-flight", in_flight, "Requests that each device runs at the same time; a GPU has memory to work in for each")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command.add_option("--threads", threads, "Threads of the engine; 0: one for each processor, within the quota of a container or service")->capture_default_str();
  command.add_option("--max-ram", max_ram_gb, "Gigabytes of memory to stay within; decides how many key sets are kept loaded (on a GPU its free memory does)")
      ->check(CLI::Range(0.0, 1e6));
  command.add_flag("--open", open_to_everyone, "Serve ordinary users too; they share one line in the queue");
  command.add_flag("--no-force-validator-permit,!--force-validator-permit", any_registered, "Take requests of any registered hotkey")->envname("BRAINLOCK_NO_VALIDATOR_PERMIT");
  command.add_option("--min-stake", min_stake_tao, "Least stake (TAO) of an asker")->capture_default_str()->check(CLI::Range(0.0, 21e6));
  command.add_option("--access-refresh-ms", access_refresh_ms, "How often the metagraph is read")->capture_default_str()->check(CLI::Range(100, 300'000));
  command.add_option("--slot-blocks", slot_blocks, "Blocks after which validators change miners: in its slot a validator's questions go first; 0: nobody's")->capture_default_str();
  command.add_option("--drain", drain_s, "Seconds that running requests get after SIGTERM")->capture_default_str();
  log.add_to(command);
  command.add_option("--misbehave", misbehave, "Test networks only: answer wrongly or late on purpose")->group("Testing");
  command.add_option("--delay-ms", delay_ms, "Of --misbehave slow: an answer is at least so late")->group("Testing");
  command.add_option("--slow-factor", slow_factor, "Of --misbehave slow: an answer takes so many times the engine's time")->check(CLI::Range(1.0, 1e3))->group("Testing");
}

}  // namespace brainlock::app
