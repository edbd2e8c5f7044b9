// Levels, times, files and their rotation are spdlog's; what a line says is put together here.
#include "brainlock/net/event_log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace brainlock::net {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames{"debug", "info", "warning", "error", "off"};
constexpr std::array<spdlog::level::level_enum, 5> kLevels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err, spdlog::level::off};

spdlog::level::level_enum spdlog_level(EventLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c >= 0x20 && c <= 0x7e ? c : '?');
  }
  out.push_back('"');
}

/// As it is where that is one word, in quotation marks elsewhere.
void append_word(std::string& out, std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c <= 0x7e && c != '"' && c != '\\' && c != '='; });
  if (plain) out.append(text);
  else append_quoted(out, text);
}

std::string render_json(const std::string& service, std::string_view event, const EventFields& fields) {
  std::string line = "\"service\":";
  append_quoted(line, service);
  line += ",\"event\":";
  append_quoted(line, event);
  for (const auto& [name, value] : fields) {
    line.push_back(',');
    append_quoted(line, name);
    line.push_back(':');
    append_quoted(line, value);
  }
  return line;
}

std::string render_text(const std::string& service, std::string_view event, const EventFields& fields) {
  std::string line;
  append_word(line, service);
  line.push_back(' ');
  append_word(line, event);
  for (const auto& [name, value] : fields) {
    line.push_back(' ');
    append_word(line, name);
    line.push_back('=');
    append_word(line, value);
  }
  return line;
}

/// Others shall not read who asks whom when: files are ours alone, those that rotation makes included.
spdlog::file_event_handlers private_files() {
  spdlog::file_event_handlers handlers;
  handlers.after_open = [](const spdlog::filename_t&, std::FILE* file) { (void)::fchmod(::fileno(file), S_IRUSR | S_IWUSR); };
  return handlers;
}

}  // namespace

Result<EventLevel> event_level_from_name(std::string_view name) {
  const auto found = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  if (found != kLevelNames.end()) return static_cast<EventLevel>(found - kLevelNames.begin());
  std::string all;
  for (const auto& known : kLevelNames) all.append(all.empty() ? "" : ", ").append(known);
  return {ErrorCode::kInvalidArgument, "no level \"" + std::string(name.substr(0, 40)) + "\"; there are " + all};
}

Result<EventLog> open_event_log(const EventLogOptions& options) {
  if (options.least == EventLevel::kOff) return EventLog{};
  try {
    spdlog::sink_ptr sink;
    if (options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file.string(), std::max<std::uint64_t>(1, options.rotate_bytes), options.keep_files,
                                                                   /*rotate_on_open=*/false, private_files());
    }
    const auto logger = std::make_shared<spdlog::logger>(options.service, std::move(sink));
    const char* pattern = options.json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    logger->set_level(spdlog_level(options.least));
    logger->flush_on(spdlog::level::trace);
    const auto render = options.json ? render_json : render_text;
    // spdlog catches its own failures (a full disk): it says so on standard error, once a second at most, and the service goes on.
    return EventLog([logger, render, service = options.service](EventLevel level, std::string_view event, const EventFields& fields) {
      if (logger->should_log(spdlog_level(level))) logger->log(spdlog_level(level), spdlog::string_view_t(render(service, event, fields)));
    });
  } catch (const spdlog::spdlog_ex& failure) {
    return Error{ErrorCode::kIo, std::string("cannot log: ") + failure.what()};
  }
}

}  // namespace brainlock::net
