#include "brainlock/chain/wallet.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sodium.h>

namespace brainlock::chain {
namespace {

namespace fs = std::filesystem;
using crypto::ByteView;
using crypto::SecretBuffer;

Error io_error(const fs::path& file, std::string_view act) {
  const int code = errno;
  const auto kind = code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  return {kind, std::string(act) + " " + file.string() + ": " + std::strerror(code)};
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// Makes a folder and its missing parents, each 0700; folders that exist keep their mode.
Status make_private_folders(const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || fs::is_directory(folder, error)) return {};
  BRAINLOCK_TRY(make_private_folders(folder.parent_path()));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return io_error(folder, "cannot make folder");
  return {};
}

Status write_all(int fd, ByteView contents, const fs::path& file) {
  while (!contents.empty()) {
    const ssize_t written = ::write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error(file, "cannot write");
    contents = contents.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return io_error(file, "cannot sync");
  return {};
}

}  // namespace

Status check_wallet_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > 64 || name.front() == '.' || !std::all_of(name.begin(), name.end(), allowed)) {
    return Error{ErrorCode::kInvalidArgument,
                 "a wallet or hotkey name has 1 to 64 letters, digits, '.', '_' or '-' and does not begin with a dot"};
  }
  return {};
}

Result<SecretBuffer> read_secret_file(const fs::path& file, std::size_t limit) {
  Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) return io_error(file, "cannot open");
  struct stat info {};
  if (::fstat(in.fd, &info) != 0) return io_error(file, "cannot stat");
  if (!S_ISREG(info.st_mode)) return Error{ErrorCode::kIo, file.string() + " is not a regular file"};
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size > limit) {
    return Error{ErrorCode::kTooLarge, file.string() + " has " + std::to_string(size) + " bytes, limit " +
                                           std::to_string(limit)};
  }
  SecretBuffer buffer(size);
  for (std::size_t at = 0; at < size;) {
    const ssize_t got = ::read(in.fd, buffer.data() + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(file, "cannot read");
    if (got == 0) return Error{ErrorCode::kTruncated, file.string() + " shrank while it was read"};
    at += static_cast<std::size_t>(got);
  }
  return buffer;
}

Status write_private_file(const fs::path& file, ByteView contents, bool overwrite) {
  BRAINLOCK_TRY(make_private_folders(file.parent_path()));
  std::string temporary = file.string() + ".XXXXXX";
  Descriptor out{::mkostemp(temporary.data(), O_CLOEXEC)};  // Mode 0600 from the start.
  if (out.fd < 0) return io_error(file, "cannot create beside");
  Status status = write_all(out.fd, contents, file);
  if (status.ok()) {
    // link() refuses an existing name and rename() replaces it: no moment with half a file or none.
    const int failed = overwrite ? ::rename(temporary.c_str(), file.c_str()) : ::link(temporary.c_str(), file.c_str());
    if (failed != 0) {
      status = errno == EEXIST ? Status(ErrorCode::kDenied, file.string() + " exists; replacing it loses the old key and must be asked for (--overwrite)")
                               : Status(io_error(file, "cannot put in place"));
    }
    if (failed == 0 && overwrite) return status;
  }
  ::unlink(temporary.c_str());
  return status;
}

Result<std::optional<std::string>> environment_password(const fs::path& file) {
  std::string name = "BT_PW_" + file.string();
  for (char& c : name) {
    if (c == '/' || c == '.') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::optional<std::string>{};
  std::string password(std::strlen(value), '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<std::uint8_t*>(password.data()), password.size(), value, std::strlen(value),
                        " \n", &size, nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
    return Error{ErrorCode::kMalformed, "environment variable " + name + " is not base64"};
  }
  password.resize(size);
  for (std::size_t i = 0; i < size; ++i) password[i] = static_cast<char>(password[i] ^ name[i % name.size()]);
  return std::optional<std::string>(std::move(password));
}

Result<WalletKey> load_key_file(const fs::path& file, const PasswordSource& password_source) {
  BRAINLOCK_ASSIGN(const SecretBuffer bytes, read_secret_file(file, kMaxKeyFileBytes));
  if (key_file_format(bytes.bytes()) == KeyFileFormat::kPlain) {
    auto key = WalletKey::from_json(bytes.bytes());
    if (!key.ok()) return key.error().in(file.string());
    return key;
  }
  BRAINLOCK_ASSIGN(auto from_environment, environment_password(file));
  if (!from_environment && !password_source) {
    return Error{ErrorCode::kDenied, file.string() + " is encrypted and no password was given"};
  }
  std::string password;
  if (from_environment) {
    password = std::move(*from_environment);
  } else {
    BRAINLOCK_ASSIGN(password, password_source(file));
  }
  auto plain = decrypt_key_file(bytes.bytes(), password);
  crypto::wipe(password);
  if (!plain.ok()) return plain.error().in(file.string());
  auto key = WalletKey::from_json(plain->bytes());
  if (!key.ok()) return key.error().in(file.string());
  return key;
}

fs::path WalletStore::default_root() {
  if (const char* path = std::getenv("BT_WALLET_PATH"); path != nullptr && *path != '\0') return path;
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : ".") / ".bittensor" / "wallets";
}

fs::path WalletStore::coldkey_path(const std::string& wallet) const { return root_ / wallet / "coldkey"; }
fs::path WalletStore::coldkeypub_path(const std::string& wallet) const { return root_ / wallet / "coldkeypub.txt"; }
fs::path WalletStore::hotkey_path(const std::string& wallet, const std::string& hotkey) const {
  return root_ / wallet / "hotkeys" / hotkey;
}

Result<WalletKey> WalletStore::load_coldkey(const std::string& wallet, const PasswordSource& password) const {
  BRAINLOCK_TRY(check_wallet_name(wallet));
  BRAINLOCK_ASSIGN(auto key, load_key_file(coldkey_path(wallet), password));
  // A swapped file of either half is noticed here, before anything is signed with the wrong key.
  if (const auto stated = load_coldkeypub(wallet); stated.ok() && stated->account() != key.account()) {
    return Error{ErrorCode::kMismatch, "coldkey and coldkeypub.txt of wallet " + wallet + " are of different keys"};
  }
  return key;
}

Result<WalletKey> WalletStore::load_hotkey(const std::string& wallet, const std::string& hotkey,
                                           const PasswordSource& password) const {
  BRAINLOCK_TRY(check_wallet_name(wallet));
  BRAINLOCK_TRY(check_wallet_name(hotkey));
  return load_key_file(hotkey_path(wallet, hotkey), password);
}

Result<WalletKey> WalletStore::load_coldkeypub(const std::string& wallet) const {
  BRAINLOCK_TRY(check_wallet_name(wallet));
  return load_key_file(coldkeypub_path(wallet), nullptr);
}

Status WalletStore::write_coldkey(const std::string& wallet, const WalletKey& key,
                                  const std::optional<std::string>& password, bool overwrite) const {
  BRAINLOCK_TRY(check_wallet_name(wallet));
  std::error_code error;
  if (!overwrite && (fs::exists(coldkey_path(wallet), error) || fs::exists(coldkeypub_path(wallet), error))) {
    return Error{ErrorCode::kDenied, "wallet " + wallet + " has a coldkey; replacing it loses the old key and must be asked for (--overwrite)"};
  }
  BRAINLOCK_ASSIGN(const SecretBuffer plain, key.private_json());
  if (password) {
    BRAINLOCK_ASSIGN(const auto encrypted, encrypt_key_file(plain.bytes(), *password));
    BRAINLOCK_TRY(write_private_file(coldkey_path(wallet), encrypted, overwrite));
  } else {
    BRAINLOCK_TRY(write_private_file(coldkey_path(wallet), plain.bytes(), overwrite));
  }
  return write_private_file(coldkeypub_path(wallet), crypto::as_bytes(key.public_json()), overwrite);
}

Status WalletStore::write_hotkey(const std::string& wallet, const std::string& hotkey, const WalletKey& key,
                                 const std::optional<std::string>& password, bool overwrite) const {
  BRAINLOCK_TRY(check_wallet_name(wallet));
  BRAINLOCK_TRY(check_wallet_name(hotkey));
  BRAINLOCK_ASSIGN(const SecretBuffer plain, key.private_json());
  const auto path = hotkey_path(wallet, hotkey);
  if (!password) return write_private_file(path, plain.bytes(), overwrite);
  BRAINLOCK_ASSIGN(const auto encrypted, encrypt_key_file(plain.bytes(), *password));
  return write_private_file(path, encrypted, overwrite);
}

Result<std::vector<WalletSummary>> WalletStore::list() const {
  std::vector<WalletSummary> wallets;
  std::error_code error;
  if (!fs::is_directory(root_, error)) return wallets;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    WalletSummary wallet;
    wallet.name = entry.path().filename().string();
    std::error_code ignored;
    if (!entry.is_directory(ignored) || !check_wallet_name(wallet.name).ok()) continue;
    if (const auto key = load_coldkeypub(wallet.name); key.ok()) wallet.coldkey_ss58 = key->ss58();
    if (const auto file = read_secret_file(coldkey_path(wallet.name), kMaxKeyFileBytes); file.ok()) {
      wallet.has_coldkey = true;
      wallet.coldkey_format = key_file_format_name(key_file_format(file->bytes()));
    }
    for (const auto& file : fs::directory_iterator(entry.path() / "hotkeys", ignored)) {
      const std::string name = file.path().filename().string();
      // Newer tools put NAMEpub.txt beside each hotkey: not a hotkey of its own.
      if (!check_wallet_name(name).ok() || name.ends_with("pub.txt")) continue;
      WalletSummary::Hotkey hotkey{name, {}, {}};
      if (const auto key = load_key_file(file.path(), nullptr); key.ok()) {
        hotkey.ss58 = key->ss58();
      } else if (const auto half = load_key_file(file.path().string() + "pub.txt", nullptr); half.ok()) {
        hotkey.ss58 = half->ss58();
      } else {
        hotkey.problem = error_code_name(key.error().code);
      }
      wallet.hotkeys.push_back(std::move(hotkey));
    }
    std::sort(wallet.hotkeys.begin(), wallet.hotkeys.end(), [](auto& a, auto& b) { return a.name < b.name; });
    wallets.push_back(std::move(wallet));
  }
  if (error) return Error{ErrorCode::kIo, "cannot list " + root_.string() + ": " + error.message()};
  std::sort(wallets.begin(), wallets.end(), [](auto& a, auto& b) { return a.name < b.name; });
  return wallets;
}

}  // namespace brainlock::chain
