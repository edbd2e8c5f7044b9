// Wallets on disk: the folder layout, safe writing and the passwords, as Bittensor's own tools have them.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/chain/keyfile.hpp"

namespace brainlock::chain {

/// Where a password comes from when a file is encrypted: given the file's path, gives the password. Called at most once a
/// file; the string is wiped after use.
using PasswordSource = std::function<Result<std::string>(const std::filesystem::path& file)>;

/// One wallet folder as `list` shows it. Nothing is decrypted to fill it.
struct WalletSummary {
  struct Hotkey {
    std::string name;
    std::string ss58;  ///< empty when the file cannot be read without a password
    std::string problem;
  };
  std::string name;
  std::string coldkey_ss58;  ///< from coldkeypub.txt; empty when there is none
  bool has_coldkey = false;
  std::string coldkey_format;  ///< format name of the coldkey file
  std::vector<Hotkey> hotkeys;
};

/// A folder of wallets: ROOT/NAME/{coldkey, coldkeypub.txt, hotkeys/HOTKEY}. Holds no secrets and no open files.
class WalletStore {
 public:
  explicit WalletStore(std::filesystem::path root) : root_(std::move(root)) {}

  /// ~/.bittensor/wallets, or $BT_WALLET_PATH where it is set.
  [[nodiscard]] static std::filesystem::path default_root();

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path coldkey_path(const std::string& wallet) const;
  [[nodiscard]] std::filesystem::path coldkeypub_path(const std::string& wallet) const;
  [[nodiscard]] std::filesystem::path hotkey_path(const std::string& wallet, const std::string& hotkey) const;

  /// Private keys; the password source is asked only when the file is encrypted and no BT_PW_ variable opens it.
  [[nodiscard]] Result<WalletKey> load_coldkey(const std::string& wallet, const PasswordSource& password) const;
  [[nodiscard]] Result<WalletKey> load_hotkey(const std::string& wallet, const std::string& hotkey,
                                              const PasswordSource& password) const;
  /// The coldkey's public half from coldkeypub.txt.
  [[nodiscard]] Result<WalletKey> load_coldkeypub(const std::string& wallet) const;

  /// Writes coldkey ($NACL under `password`; plain only when it is absent) and coldkeypub.txt. Folders 0700, files 0600.
  /// kDenied when one exists and `overwrite` is false; nothing is half written.
  [[nodiscard]] Status write_coldkey(const std::string& wallet, const WalletKey& key,
                                     const std::optional<std::string>& password, bool overwrite) const;
  /// Writes a hotkey; plain unless a password is given, as everywhere.
  [[nodiscard]] Status write_hotkey(const std::string& wallet, const std::string& hotkey, const WalletKey& key,
                                    const std::optional<std::string>& password, bool overwrite) const;

  [[nodiscard]] Result<std::vector<WalletSummary>> list() const;

 private:
  std::filesystem::path root_;
};

/// Whether a wallet or hotkey name is one folder or file name: 1 to 64 letters, digits, '.', '_', '-', no leading dot.
[[nodiscard]] Status check_wallet_name(std::string_view name);

/// Loads one key file. A BT_PW_ variable is tried first (see environment_password).
[[nodiscard]] Result<WalletKey> load_key_file(const std::filesystem::path& file, const PasswordSource& password);

/// Password of a key file from the environment, Bittensor's way: variable BT_PW_ + the path with '/' and '.' replaced by
/// '_', upper-cased; value base64 of the password XOR-ed with the repeated variable name. Empty when it is not set.
[[nodiscard]] Result<std::optional<std::string>> environment_password(const std::filesystem::path& file);

/// Reads a file of at most `limit` bytes into guarded memory. kNotFound, kIo, kTooLarge.
[[nodiscard]] Result<crypto::SecretBuffer> read_secret_file(const std::filesystem::path& file, std::size_t limit);

/// Writes a file with mode 0600 through a temporary beside it, synced and renamed. kDenied when it exists and `overwrite`
/// is false. Missing folders are made with mode 0700.
[[nodiscard]] Status write_private_file(const std::filesystem::path& file, crypto::ByteView contents, bool overwrite);

}  // namespace brainlock::chain
