// The files that systemd starts a service from, read as systemd reads them: an environment file, and the unit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::doctor {

/// (name, value) in order; a later one of the same name counts.
using Variables = std::vector<std::pair<std::string, std::string>>;

/// NAME=VALUE a line; '#' and ';' begin comment lines; values may stand in quotes. kMalformed with the line's number.
Result<Variables> parse_environment_file(std::string_view text);
/// A command line's words: white space separates, quotes hold together.
Result<std::vector<std::string>> split_words(std::string_view text);

struct ServiceFile {
  std::vector<std::string> options;             ///< what follows `brainlock ROLE`
  Variables variables;                          ///< the service's environment
  std::filesystem::path environment_file;
  std::string user;                             ///< User=
  std::optional<std::uint64_t> open_files, locked_bytes;   ///< LimitNOFILE=, LimitMEMLOCK=
};

/// Reads an environment file: options are the words of `variable` (BRAINLOCK_MINER). Errors of reading; kNotFound if it is not in there.
Result<ServiceFile> read_environment_file(const std::filesystem::path& file, std::string_view variable);
/// Reads a unit with the environment files that it names: ExecStart, Environment, EnvironmentFile, User, LimitNOFILE, LimitMEMLOCK. Drop-in folders are
/// not looked at. kNotFound if ExecStart does not run `brainlock ROLE`.
Result<ServiceFile> read_unit_file(const std::filesystem::path& file, std::string_view role);

}  // namespace brainlock::doctor
