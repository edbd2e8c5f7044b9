#include "brainlock/update/installation.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "brainlock/crypto/sha256.hpp"
#include "disk.hpp"

namespace brainlock::update {
namespace {

namespace fs = std::filesystem;

/// What setup.sh puts into bin/ besides its scripts.
constexpr std::array<const char*, 2> kPrograms = {"brainlock", "brainlock-pairing"};

Error failed(const fs::path& path, const char* what, const std::error_code& error) {
  return {ErrorCode::kIo, path.string() + ": cannot " + what + ": " + error.message()};
}

/// Where a link in releases/ leads, if it is a plain name.
std::string linked_name(const fs::path& link) {
  std::error_code error;
  const std::string name = fs::read_symlink(link, error).string();
  return error || name.find('/') != std::string::npos ? std::string() : name;
}

bool same_file(const fs::path& a, const fs::path& b) {
  const auto first = digest_file(a), second = digest_file(b);
  return first.ok() && second.ok() && first.value().size == second.value().size &&
         first.value().sha256 == second.value().sha256;
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return failed(folder, "make the folder", error);
  return {};
}

}  // namespace

std::string Installation::current() const { return linked_name(home_ / "releases" / "current"); }
std::string Installation::confirmed() const { return linked_name(home_ / "releases" / "confirmed"); }

bool Installation::has_loose_programs() const {
  return std::any_of(kPrograms.begin(), kPrograms.end(), [&](const char* name) {
    std::error_code error;
    return fs::is_regular_file(fs::symlink_status(home_ / "bin" / name, error));
  });
}

Result<std::string> Installation::adopt(const Version& version) {
  std::error_code error;
  if (!fs::exists(program(), error)) {
    return Error{ErrorCode::kNotFound,
                 program().string() + ": no program; run deploy/miner_setup.sh or validator_setup.sh first"};
  }
  std::vector<std::string> present;
  for (const char* name : kPrograms) {
    if (fs::exists(home_ / "bin" / name, error)) present.emplace_back(name);
  }
  const auto holds_these = [&](const std::string& name) {
    return std::all_of(present.begin(), present.end(), [&](const std::string& file) {
      return same_file(home_ / "bin" / file, release_folder(name) / "bin" / file);
    });
  };
  std::string name = version.text();
  for (int number = 2; fs::exists(release_folder(name), error) && !holds_these(name); ++number) {
    name = version.text() + "-" + std::to_string(number);
  }
  if (!fs::exists(release_folder(name), error)) {
    const fs::path fresh = home_ / "releases" / (".adopt-" + name);
    fs::remove_all(fresh, error);
    BRAINLOCK_TRY(make_folder(fresh / "bin"));
    for (const auto& file : present) {
      fs::copy_file(home_ / "bin" / file, fresh / "bin" / file, error);
      if (error) return failed(fresh / "bin" / file, "copy", error);
      BRAINLOCK_TRY(sync_file(fresh / "bin" / file));
    }
    BRAINLOCK_TRY(sync_folder(fresh / "bin"));
    BRAINLOCK_TRY(sync_folder(fresh));
    fs::rename(fresh, release_folder(name), error);
    if (error) return failed(release_folder(name), "name", error);
    BRAINLOCK_TRY(sync_folder(home_ / "releases"));
  }
  BRAINLOCK_TRY(switch_to(name));
  BRAINLOCK_TRY(confirm(name));
  for (const auto& file : present)
    BRAINLOCK_TRY(put_link(home_ / "bin" / file, fs::path("../releases/current/bin") / file));
  return name;
}

Result<fs::path> Installation::begin_release(const Version& version) {
  const fs::path folder = unfinished(version);
  BRAINLOCK_TRY(make_folder(home_ / "releases"));
  std::error_code error;
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(home_ / "releases", error)) {
    if (entry.path().filename().string().starts_with(".") && entry.path() != folder) others.push_back(entry.path());
  }
  for (const auto& other : others) fs::remove_all(other, error);
  BRAINLOCK_TRY(make_folder(folder));
  return folder;
}

Result<std::string> Installation::finish_release(const Version& version) {
  const fs::path folder = unfinished(version);
  std::error_code error;
  std::vector<fs::path> folders = {folder};
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_directory(error)) folders.push_back(entry.path());
  }
  for (const auto& one : folders) BRAINLOCK_TRY(sync_folder(one));
  std::string name = version.text();
  for (int number = 2; name == current() || name == confirmed(); ++number)
    name = version.text() + "-" + std::to_string(number);
  fs::remove_all(release_folder(name), error);
  fs::rename(folder, release_folder(name), error);
  if (error) return failed(release_folder(name), "name", error);
  BRAINLOCK_TRY(sync_folder(home_ / "releases"));
  return name;
}

Status Installation::switch_to(const std::string& name) {
  std::error_code error;
  if (!fs::is_regular_file(release_program(name), error))
    return {ErrorCode::kNotFound, release_program(name).string() + ": no program"};
  return put_link(home_ / "releases" / "current", name);
}

Status Installation::confirm(const std::string& name) {
  if (confirmed() == name) return {};
  return put_link(home_ / "releases" / "confirmed", name);
}

void Installation::keep_only(const std::vector<std::string>& names) {
  std::error_code error;
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(home_ / "releases", error)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.starts_with(".") || parse_version(name.substr(0, name.find('-'))).ok();
    if (ours && entry.is_directory(error) && !entry.is_symlink(error) &&
        std::find(names.begin(), names.end(), name) == names.end())
      others.push_back(entry.path());
  }
  for (const auto& other : others) fs::remove_all(other, error);
}

Result<UpdateLock> UpdateLock::take(const fs::path& file) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  // Not for the programs that are started meanwhile: they would keep it.
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return Error{ErrorCode::kIo, file.string() + ": cannot open: " + std::strerror(errno)};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    ::close(descriptor);
    if (number == EWOULDBLOCK)
      return Error{ErrorCode::kUnavailable, "another `brainlock update` is at work in " +
                                                file.parent_path().parent_path().string() + ": wait for it"};
    return Error{ErrorCode::kIo, file.string() + ": cannot lock: " + std::strerror(number)};
  }
  return UpdateLock(descriptor);
}

UpdateLock::~UpdateLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<FileDigest> digest_file(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, file.string() + ": " + std::strerror(errno)};
  crypto::Sha256 hash;
  FileDigest out;
  std::vector<std::uint8_t> piece(256 * 1024);
  while (true) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const int number = errno;
      ::close(descriptor);
      if (got < 0) return Error{ErrorCode::kIo, file.string() + ": " + std::strerror(number)};
      out.sha256 = hash.finish();
      return out;
    }
    hash.update({piece.data(), static_cast<std::size_t>(got)});
    out.size += static_cast<std::uint64_t>(got);
  }
}

}  // namespace brainlock::update
