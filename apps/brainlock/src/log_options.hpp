// Where a service's events go: --log-level, --log-json, --log-file.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "brainlock/net/event_log.hpp"

namespace brainlock::app {

struct LogOptions {
  std::string level = "info", file;
  bool json = false, quiet = false;
  std::uint64_t file_mb = 64;
  std::size_t files = 4;

  void add_to(CLI::App& command);
  /// kInvalidArgument (the level), kIo (the file).
  [[nodiscard]] Result<net::EventLog> open(const std::string& service) const;
};

}  // namespace brainlock::app
