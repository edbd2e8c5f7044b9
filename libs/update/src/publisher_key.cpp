#include "brainlock/update/publisher_key.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "brainlock/base/file.hpp"

namespace brainlock::update {
namespace {

constexpr std::string_view kPlain = "brainlock publisher key, version 1: seed\n";
constexpr std::string_view kLocked = "brainlock publisher key, version 1: encrypted\n";
constexpr std::size_t kMaxBytes = 4096;

/// Hexadecimal straight between secrets: the usual functions leave copies on the heap.
void hex_into(std::span<std::uint8_t> out, std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out[2 * i] = static_cast<std::uint8_t>(kDigits[bytes[i] >> 4]);
    out[2 * i + 1] = static_cast<std::uint8_t>(kDigits[bytes[i] & 15]);
  }
}

bool unhex_into(std::span<std::uint8_t> out, std::span<const std::uint8_t> text) {
  if (text.size() != 2 * out.size()) return false;
  const auto digit = [](std::uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

/// Into locked memory, from a file that is for its owner alone.
Result<crypto::SecretBuffer> read_secret(const std::filesystem::path& file) {
  const auto failed = [&](const char* what) {
    return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 file.string() + ": cannot " + what + ": " + std::strerror(errno)};
  };
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed("open");
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } const closer{descriptor};
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return failed("read");
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kInvalidArgument, file.string() + ": no regular file"};
  if ((status.st_mode & 077) != 0) {
    return Error{ErrorCode::kDenied,
                 file.string() + " can be read or written by others: chmod 600, and think of who may have read it"};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > kMaxBytes) return Error{ErrorCode::kTooLarge, file.string() + ": too long for a publisher's key"};
  crypto::SecretBuffer out(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(descriptor, out.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failed("read");
    done += static_cast<std::size_t>(got);
  }
  return out;
}

}  // namespace

Status store_publisher_key(const std::filesystem::path& file, const crypto::Ed25519KeyPair& key,
                           const std::optional<std::string>& password, crypto::PasswordCost cost) {
  const auto seed = key.seed();
  crypto::SecretBuffer secret;
  if (password) {
    BRAINLOCK_ASSIGN(const auto box, crypto::close_password_box(seed.bytes(), *password, cost));
    secret = crypto::SecretBuffer(2 * box.size());
    hex_into(secret.bytes(), box);
  } else {
    secret = crypto::SecretBuffer(2 * seed.size());
    hex_into(secret.bytes(), seed.bytes());
  }
  const std::string name = crypto::hex_encode(key.public_key()) + "\n";
  auto out = AtomicFile::create(file, {.overwrite = false, .mode = 0600});
  if (!out.ok()) {
    if (out.error().code != ErrorCode::kDenied) return out.error();
    return {ErrorCode::kDenied, file.string() + ": exists; a publisher's key is never overwritten"};
  }
  BRAINLOCK_TRY(out->write(crypto::as_bytes(password ? kLocked : kPlain)));
  BRAINLOCK_TRY(out->write(crypto::as_bytes(name)));
  BRAINLOCK_TRY(out->write(secret.bytes()));
  BRAINLOCK_TRY(out->write(crypto::as_bytes("\n")));
  return out->commit();
}

Result<crypto::Ed25519KeyPair> load_publisher_key(const std::filesystem::path& file, const PasswordSource& password) {
  BRAINLOCK_ASSIGN(const auto bytes, read_secret(file));
  std::span<const std::uint8_t> rest = bytes.bytes();
  const auto starts_with = [&](std::string_view head) {
    return rest.size() >= head.size() && std::equal(head.begin(), head.end(), rest.begin());
  };
  const bool locked = starts_with(kLocked);
  if (!locked && !starts_with(kPlain))
    return Error{ErrorCode::kMalformed, file.string() + ": no publisher's key of version 1"};
  rest = rest.subspan(locked ? kLocked.size() : kPlain.size());
  crypto::Ed25519PublicKey name{};
  if (rest.size() < 66 || rest[64] != '\n' || rest.back() != '\n' || !unhex_into(name, rest.first(64))) {
    return Error{ErrorCode::kMalformed, file.string() + ": damaged"};
  }
  rest = rest.subspan(65, rest.size() - 66);
  crypto::SecretBuffer seed(rest.size() / 2);
  if (!unhex_into(seed.bytes(), rest)) return Error{ErrorCode::kMalformed, file.string() + ": damaged"};
  if (locked) {
    if (!password)
      return Error{ErrorCode::kDenied, file.string() + " is encrypted, and nobody is there to ask for the password"};
    BRAINLOCK_ASSIGN(std::string words, password(file));
    auto opened = crypto::open_password_box(seed.bytes(), words);
    crypto::wipe(words);
    if (!opened.ok()) return opened.error().in(file.string());
    seed = std::move(*opened);
  }
  auto key = crypto::Ed25519KeyPair::from_seed(seed.bytes());
  if (!key.ok()) return Error{ErrorCode::kMalformed, file.string() + ": damaged"};
  if (key->public_key() != name)
    return Error{ErrorCode::kMismatch, file.string() + ": the secret is not that of the public key in it"};
  return key;
}

}  // namespace brainlock::update
