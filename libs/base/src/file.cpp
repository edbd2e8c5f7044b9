#include "brainlock/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace brainlock {
namespace {

Error io_error(const std::filesystem::path& file, const char* act, int number) {
  const ErrorCode code = number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  return {code, file.string() + ": cannot " + act + ": " + std::strerror(number)};
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& file, std::uint64_t max_bytes) {
  // O_NONBLOCK: opening a pipe must not hang; it means nothing for regular files.
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) return io_error(file, "open", errno);
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) return io_error(file, "read", errno);
  if (!S_ISREG(status.st_mode)) return {ErrorCode::kInvalidArgument, file.string() + ": not a regular file"};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > max_bytes) {
    return {ErrorCode::kTooLarge,
            file.string() + ": " + std::to_string(size) + " bytes, expected at most " + std::to_string(max_bytes)};
  }
  std::vector<std::uint8_t> bytes(size);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(descriptor.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(file, "read", errno);
    if (got == 0) return {ErrorCode::kIo, file.string() + ": became shorter while it was read"};
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& file, AtomicFileOptions options) {
  AtomicFile out;
  out.target_ = file;
  out.options_ = options;
  std::error_code ignored;
  if (!options.overwrite && std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) {
    return {ErrorCode::kDenied, file.string() + ": exists and is not overwritten unless that is asked for (--overwrite)"};
  }
  // mkostemp makes the file with mode 0600, so a secret is never readable by others, not even for a moment.
  std::string name = file.string() + ".tmp.XXXXXX";
  out.descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (out.descriptor_ < 0) return io_error(file, "create", errno);
  out.temporary_ = name;
  if (::fchmod(out.descriptor_, static_cast<mode_t>(options.mode)) != 0) return io_error(file, "set the mode of", errno);
  return out;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)),
      options_(other.options_),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this != &other) {
    discard();
    target_ = std::move(other.target_);
    temporary_ = std::move(other.temporary_);
    options_ = other.options_;
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
  descriptor_ = -1;
}

Status AtomicFile::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io_error(target_, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status AtomicFile::write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io_error(target_, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

Status AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) return io_error(target_, "flush", errno);
  if (options_.overwrite) {
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) return io_error(target_, "rename into place", errno);
  } else {
    // link() fails if the name is taken, which rename() would not: two writers cannot both win.
    if (::link(temporary_.c_str(), target_.c_str()) != 0) {
      if (errno == EEXIST) return {ErrorCode::kDenied, target_.string() + ": exists and is not overwritten unless that is asked for (--overwrite)"};
      // Some file systems have no hard links; the check in create() has to do there.
      if (::rename(temporary_.c_str(), target_.c_str()) != 0) return io_error(target_, "rename into place", errno);
    } else {
      ::unlink(temporary_.c_str());
    }
  }
  ::close(std::exchange(descriptor_, -1));
  return {};
}

Status write_file(const std::filesystem::path& file, std::span<const std::uint8_t> bytes, AtomicFileOptions options) {
  BRAINLOCK_ASSIGN(auto out, AtomicFile::create(file, options));
  BRAINLOCK_TRY(out.write(bytes));
  return out.commit();
}

}  // namespace brainlock
