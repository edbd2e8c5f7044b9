#include "brainlock/update/state.hpp"

#include <algorithm>

#include "brainlock/base/file.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/random.hpp"
#include "disk.hpp"
#include "json_reader.hpp"

namespace brainlock::update {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxName = 60;
constexpr std::size_t kMaxWhy = 500;

std::string plain(std::string text) {
  if (text.size() > kMaxWhy) text.resize(kMaxWhy);
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = ' ';
  }
  return text;
}

/// A folder's name and no way out of the folder that it lies in.
Status take_name(const json& object, const char* field, std::string& out, bool may_be_empty) {
  BRAINLOCK_TRY(take_text(object, field, out, kMaxName));
  const bool good = out.empty() ? may_be_empty : out.front() != '.' && out.find('/') == std::string::npos;
  return good ? Status() : wrong_field(field);
}

Result<Work> take_work(const json& entry) {
  if (!entry.is_object()) return wrong_field("work");
  Work out;
  std::string phase;
  BRAINLOCK_TRY(take_text(entry, "phase", phase, 20));
  const auto phases = {Phase::kSwitching, Phase::kChecking, Phase::kUndoing};
  const auto found = std::find_if(phases.begin(), phases.end(), [&](Phase one) { return phase_name(one) == phase; });
  if (found == phases.end()) return wrong_field("phase");
  out.phase = *found;
  BRAINLOCK_TRY(take_name(entry, "from", out.from, false));
  BRAINLOCK_TRY(take_name(entry, "to", out.to, false));
  BRAINLOCK_TRY(take_text(entry, "why", out.why, kMaxWhy));
  return out;
}

Result<FailedRelease> take_failure(const json& entry) {
  if (!entry.is_object()) return wrong_field("failed");
  FailedRelease out;
  std::string version;
  BRAINLOCK_TRY(take_text(entry, "version", version, 40));
  BRAINLOCK_ASSIGN(out.version, parse_version(version));
  BRAINLOCK_TRY(take_number(entry, "at_s", out.at_s, 0, kLastSecond));
  BRAINLOCK_TRY(take_text(entry, "why", out.why, kMaxWhy));
  return out;
}

}  // namespace

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::kSwitching:
      return "switching";
    case Phase::kChecking:
      return "checking";
    case Phase::kUndoing:
      return "undoing";
  }
  return "unknown";
}

Result<State> parse_state(std::string_view text) {
  BRAINLOCK_ASSIGN(const json body, read_json(text, kMaxStateBytes));
  State out;
  int format = 0;
  BRAINLOCK_TRY(take_number(body, "format", format, kFormat, kFormat));
  BRAINLOCK_TRY(take_text(body, "operator_id", out.operator_id, 32));
  if (out.operator_id.size() != 32 || !crypto::hex_decode(out.operator_id).ok()) return wrong_field("operator_id");
  BRAINLOCK_TRY(take_name(body, "current", out.current, true));
  BRAINLOCK_TRY(take_name(body, "previous", out.previous, true));
  if (body.contains("highest_seen")) {
    std::string version;
    BRAINLOCK_TRY(take_text(body, "highest_seen", version, 40));
    BRAINLOCK_ASSIGN(out.highest_seen, parse_version(version));
  }
  BRAINLOCK_TRY(take_number(body, "newest_created_s", out.newest_created_s, 0, kLastSecond));
  BRAINLOCK_TRY(take_number(body, "last_check_s", out.last_check_s, 0, kLastSecond));
  BRAINLOCK_TRY(take_text(body, "last_check", out.last_check, kMaxWhy));
  const auto failed = body.find("failed");
  if (failed == body.end() || !failed->is_array() || failed->size() > kMaxFailures) return wrong_field("failed");
  for (const json& entry : *failed) {
    BRAINLOCK_ASSIGN(FailedRelease failure, take_failure(entry));
    out.failed.push_back(std::move(failure));
  }
  if (const auto work = body.find("work"); work != body.end()) {
    BRAINLOCK_ASSIGN(out.work, take_work(*work));
  }
  return out;
}

std::string state_json(const State& state) {
  json failed = json::array();
  for (const auto& failure : state.failed) {
    failed.push_back({{"version", failure.version.text()}, {"at_s", failure.at_s}, {"why", plain(failure.why)}});
  }
  json body = {{"format", kFormat},
               {"operator_id", state.operator_id},
               {"current", state.current},
               {"previous", state.previous},
               {"newest_created_s", state.newest_created_s},
               {"last_check_s", state.last_check_s},
               {"last_check", plain(state.last_check)},
               {"failed", std::move(failed)}};
  if (state.highest_seen) body["highest_seen"] = state.highest_seen->text();
  if (state.work) {
    body["work"] = {{"phase", phase_name(state.work->phase)},
                    {"from", state.work->from},
                    {"to", state.work->to},
                    {"why", plain(state.work->why)}};
  }
  return body.dump(2) + "\n";
}

Result<State> load_state(const std::filesystem::path& file) {
  const auto bytes = read_file(file, kMaxStateBytes);
  if (!bytes.ok()) {
    if (bytes.error().code != ErrorCode::kNotFound) return bytes.error();
    State fresh;
    std::array<std::uint8_t, 16> id{};
    crypto::random_bytes(id);
    fresh.operator_id = crypto::hex_encode(id);
    return fresh;
  }
  auto state = parse_state({reinterpret_cast<const char*>(bytes.value().data()), bytes.value().size()});
  if (!state.ok()) {
    return state.error().in(file.string() + ": damaged; move it away, and what was seen and what failed is forgotten");
  }
  return state;
}

Status store_state(const std::filesystem::path& file, const State& state) {
  BRAINLOCK_TRY(write_file(file, crypto::as_bytes(state_json(state)), {.overwrite = true, .mode = 0600}));
  return sync_folder(file.parent_path());
}

void note_failure(State& state, FailedRelease failure) {
  std::erase_if(state.failed, [&](const auto& other) { return other.version == failure.version; });
  state.failed.push_back(std::move(failure));
  if (state.failed.size() > kMaxFailures) state.failed.erase(state.failed.begin());
}

const FailedRelease* failure_of(const State& state, const Version& version) {
  const auto found = std::find_if(state.failed.begin(), state.failed.end(),
                                  [&](const auto& failure) { return failure.version == version; });
  return found == state.failed.end() ? nullptr : &*found;
}

}  // namespace brainlock::update
