#include "brainlock/protocol/messages.hpp"

#include <nlohmann/json.hpp>

namespace brainlock::protocol {
namespace {

using nlohmann::json;

/// Nesting that no message needs; deeper input would cost stack in the parser.
constexpr int kMaxDepth = 8;

Result<json> read(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    return {ErrorCode::kTooLarge, "JSON of " + std::to_string(text.size()) + " bytes, limit " + std::to_string(kMaxJsonBytes)};
  }
  bool too_deep = false;
  const auto guard = [&too_deep](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) too_deep = true;
    return !too_deep;
  };
  json value = json::parse(text, guard, /*allow_exceptions=*/false);
  if (too_deep || value.is_discarded() || !value.is_object()) return {ErrorCode::kMalformed, "not a JSON object"};
  return value;
}

Error wrong(const char* field) { return {ErrorCode::kMalformed, std::string("field \"") + field + "\" is missing or of the wrong type"}; }

template <typename T>
Status take_number(const json& object, const char* field, T& out) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_number_unsigned()) return wrong(field);
  const auto value = it->get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return wrong(field);
  out = static_cast<T>(value);
  return {};
}

Status take_text(const json& object, const char* field, std::string& out, std::size_t limit) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_string()) return wrong(field);
  out = it->get<std::string>();
  if (out.size() > limit) return wrong(field);
  for (const char c : out) {
    if (c < 0x20 || c > 0x7e) return wrong(field);  // it will be shown to people and written to logs
  }
  return {};
}

}  // namespace

std::string status_json(const MinerStatus& status) {
  json tasks = json::array();
  for (const TaskOffer& task : status.tasks) {
    tasks.push_back({{"package", content_id_text(task.package)},
                     {"model", task.model},
                     {"key_bytes", task.key_bytes},
                     {"max_question_bytes", task.max_question_bytes}});
  }
  const json body = {{"protocol", status.protocol},       {"version", status.version},
                     {"hotkey", status.hotkey},           {"time_ms", status.time_ms},
                     {"running", status.running},         {"queued", status.queued},
                     {"queue_limit", status.queue_limit}, {"key_part_bytes", status.key_part_bytes},
                     {"tasks", std::move(tasks)}};
  return body.dump();
}

Result<MinerStatus> parse_status(std::string_view text) {
  BRAINLOCK_ASSIGN(const json body, read(text));
  MinerStatus out;
  BRAINLOCK_TRY(take_number(body, "protocol", out.protocol));
  if (out.protocol > kProtocolVersion) return {ErrorCode::kUnsupported, "the miner speaks protocol " + std::to_string(out.protocol)};
  BRAINLOCK_TRY(take_text(body, "version", out.version, 100));
  BRAINLOCK_TRY(take_text(body, "hotkey", out.hotkey, 64));
  BRAINLOCK_TRY(take_number(body, "time_ms", out.time_ms));
  BRAINLOCK_TRY(take_number(body, "running", out.running));
  BRAINLOCK_TRY(take_number(body, "queued", out.queued));
  BRAINLOCK_TRY(take_number(body, "queue_limit", out.queue_limit));
  BRAINLOCK_TRY(take_number(body, "key_part_bytes", out.key_part_bytes));
  const auto tasks = body.find("tasks");
  if (tasks == body.end() || !tasks->is_array() || tasks->size() > kMaxTasks) return wrong("tasks");
  for (const json& entry : *tasks) {
    if (!entry.is_object()) return wrong("tasks");
    TaskOffer task;
    std::string package;
    BRAINLOCK_TRY(take_text(entry, "package", package, 64));
    BRAINLOCK_ASSIGN(task.package, parse_content_id(package));
    BRAINLOCK_TRY(take_text(entry, "model", task.model, 100));
    BRAINLOCK_TRY(take_number(entry, "key_bytes", task.key_bytes));
    BRAINLOCK_TRY(take_number(entry, "max_question_bytes", task.max_question_bytes));
    out.tasks.push_back(std::move(task));
  }
  return out;
}

std::string key_state_json(const KeyState& state) {
  return json{{"received_bytes", state.received_bytes}, {"complete", state.complete}}.dump();
}

Result<KeyState> parse_key_state(std::string_view text) {
  BRAINLOCK_ASSIGN(const json body, read(text));
  KeyState out;
  BRAINLOCK_TRY(take_number(body, "received_bytes", out.received_bytes));
  const auto complete = body.find("complete");
  if (complete == body.end() || !complete->is_boolean()) return wrong("complete");
  out.complete = complete->get<bool>();
  return out;
}

std::string progress_json(const ProgressReport& report) {
  return json{{"state", report.state}, {"ahead", report.ahead}, {"fraction", report.fraction}, {"layer", report.layer}}.dump();
}

Result<ProgressReport> parse_progress(std::string_view text) {
  BRAINLOCK_ASSIGN(const json body, read(text));
  ProgressReport out;
  BRAINLOCK_TRY(take_text(body, "state", out.state, 16));
  BRAINLOCK_TRY(take_number(body, "ahead", out.ahead));
  BRAINLOCK_TRY(take_text(body, "layer", out.layer, 200));
  const auto fraction = body.find("fraction");
  if (fraction == body.end() || !fraction->is_number()) return wrong("fraction");
  out.fraction = fraction->get<double>();
  if (!(out.fraction >= 0 && out.fraction <= 1)) return wrong("fraction");
  return out;
}

RefusalReport parse_refusal(std::string_view text) {
  RefusalReport out;
  const auto body = read(text);
  std::string name;
  if (!body.ok() || !take_text(*body, "error", name, 64).ok() || !take_text(*body, "message", out.message, 500).ok()) {
    return {};
  }
  out.refusal = refusal_from_name(name);
  return out;
}

}  // namespace brainlock::protocol
