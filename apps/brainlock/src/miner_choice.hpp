// Which miner `query`, `page` and `doctor reach` ask, and where its asker keeps its own things.
#pragma once

#include <filesystem>

#include "brainlock/client/inquiry.hpp"
#include "brainlock/package/package.hpp"
#include "node.hpp"

namespace brainlock::app {

/// By address, or by its uid on a ledger.
struct MinerChoice {
  std::string address, hotkey;
  LedgerOptions ledger;
  int uid = -1;
  bool allow_private = false, plain = false;

  void add_to(CLI::App& command);
  /// kInvalidArgument: none was chosen; kNotFound, kDenied: see message. Where no hotkey was given, asks whoever answers, and says so on stderr.
  [[nodiscard]] Result<client::MinerAddress> find() const;
};

/// --timeout and --threads of those who ask: how long an answer may take, and threads for making keys.
void add_asking_options(CLI::App& command, double& timeout_s, unsigned& threads);

/// Folder of an asker's identity and keys: the one given, or ~/.brainlock.
std::filesystem::path client_home(const std::string& given);
/// Folder of the keys for one package.
std::filesystem::path client_keys(const std::filesystem::path& home, const package::Package& package);

}  // namespace brainlock::app
