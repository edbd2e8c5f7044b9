#include "disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace brainlock::update {
namespace {

Error failed(const std::filesystem::path& path, const char* what) {
  return {ErrorCode::kIo, path.string() + ": cannot " + what + ": " + std::strerror(errno)};
}

Status sync_path(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) return failed(path, "open");
  const bool flushed = ::fsync(descriptor) == 0;
  const int number = errno;
  ::close(descriptor);
  errno = number;
  // Some file systems flush no folders, and say so.
  if (!flushed && number != EINVAL) return failed(path, "flush");
  return {};
}

}  // namespace

Status sync_folder(const std::filesystem::path& folder) { return sync_path(folder, O_RDONLY | O_DIRECTORY); }
Status sync_file(const std::filesystem::path& file) { return sync_path(file, O_RDONLY); }

Status put_link(const std::filesystem::path& link, const std::filesystem::path& target) {
  const std::filesystem::path fresh = link.string() + ".new";
  ::unlink(fresh.c_str());  // left by one that was killed here
  if (::symlink(target.c_str(), fresh.c_str()) != 0) return failed(fresh, "make the link");
  if (::rename(fresh.c_str(), link.c_str()) != 0) {
    const Error error = failed(link, "switch the link");
    ::unlink(fresh.c_str());
    return error;
  }
  return sync_folder(link.parent_path());
}

}  // namespace brainlock::update
