// What an operator has set up: where releases come from, whom to believe, what to restart. Without this file nothing is
// ever asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/ed25519.hpp"

namespace brainlock::update {

inline constexpr std::size_t kMaxSettingsBytes = 64 * 1024;
inline constexpr std::size_t kMaxServices = 8;

/// One that runs from this installation.
struct Service {
  std::string role;         ///< "miner" or "validator"
  std::string environment;  ///< file with its options, as setup.sh makes it
  std::vector<std::string>
      restart;         ///< program and arguments; no shell reads them. Empty: the operator restarts by hand
  std::string health;  ///< address that answers with a JSON object whose "version" is the program's:
                       ///< http://127.0.0.1:PORT/v1/status
  bool operator==(const Service&) const = default;
};

struct Settings {
  std::string source;                          ///< an http:// or https:// address, or a folder; release.json lies in it
  std::vector<crypto::Ed25519PublicKey> keys;  ///< of the publishers that are believed
  std::size_t threshold = 0;                   ///< so many of them must have signed
  std::vector<Service> services;
  // Times in seconds.
  std::int64_t restart_within_s = 200;  ///< a miner takes up to 120 to finish what it has
  std::int64_t answer_within_s = 30;    ///< from the end of the restart to the first answer of the new version
  std::int64_t stay_healthy_s = 10;     ///< from then on, without a failure
  std::int64_t doctor_within_s = 60;
  std::int64_t download_within_s = 1800;  ///< each file
  bool operator==(const Settings&) const = default;
};

/// kTooLarge, kMalformed (with the field), kInvalidArgument (what is well-formed and cannot be meant).
Result<Settings> parse_settings(std::string_view json);
std::string settings_json(const Settings& settings);

/// kNotFound: updates are not set up. kDenied: others than the user (and root) own the file or may write it, and it
/// names commands that are run.
Result<Settings> load_settings(const std::filesystem::path& file);
/// Mode 0600. kDenied if there is one.
Status store_settings(const std::filesystem::path& file, const Settings& settings, bool overwrite);

}  // namespace brainlock::update
