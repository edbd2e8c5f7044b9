// The options of `validator`, which `doctor validator` takes too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "log_options.hpp"
#include "node.hpp"

namespace brainlock::app {

struct ValidatorFlags {
  WalletOptions wallet;
  LedgerOptions ledger;
  std::vector<std::string> packages;
  std::vector<std::string> approved;
  std::string state = "validator-state";
  std::string dataset;
  double synthetic_share = 0.5;
  std::string listen = "127.0.0.1";
  int page_port = 6971;
  unsigned parallel = 8, threads = 2;
  std::uint64_t slot_blocks = 30, vote_interval = 0, version_key = 0, rounds = 0;
  double timeout_s = 120, upload_timeout_s = 900, pause_s = 10;
  unsigned keep_days = 90;
  double key_days = 7;
  bool plain = false, private_addresses = false, json = false;
  LogOptions log;

  void add_to(CLI::App& command);
};

}  // namespace brainlock::app
