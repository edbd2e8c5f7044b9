#include "brainlock/net/event_log.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace brainlock::net {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c >= 0x20 && c <= 0x7e ? c : '?');
  }
  out.push_back('"');
}

}  // namespace

EventLog stderr_event_log(std::string service) {
  return [service = std::move(service)](std::string_view event, const EventFields& fields) {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char time[40];
    const std::size_t length = std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(time + length, sizeof time - length, ".%03dZ", static_cast<int>(ms));
    std::string line = "{\"time\":\"" + std::string(time) + "\",\"service\":";
    append_quoted(line, service);
    line += ",\"event\":";
    append_quoted(line, event);
    for (const auto& [name, value] : fields) {
      line.push_back(',');
      append_quoted(line, name);
      line.push_back(':');
      append_quoted(line, value);
    }
    line += "}\n";
    std::fwrite(line.data(), 1, line.size(), stderr);  // one call: lines of several threads do not mix
  };
}

}  // namespace brainlock::net
