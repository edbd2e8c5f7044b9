#include "offer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "brainlock/crypto/sha256.hpp"
#include "brainlock/update/installation.hpp"
#include "brainlock/update/signatures.hpp"

namespace brainlock::update {
namespace {

namespace fs = std::filesystem;

/// Left on the disk for others.
constexpr std::uint64_t kSpareBytes = std::uint64_t{64} << 20;

bool is_file_of(const fs::path& folder, const fs::path& path, const std::vector<ReleaseFile>& files) {
  const std::string name = path.lexically_relative(folder).generic_string();
  return std::any_of(files.begin(), files.end(), [&](const ReleaseFile& file) { return file.path == name; });
}

bool is_whole(const fs::path& path, const ReleaseFile& file) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(path, error)) || fs::file_size(path, error) != file.size) return false;
  const bool executable = (fs::status(path, error).permissions() & fs::perms::owner_exec) != fs::perms::none;
  const auto digest = digest_file(path);
  return executable == file.executable && digest.ok() && digest.value().sha256 == file.sha256;
}

/// Everything in a folder that is neither one of the files nor a folder on the way to one.
std::vector<fs::path> strangers(const fs::path& folder, const std::vector<ReleaseFile>& files) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (!entry.is_symlink(error) && entry.is_directory(error)) continue;
    if (!is_file_of(folder, entry.path(), files)) out.push_back(entry.path());
  }
  return out;
}

Status check_room(const fs::path& folder, std::uint64_t bytes) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return {};
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free >= bytes + kSpareBytes) return {};
  return {ErrorCode::kResource, folder.string() + ": " + std::to_string(free >> 20) + " MB free, " +
                                    std::to_string((bytes + kSpareBytes) >> 20) + " MB are needed: make room"};
}

/// A new file that is gone again unless it is kept.
class FreshFile {
 public:
  FreshFile(const fs::path& path, bool executable) : path_(path) {
    ::unlink(path.c_str());
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor_ >= 0) ::fchmod(descriptor_, executable ? 0755 : 0644);
  }
  ~FreshFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(path_.c_str());
  }
  FreshFile(const FreshFile&) = delete;
  [[nodiscard]] Status failure(const char* what) const {
    return {ErrorCode::kIo, path_.string() + ": cannot " + what + ": " + std::strerror(errno)};
  }
  [[nodiscard]] bool open() const { return descriptor_ >= 0; }
  Status write(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failure("write");
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }
  Status keep() {
    if (::fsync(descriptor_) != 0) return failure("flush");
    ::close(std::exchange(descriptor_, -1));
    return {};
  }

 private:
  fs::path path_;
  int descriptor_ = -1;
};

Status fetch_file(Source& source, const ReleaseFile& file, const fs::path& path, std::int64_t within_s,
                  std::stop_token stop) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  FreshFile out(path, file.executable);
  if (!out.open()) return out.failure("make");
  crypto::Sha256 hash;
  std::uint64_t size = 0;
  const Status got = source.fetch(
      "files/" + crypto::hex_encode(file.sha256), file.size, within_s,
      [&](std::span<const std::uint8_t> piece) {
        hash.update(piece);
        size += piece.size();
        return out.write(piece);
      },
      std::move(stop));
  if (!got.ok()) return got.error().in(file.path);
  if (size != file.size || hash.finish() != file.sha256) {
    return {ErrorCode::kCorrupted, file.path + ": the source gives other bytes than the signed manifest says (" +
                                       std::to_string(size) + " of " + std::to_string(file.size) +
                                       "): it is not taken"};
  }
  return out.keep();
}

}  // namespace

Result<Release> fetch_offer(Source& source, const Settings& settings, const std::string& version,
                            std::stop_token stop) {
  if (const auto named = parse_version(version); !version.empty() && !named.ok()) return named.error();
  const std::string place = version.empty() ? "" : "releases/" + version + "/";
  BRAINLOCK_ASSIGN(const std::string manifest, fetch_text(source, place + "release.json", kMaxManifestBytes, stop));
  BRAINLOCK_ASSIGN(const std::string lines, fetch_text(source, place + "release.json.sig", kMaxSignatureBytes, stop));
  BRAINLOCK_ASSIGN(const auto signatures, parse_signatures(lines));
  // Before anything in it is looked at.
  BRAINLOCK_TRY(check_signatures(manifest, signatures, settings.keys, settings.threshold));
  BRAINLOCK_ASSIGN(Release release, parse_release(manifest));
  if (!version.empty() && release.version.text() != version) {
    return Error{ErrorCode::kMismatch,
                 "asked for " + version + ", and the source has " + release.version.text() + " in its place"};
  }
  return release;
}

Status fetch_files(Source& source, const std::vector<ReleaseFile>& files, const fs::path& folder, std::int64_t within_s,
                   const std::function<void(const std::string&)>& say, std::stop_token stop) {
  std::error_code error;
  for (const auto& stranger : strangers(folder, files)) fs::remove(stranger, error);
  std::vector<const ReleaseFile*> missing;
  std::uint64_t bytes = 0;
  for (const auto& file : files) {
    if (is_whole(folder / file.path, file)) continue;
    fs::remove_all(folder / file.path, error);
    missing.push_back(&file);
    bytes += file.size;
  }
  BRAINLOCK_TRY(check_room(folder, bytes));
  for (const ReleaseFile* file : missing) {
    std::string step = "fetching ";
    say(step.append(file->path).append(", ").append(std::to_string(file->size)).append(" bytes"));
    BRAINLOCK_TRY(fetch_file(source, *file, folder / file->path, within_s, stop));
  }
  return {};
}

bool holds_files(const fs::path& folder, const std::vector<ReleaseFile>& files) {
  return strangers(folder, files).empty() && std::all_of(files.begin(), files.end(), [&](const ReleaseFile& file) {
           return is_whole(folder / file.path, file);
         });
}

}  // namespace brainlock::update
