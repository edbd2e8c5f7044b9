// Structured events of a service: a name, fields, a level. No secrets: callers pass names, sizes, times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::net {

/// debug: what comes by the thousand when somebody wants it to; info: what happened; warning: what will be tried again or wants a look;
/// error: what ended a service's work.
enum class EventLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

/// "debug", "info", "warning", "error", "off". kInvalidArgument for another name; the message lists all.
Result<EventLevel> event_level_from_name(std::string_view name);

using EventFields = std::vector<std::pair<std::string_view, std::string>>;
/// Takes an event; safe from many threads. An empty function drops events.
using EventLog = std::function<void(EventLevel level, std::string_view event, const EventFields& fields)>;

struct EventLogOptions {
  std::string service;                            ///< in each line
  EventLevel least = EventLevel::kInfo;           ///< lower ones are dropped; kOff drops all
  bool json = false;                              ///< one JSON object a line; else  TIME LEVEL SERVICE EVENT name=value ...
  std::filesystem::path file = {};                ///< empty: standard error
  std::uint64_t rotate_bytes = 64ULL << 20;       ///< a file that would grow beyond is renamed FILE.1 (NAME.1.EXTENSION) and a new one begun
  std::size_t keep_files = 4;                     ///< so many of them besides the new one
};

/// Times are UTC with milliseconds. Values are cleaned: what is not printable ASCII becomes '?', so no value makes a second line.
/// Each line is written and flushed at once. A file is made with mode 0600. kIo if it cannot be opened.
Result<EventLog> open_event_log(const EventLogOptions& options);

/// Logs if there is a log.
inline void log_event(const EventLog& log, EventLevel level, std::string_view event, const EventFields& fields = {}) {
  if (log) log(level, event, fields);
}
inline void log_event(const EventLog& log, std::string_view event, const EventFields& fields = {}) { log_event(log, EventLevel::kInfo, event, fields); }

}  // namespace brainlock::net
