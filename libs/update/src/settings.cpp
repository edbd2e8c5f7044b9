#include "brainlock/update/settings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "brainlock/base/file.hpp"
#include "brainlock/net/download.hpp"
#include "json_reader.hpp"

namespace brainlock::update {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxKeys = 16;
constexpr std::size_t kMaxWords = 32;
constexpr std::size_t kMaxText = 1000;
constexpr std::int64_t kDayS = 24 * 3600;

Result<Service> take_service(const json& entry) {
  if (!entry.is_object()) return wrong_field("services");
  Service out;
  BRAINLOCK_TRY(take_text(entry, "role", out.role, 20));
  if (out.role != "miner" && out.role != "validator") {
    return Error{ErrorCode::kInvalidArgument, "role \"" + out.role + "\": expected miner or validator"};
  }
  BRAINLOCK_TRY(take_text(entry, "environment", out.environment, kMaxText));
  if (!out.environment.starts_with('/'))
    return Error{ErrorCode::kInvalidArgument, "environment: expected a file from the root on"};
  const auto words = entry.find("restart");
  if (words == entry.end() || !words->is_array() || words->size() > kMaxWords) return wrong_field("restart");
  for (const json& word : *words) {
    if (!word.is_string() || word.get_ref<const std::string&>().size() > kMaxText ||
        word.get_ref<const std::string&>().find('\0') != std::string::npos) {
      return wrong_field("restart");
    }
    out.restart.push_back(word.get<std::string>());
  }
  if (!out.restart.empty() && out.restart.front().empty()) return wrong_field("restart");
  BRAINLOCK_TRY(take_text(entry, "health", out.health, kMaxText));
  auto url = net::parse_url(out.health);
  if (!url.ok()) return url.error().in("health");
  return out;
}

Status take_keys(const json& body, Settings& out) {
  const auto keys = body.find("keys");
  if (keys == body.end() || !keys->is_array() || keys->empty() || keys->size() > kMaxKeys) return wrong_field("keys");
  std::set<crypto::Ed25519PublicKey> known;
  for (const json& entry : *keys) {
    if (!entry.is_string()) return wrong_field("keys");
    auto key = crypto::hex_decode_array<32>(entry.get_ref<const std::string&>());
    if (!key.ok()) return key.error().in("keys");
    if (!known.insert(key.value()).second) return {ErrorCode::kInvalidArgument, "keys: one is named twice"};
    out.keys.push_back(key.value());
  }
  BRAINLOCK_TRY(take_number(body, "threshold", out.threshold, 0, 1'000'000));
  if (out.threshold == 0 || out.threshold > out.keys.size()) {
    return {ErrorCode::kInvalidArgument, "threshold: expected 1 to " + std::to_string(out.keys.size()) +
                                             ", the number of keys, got " + std::to_string(out.threshold)};
  }
  return {};
}

}  // namespace

Result<Settings> parse_settings(std::string_view text) {
  BRAINLOCK_ASSIGN(const json body, read_json(text, kMaxSettingsBytes));
  Settings out;
  int format = 0;
  BRAINLOCK_TRY(take_number(body, "format", format, 0, 1'000'000));
  if (format != kFormat)
    return Error{ErrorCode::kUnsupported, "settings of format " + std::to_string(format) + ", this program reads 1"};
  BRAINLOCK_TRY(take_text(body, "source", out.source, kMaxText));
  if (!out.source.starts_with('/')) {
    auto url = net::parse_url(out.source);
    if (!url.ok()) return url.error().in("source (or a folder from the root on)");
  }
  BRAINLOCK_TRY(take_keys(body, out));
  const auto services = body.find("services");
  if (services == body.end() || !services->is_array() || services->size() > kMaxServices)
    return wrong_field("services");
  for (const json& entry : *services) {
    auto service = take_service(entry);
    if (!service.ok()) return service.error().in("services");
    out.services.push_back(std::move(*service));
  }
  const auto take_time = [&](const char* field, std::int64_t& value, std::int64_t least) -> Status {
    return body.contains(field) ? take_number(body, field, value, least, kDayS) : Status();
  };
  BRAINLOCK_TRY(take_time("restart_within_s", out.restart_within_s, 1));
  BRAINLOCK_TRY(take_time("answer_within_s", out.answer_within_s, 1));
  BRAINLOCK_TRY(take_time("stay_healthy_s", out.stay_healthy_s, 0));
  BRAINLOCK_TRY(take_time("doctor_within_s", out.doctor_within_s, 1));
  BRAINLOCK_TRY(take_time("download_within_s", out.download_within_s, 1));
  return out;
}

std::string settings_json(const Settings& settings) {
  json keys = json::array(), services = json::array();
  for (const auto& key : settings.keys) keys.push_back(crypto::hex_encode(key));
  for (const auto& service : settings.services) {
    services.push_back({{"role", service.role},
                        {"environment", service.environment},
                        {"restart", service.restart},
                        {"health", service.health}});
  }
  const json body = {{"format", kFormat},
                     {"source", settings.source},
                     {"keys", std::move(keys)},
                     {"threshold", settings.threshold},
                     {"services", std::move(services)},
                     {"restart_within_s", settings.restart_within_s},
                     {"answer_within_s", settings.answer_within_s},
                     {"stay_healthy_s", settings.stay_healthy_s},
                     {"doctor_within_s", settings.doctor_within_s},
                     {"download_within_s", settings.download_within_s}};
  return body.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Settings> load_settings(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    return Error{ErrorCode::kNotFound,
                 "updates are not set up: there is no " + file.string() + " (brainlock update setup --help)"};
  }
  const bool ours = status.st_uid == ::geteuid() || status.st_uid == 0;
  if (!ours || (status.st_mode & 022) != 0) {
    return Error{
        ErrorCode::kDenied,
        file.string() +
            " names commands that are run and keys that are believed, and another user may write it: chmod go-w"};
  }
  BRAINLOCK_ASSIGN(const auto bytes, read_file(file, kMaxSettingsBytes));
  auto settings = parse_settings({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!settings.ok()) return settings.error().in(file.string());
  return settings;
}

Status store_settings(const std::filesystem::path& file, const Settings& settings, bool overwrite) {
  const std::string text = settings_json(settings);
  BRAINLOCK_ASSIGN(const Settings again, parse_settings(text));
  if (!(again == settings)) return {ErrorCode::kInvalidArgument, "settings that cannot be written as text"};
  return write_file(file, crypto::as_bytes(text), {.overwrite = overwrite, .mode = 0600});
}

}  // namespace brainlock::update
