#include "brainlock/update/release.hpp"

#include <algorithm>
#include <set>

#include "brainlock/crypto/bytes.hpp"
#include "json_reader.hpp"

namespace brainlock::update {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxPath = 100;
constexpr std::size_t kMaxArchitectures = 8;
constexpr std::size_t kMaxNotes = 4000;
constexpr int kMaxSchema = 1'000'000;

bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._+-").find(c) != std::string_view::npos;
}

bool is_architecture(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), fits);
}

template <typename T>
Status take_version(const json& object, const char* field, T& out, Result<T> (*parse)(std::string_view)) {
  std::string text;
  BRAINLOCK_TRY(take_text(object, field, text, 40));
  auto version = parse(text);
  if (!version.ok()) return version.error().in(field);
  out = version.value();
  return {};
}

Result<ReleaseFile> take_file(const json& entry) {
  if (!entry.is_object()) return wrong_field("files");
  ReleaseFile out;
  BRAINLOCK_TRY(take_text(entry, "path", out.path, kMaxPath));
  if (!is_release_path(out.path)) return Error{ErrorCode::kMalformed, "'" + out.path + "' is no path of a release"};
  BRAINLOCK_TRY(take_number(entry, "size", out.size, 0, static_cast<std::int64_t>(kMaxReleaseBytes)));
  std::string hash;
  BRAINLOCK_TRY(take_text(entry, "sha256", hash, 64));
  auto bytes = crypto::hex_decode_array<32>(hash);
  if (!bytes.ok() || hash.size() != 64) return wrong_field("sha256");
  out.sha256 = bytes.value();
  const auto executable = entry.find("executable");
  if (executable == entry.end() || !executable->is_boolean()) return wrong_field("executable");
  out.executable = executable->get<bool>();
  return out;
}

/// Every path once, and none of them a folder of another.
Status check_paths(const std::vector<ReleaseFile>& files) {
  std::set<std::string, std::less<>> paths;
  for (const auto& file : files) {
    if (!paths.insert(file.path).second) return {ErrorCode::kMalformed, "two files are " + file.path};
  }
  for (const auto& file : files) {
    for (auto slash = file.path.find('/'); slash != std::string::npos; slash = file.path.find('/', slash + 1)) {
      if (paths.contains(std::string_view(file.path).substr(0, slash))) {
        return {ErrorCode::kMalformed, file.path + " lies in a file"};
      }
    }
  }
  return {};
}

Result<std::vector<ReleaseFile>> take_files(const json& list) {
  if (!list.is_array() || list.empty() || list.size() > kMaxFiles) return wrong_field("files");
  std::vector<ReleaseFile> out;
  std::uint64_t all = 0;
  for (const json& entry : list) {
    BRAINLOCK_ASSIGN(ReleaseFile file, take_file(entry));
    all += file.size;
    out.push_back(std::move(file));
  }
  if (all > kMaxReleaseBytes) {
    return Error{ErrorCode::kTooLarge, "files of " + std::to_string(all) + " bytes, limit 2 GiB"};
  }
  BRAINLOCK_TRY(check_paths(out));
  const bool program = std::any_of(out.begin(), out.end(),
                                   [](const auto& file) { return file.path == kProgramPath && file.executable; });
  if (!program) return Error{ErrorCode::kMalformed, "no executable " + std::string(kProgramPath) + " among the files"};
  return out;
}

Status take_rollout(const json& object, std::vector<RolloutStep>& out) {
  const auto list = object.find("rollout");
  if (list == object.end() || !list->is_array() || list->size() > kMaxRolloutSteps) return wrong_field("rollout");
  for (const json& entry : *list) {
    if (!entry.is_object()) return wrong_field("rollout");
    RolloutStep step;
    BRAINLOCK_TRY(take_number(entry, "from_s", step.from_s, 0, kLastSecond));
    BRAINLOCK_TRY(take_number(entry, "percent", step.percent, 0, 100));
    // A share that shrank would have updated some and not others for no reason that anybody could see.
    if (!out.empty() && (step.from_s < out.back().from_s || step.percent < out.back().percent))
      return wrong_field("rollout");
    out.push_back(step);
  }
  return {};
}

}  // namespace

bool is_release_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath) return false;
  std::size_t words = 0;
  while (true) {
    const auto slash = std::min(path.find('/'), path.size());
    const auto word = path.substr(0, slash);
    if (word.empty() || word.front() == '.' || !std::all_of(word.begin(), word.end(), in_word) || ++words > 4)
      return false;
    if (slash == path.size()) return true;
    path.remove_prefix(slash + 1);
  }
}

Result<Release> parse_release(std::string_view text) {
  auto body = read_json(text, kMaxManifestBytes);
  if (!body.ok()) return body.error().in("release.json");
  Release out;
  int format = 0;
  BRAINLOCK_TRY(take_number(*body, "format", format, 0, 1'000'000));
  if (format != kFormat) {
    return Error{ErrorCode::kUnsupported, "release.json of format " + std::to_string(format) +
                                              ", this program reads 1: install a newer one by hand"};
  }
  BRAINLOCK_TRY(take_version(*body, "version", out.version, &parse_version));
  BRAINLOCK_TRY(take_number(*body, "created_s", out.created_s, 0, kLastSecond));
  BRAINLOCK_TRY(take_number(*body, "expires_s", out.expires_s, out.created_s + 1, out.created_s + kLongestLifeS));
  BRAINLOCK_TRY(take_version(*body, "straight_from", out.straight_from, &parse_version));
  BRAINLOCK_TRY(take_version(*body, "glibc", out.glibc, &parse_glibc_version));
  const auto store = body->find("store_schema");
  if (store == body->end() || !store->is_object()) return wrong_field("store_schema");
  BRAINLOCK_TRY(take_number(*store, "oldest", out.store.oldest, 0, kMaxSchema));
  BRAINLOCK_TRY(take_number(*store, "newest", out.store.newest, out.store.oldest, kMaxSchema));
  BRAINLOCK_TRY(take_rollout(*body, out.rollout));
  BRAINLOCK_TRY(take_text(*body, "notes", out.notes, kMaxNotes, /*lines=*/true));
  const auto files = body->find("files");
  if (files == body->end() || !files->is_object() || files->empty() || files->size() > kMaxArchitectures)
    return wrong_field("files");
  for (const auto& [architecture, list] : files->items()) {
    if (!is_architecture(architecture)) return wrong_field("files");
    auto taken = take_files(list);
    if (!taken.ok()) return taken.error().in(architecture);
    out.files.emplace(architecture, std::move(*taken));
  }
  return out;
}

std::string release_json(const Release& release) {
  json rollout = json::array(), files = json::object();
  for (const auto& step : release.rollout) rollout.push_back({{"from_s", step.from_s}, {"percent", step.percent}});
  for (const auto& [architecture, list] : release.files) {
    json entries = json::array();
    for (const auto& file : list) {
      entries.push_back({{"path", file.path},
                         {"size", file.size},
                         {"sha256", crypto::hex_encode(file.sha256)},
                         {"executable", file.executable}});
    }
    files[architecture] = std::move(entries);
  }
  const json body = {{"format", kFormat},
                     {"version", release.version.text()},
                     {"created_s", release.created_s},
                     {"expires_s", release.expires_s},
                     {"straight_from", release.straight_from.text()},
                     {"glibc", release.glibc.text()},
                     {"store_schema", {{"oldest", release.store.oldest}, {"newest", release.store.newest}}},
                     {"rollout", std::move(rollout)},
                     {"notes", release.notes},
                     {"files", std::move(files)}};
  return body.dump(1) + "\n";
}

}  // namespace brainlock::update
