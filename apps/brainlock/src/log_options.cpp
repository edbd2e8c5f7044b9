#include "log_options.hpp"

namespace brainlock::app {

void LogOptions::add_to(CLI::App& command) {
  command.add_option("--log-level", level, "Least level of events that are logged: debug, info, warning, error, off")->capture_default_str()->envname("BRAINLOCK_LOG_LEVEL");
  command.add_flag("--log-json", json, "Events as one JSON object a line; otherwise as name=value")->envname("BRAINLOCK_LOG_JSON");
  auto* to_file = command.add_option("--log-file", file, "Log to a file that rotates; to standard error otherwise");
  command.add_option("--log-file-mb", file_mb, "Megabytes after which the file rotates")->capture_default_str()->check(CLI::Range(1, 1'000'000))->needs(to_file);
  command.add_option("--log-files", files, "How many older files are kept")->capture_default_str()->check(CLI::Range(0, 1000))->needs(to_file);
  command.add_flag("--quiet", quiet, "No events: as --log-level off");
}

Result<net::EventLog> LogOptions::open(const std::string& service) const {
  BRAINLOCK_ASSIGN(const auto least, net::event_level_from_name(level));
  return net::open_event_log({.service = service,
                              .least = quiet ? net::EventLevel::kOff : least,
                              .json = json,
                              .file = file,
                              .rotate_bytes = file_mb * 1'000'000,
                              .keep_files = files});
}

}  // namespace brainlock::app
