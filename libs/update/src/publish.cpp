#include "brainlock/update/publish.hpp"

#include <algorithm>
#include <charconv>

#include "brainlock/base/file.hpp"
#include "brainlock/update/installation.hpp"
#include "brainlock/update/signatures.hpp"

namespace brainlock::update {
namespace {

namespace fs = std::filesystem;

Result<std::string> read_text(const fs::path& file, std::uint64_t limit) {
  BRAINLOCK_ASSIGN(const auto bytes, read_file(file, limit));
  return std::string(bytes.begin(), bytes.end());
}

fs::path signatures_of(const fs::path& manifest) { return manifest.string() + ".sig"; }
fs::path manifest_of(const fs::path& site, const Version& version) {
  return site / "releases" / version.text() / "release.json";
}

Status copy_in(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (fs::exists(to, error)) return {};  // under this name lie these bytes
  const fs::path fresh = to.string() + ".new";
  fs::copy_file(from, fresh, fs::copy_options::overwrite_existing, error);
  if (!error)
    fs::permissions(
        fresh, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read | fs::perms::others_read, error);
  if (!error) fs::rename(fresh, to, error);
  if (error) return {ErrorCode::kIo, to.string() + ": " + error.message()};
  return {};
}

}  // namespace

Result<Release> draft_release(const fs::path& site, Release release, const std::vector<NewFile>& files) {
  std::error_code error;
  fs::create_directories(site / "files", error);
  for (const auto& file : files) {
    BRAINLOCK_ASSIGN(const auto digest, digest_file(file.from));
    const bool executable = (fs::status(file.from, error).permissions() & fs::perms::owner_exec) != fs::perms::none;
    release.files[file.architecture].push_back({file.path, digest.size, digest.sha256, executable});
    BRAINLOCK_TRY(copy_in(file.from, site / "files" / crypto::hex_encode(digest.sha256)));
  }
  const std::string text = release_json(release);
  if (const auto read = parse_release(text); !read.ok()) return read.error();
  const fs::path manifest = manifest_of(site, release.version);
  fs::create_directories(manifest.parent_path(), error);
  fs::remove(signatures_of(manifest), error);
  BRAINLOCK_TRY(write_file(manifest, crypto::as_bytes(text), {.overwrite = true, .mode = 0644}));
  return release;
}

Status sign_release(const fs::path& manifest, const crypto::Ed25519KeyPair& key) {
  BRAINLOCK_ASSIGN(const std::string text, read_text(manifest, kMaxManifestBytes));
  const auto release = parse_release(text);
  if (!release.ok()) return release.error().in(manifest.string() + " is not signed");
  std::string lines;
  std::error_code error;
  if (fs::exists(signatures_of(manifest), error)) {
    BRAINLOCK_ASSIGN(const std::string there, read_text(signatures_of(manifest), kMaxSignatureBytes));
    BRAINLOCK_ASSIGN(const auto signatures, parse_signatures(there));
    for (const auto& signature : signatures) {
      // Those of earlier bytes would only be noise.
      if (signature.key != key.public_key() && is_signed(signature, text)) lines += signature_line(signature);
    }
  }
  lines += signature_line(sign_manifest(key, text));
  return write_file(signatures_of(manifest), crypto::as_bytes(lines), {.overwrite = true, .mode = 0644});
}

Status go_live(const fs::path& site, const Version& version, const std::vector<crypto::Ed25519PublicKey>& keys,
               std::size_t threshold) {
  const fs::path manifest = manifest_of(site, version);
  BRAINLOCK_ASSIGN(const std::string text, read_text(manifest, kMaxManifestBytes));
  BRAINLOCK_ASSIGN(const std::string lines, read_text(signatures_of(manifest), kMaxSignatureBytes));
  BRAINLOCK_ASSIGN(const auto signatures, parse_signatures(lines));
  BRAINLOCK_TRY(check_signatures(text, signatures, keys, threshold));
  BRAINLOCK_ASSIGN(const Release release, parse_release(text));
  for (const auto& [architecture, files] : release.files) {
    for (const auto& file : files) {
      BRAINLOCK_ASSIGN(const auto digest, digest_file(site / "files" / crypto::hex_encode(file.sha256)));
      if (digest.size != file.size || digest.sha256 != file.sha256)
        return {ErrorCode::kCorrupted, file.path + " of " + architecture + ": other bytes than the manifest says"};
    }
  }
  std::error_code error;
  if (fs::exists(site / "release.json", error)) {
    BRAINLOCK_ASSIGN(const std::string before, read_text(site / "release.json", kMaxManifestBytes));
    const auto newest = parse_release(before);
    if (newest.ok() && (newest->version > version || newest->created_s > release.created_s)) {
      return {ErrorCode::kInvalidArgument, newest->version.text() +
                                               " of a later time is the newest: operators refuse to go back; publish "
                                               "what is to be undone as a higher version"};
    }
  }
  // A moment of new signatures beside the old manifest is one of a refusal, no more.
  BRAINLOCK_TRY(write_file(site / "release.json.sig", crypto::as_bytes(lines), {.overwrite = true, .mode = 0644}));
  return write_file(site / "release.json", crypto::as_bytes(text), {.overwrite = true, .mode = 0644});
}

Result<std::vector<RolloutStep>> parse_rollout(std::string_view text, std::int64_t begin_s) {
  const Error wrong{ErrorCode::kMalformed,
                    "'" + std::string(text.substr(0, 100)) + "': expected shares that rise, like 10,50@2d,100@5d"};
  std::vector<RolloutStep> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    const std::string_view step = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    RolloutStep next;
    next.from_s = begin_s;
    auto [rest, error] = std::from_chars(step.data(), step.data() + step.size(), next.percent);
    const char* const stop = step.data() + step.size();
    if (error != std::errc() || next.percent > 100) return wrong;
    if (rest != stop) {
      if (*rest != '@') return wrong;
      std::int64_t count = 0;
      const auto [unit, bad] = std::from_chars(rest + 1, stop, count);
      if (bad != std::errc() || unit + 1 != stop || count < 0 || count > 1'000'000) return wrong;
      const std::int64_t seconds = *unit == 's'   ? 1
                                   : *unit == 'm' ? 60
                                   : *unit == 'h' ? 3600
                                   : *unit == 'd' ? 24 * 3600
                                                  : 0;
      if (seconds == 0) return wrong;
      next.from_s += count * seconds;
    }
    if (!out.empty() && (next.from_s < out.back().from_s || next.percent < out.back().percent)) return wrong;
    out.push_back(next);
  }
  if (out.size() > kMaxRolloutSteps) return wrong;
  return out;
}

}  // namespace brainlock::update
