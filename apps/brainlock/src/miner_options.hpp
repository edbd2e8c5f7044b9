// The options of `miner`, which `doctor miner` takes too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "log_options.hpp"
#include "node.hpp"

namespace brainlock::app {

/// Empty, or what keeps a text from being an origin of `--browser-origin`.
std::string complaint_about_origin(const std::string& text);
/// Empty, or what keeps a text from being a network of `--proxy-from`.
std::string complaint_about_network(const std::string& text);

struct MinerFlags {
  WalletOptions wallet;
  LedgerOptions ledger;
  std::vector<std::string> packages;
  std::string state = "miner-state";
  std::string listen = "0.0.0.0";
  std::uint16_t port = 5000;
  std::string external_ip;
  std::uint16_t external_port = 0;
  std::uint16_t metrics_port = 0;
  std::string metrics_listen = "127.0.0.1";
  std::vector<std::string> browser_origins;
  std::vector<std::string> proxy_from;
  std::string devices = "cpu";
  unsigned threads = 0, in_flight = 1;
  double max_ram_gb = 0;
  bool open_to_everyone = false;
  bool any_registered = false;
  double min_stake_tao = 0;
  std::int64_t access_refresh_ms = 12'000;
  std::uint64_t slot_blocks = 30;
  std::int64_t drain_s = 120;
  LogOptions log;
  std::string misbehave;
  std::int64_t delay_ms = 1000;
  double slow_factor = 1;

  void add_to(CLI::App& command);
};

}  // namespace brainlock::app
