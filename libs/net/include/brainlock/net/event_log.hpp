// Structured events of a service: one line of JSON each. No secrets: callers pass names, sizes, times.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brainlock::net {

using EventFields = std::vector<std::pair<std::string_view, std::string>>;
/// Takes an event; safe from many threads. An empty function drops events.
using EventLog = std::function<void(std::string_view event, const EventFields& fields)>;

/// Lines on standard error: {"time":"2026-01-31T12:00:00.000Z","event":"...","field":"..."}; values are cleaned of control characters.
EventLog stderr_event_log(std::string service);

/// Logs if there is a log.
inline void log_event(const EventLog& log, std::string_view event, const EventFields& fields = {}) {
  if (log) log(event, fields);
}

}  // namespace brainlock::net
