// Files of secret keys: the bytes of SecretKey::serialize(), mode 0600.
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "brainlock/base/file.hpp"
#include "brainlock/ckks_client/client.hpp"

namespace brainlock::ckks_client {
namespace {

/// Reads the file straight into locked memory: a std::vector or stream buffer would leave copies behind.
Result<crypto::SecretBuffer> read_secret(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return {errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, std::string("cannot open: ") + std::strerror(errno)};
  }
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return {ErrorCode::kIo, std::string("cannot read: ") + std::strerror(errno)};
  if (!S_ISREG(status.st_mode)) return {ErrorCode::kInvalidArgument, "not a regular file"};
  if ((status.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", status.st_mode & 07777u);
    return {ErrorCode::kDenied, std::string("mode ") + mode + ", expected 0600: others may read this secret key (chmod 600)"};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > SecretKey::kMaxBytes) {
    return {ErrorCode::kTooLarge,
            std::to_string(size) + " bytes, expected at most " + std::to_string(SecretKey::kMaxBytes)};
  }
  crypto::SecretBuffer buffer(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::read(descriptor, buffer.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {ErrorCode::kIo, got < 0 ? std::strerror(errno) : "became shorter while it was read"};
    done += static_cast<std::size_t>(got);
  }
  return buffer;
}

}  // namespace

Result<SecretKey> SecretKey::load(const std::filesystem::path& file, std::shared_ptr<const ckks::Parameters> parameters) {
  const std::string where = "secret key " + file.string();
  const auto bytes = read_secret(file);
  if (!bytes.ok()) return bytes.error().in(where);
  auto key = parse(bytes->bytes(), std::move(parameters));
  if (!key.ok()) return key.error().in(where);
  return key;
}

Status SecretKey::save(const std::filesystem::path& file) const {
  return write_file(file, serialize().bytes(), {.overwrite = false, .mode = 0600});
}

}  // namespace brainlock::ckks_client
