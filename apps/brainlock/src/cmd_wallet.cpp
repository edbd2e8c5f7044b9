// `brainlock wallet`: makes, restores, lists and uses keys in Bittensor's own files.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/chain/wallet.hpp"
#include "brainlock/crypto/bip39.hpp"
#include "commands.hpp"
#include "wallet_options.hpp"

namespace brainlock::app {
namespace {

using chain::WalletKey;
using nlohmann::json;

struct NewKeyOptions : WalletOptions {
  int words = 12;
  bool overwrite = false;
  bool no_password = false;
  bool with_password = false;
  bool from_seed = false;
  bool as_json = false;
};

void print_new_key(const NewKeyOptions& options, const WalletKey& key, const std::filesystem::path& file,
                   const std::string& mnemonic) {
  if (options.as_json) {
    json out{{"file", file.string()}, {"ss58", key.ss58()}, {"public_key", crypto::hex_encode_0x(key.account())}};
    if (!mnemonic.empty()) out["mnemonic"] = mnemonic;
    std::cout << out.dump(2) << "\n";
    return;
  }
  std::cout << "wrote   " << file.string() << "\naddress " << key.ss58() << "\n";
  if (!mnemonic.empty()) {
    std::cout << "\nThe words below are the key. Write them down and keep them off line; whoever has them has the key,\n"
                 "and without them a lost file cannot be restored:\n\n  "
              << mnemonic << "\n";
  }
}

void store_coldkey(const NewKeyOptions& options, const WalletKey& key) {
  std::optional<std::string> password;
  if (!options.no_password) password = must(new_password(options.password_stdin));
  const Status status = options.store().write_coldkey(options.name, key, password, options.overwrite);
  if (password) crypto::wipe(*password);
  must(status);
}

void store_hotkey(const NewKeyOptions& options, const WalletKey& key) {
  std::optional<std::string> password;
  if (options.with_password) password = must(new_password(options.password_stdin));
  const Status status = options.store().write_hotkey(options.name, options.hotkey, key, password, options.overwrite);
  if (password) crypto::wipe(*password);
  must(status);
}

void make_key(const NewKeyOptions& options, bool is_coldkey) {
  std::string mnemonic = must(crypto::generate_mnemonic(options.words));
  const WalletKey key = must(WalletKey::from_mnemonic(mnemonic));
  is_coldkey ? store_coldkey(options, key) : store_hotkey(options, key);
  const auto store = options.store();
  print_new_key(options, key, is_coldkey ? store.coldkey_path(options.name) : store.hotkey_path(options.name, options.hotkey),
                mnemonic);
  crypto::wipe(mnemonic);
}

void restore_key(const NewKeyOptions& options, bool is_coldkey) {
  const std::string what = options.from_seed ? "Seed (64 hex digits): " : "Mnemonic or secret URI: ";
  // Never an argument: other users of the machine see the arguments of every process.
  std::string secret = must(::isatty(STDIN_FILENO) ? prompt_secret(what) : read_secret_line());
  auto made = [&]() -> Result<WalletKey> {
    // "//Alice" and other derived keys of test networks; a mnemonic has no slash.
    if (!options.from_seed && secret.find('/') != std::string::npos) return WalletKey::from_uri(secret);
    if (!options.from_seed) return WalletKey::from_mnemonic(secret);
    BRAINLOCK_ASSIGN(auto seed, crypto::hex_decode_array<32>(secret));
    auto from_seed = WalletKey::from_seed(seed);
    crypto::wipe(seed);
    return from_seed;
  }();
  crypto::wipe(secret);
  const WalletKey key = must(std::move(made));
  is_coldkey ? store_coldkey(options, key) : store_hotkey(options, key);
  const auto store = options.store();
  print_new_key(options, key, is_coldkey ? store.coldkey_path(options.name) : store.hotkey_path(options.name, options.hotkey),
                {});
}

void list_wallets(const WalletOptions& options, bool as_json) {
  const auto wallets = must(options.store().list());
  if (as_json) {
    json out = json::array();
    for (const auto& wallet : wallets) {
      json hotkeys = json::array();
      for (const auto& hotkey : wallet.hotkeys) {
        hotkeys.push_back({{"name", hotkey.name}, {"ss58", hotkey.ss58}, {"problem", hotkey.problem}});
      }
      out.push_back({{"name", wallet.name},
                     {"coldkey_ss58", wallet.coldkey_ss58},
                     {"coldkey_format", wallet.coldkey_format},
                     {"hotkeys", hotkeys}});
    }
    std::cout << out.dump(2) << "\n";
    return;
  }
  if (wallets.empty()) std::cout << "no wallets in " << options.path << "\n";
  for (const auto& wallet : wallets) {
    if (wallet.coldkey_ss58.empty() && !wallet.has_coldkey) {
      std::cout << wallet.name << "  no coldkey\n";
    } else {
      std::cout << wallet.name << "  coldkey " << (wallet.coldkey_ss58.empty() ? "(no coldkeypub.txt)" : wallet.coldkey_ss58)
                << (wallet.has_coldkey ? "  [" + wallet.coldkey_format + "]" : std::string("  [public only]")) << "\n";
    }
    for (const auto& hotkey : wallet.hotkeys) {
      std::cout << "  " << hotkey.name << "  "
                << (hotkey.ss58.empty() ? "(encrypted or unreadable: " + hotkey.problem + ")" : hotkey.ss58) << "\n";
    }
  }
}

void inspect_file(const std::string& file, bool as_json, const WalletOptions& options) {
  const auto bytes = must(chain::read_secret_file(file, chain::kMaxKeyFileBytes));
  const auto format = chain::key_file_format_name(chain::key_file_format(bytes.bytes()));
  const WalletKey key = must(chain::load_key_file(file, options.password_source()));
  const json out{{"file", file},
                 {"format", format},
                 {"ss58", key.ss58()},
                 {"public_key", crypto::hex_encode_0x(key.account())},
                 {"private", key.has_private_key()}};
  if (as_json) {
    std::cout << out.dump(2) << "\n";
  } else {
    std::cout << "file        " << file << "\nformat      " << format << "\naddress     " << key.ss58() << "\npublic key  "
              << crypto::hex_encode_0x(key.account()) << "\nprivate key " << (key.has_private_key() ? "yes" : "no")
              << " (checked against the public key)\n";
  }
}

struct MessageOptions {
  std::string text;
  std::string file;

  void add_to(CLI::App& command) {
    auto* one = command.add_option_group("message", "one of");
    one->add_option("--message", text, "text to sign or verify");
    from_file_ = one->add_option("--file", file, "file whose bytes to sign or verify, at most 64 MiB");
    one->require_option(1);
  }
  [[nodiscard]] std::string bytes() const {
    if (from_file_->count() == 0) return text;
    const auto content = must(read_file(file, std::uint64_t{64} << 20));
    return {content.begin(), content.end()};
  }

 private:
  CLI::Option* from_file_ = nullptr;
};

void add_key_commands(CLI::App& wallet) {
  const auto shared = [](CLI::App& command, const std::shared_ptr<NewKeyOptions>& options, bool with_hotkey) {
    options->add_to(command, with_hotkey);
    command.add_flag("--overwrite", options->overwrite, "replace an existing key file: the old key is lost");
    command.add_flag("--json", options->as_json, "print JSON");
  };
  {
    auto options = std::make_shared<NewKeyOptions>();
    auto* command = wallet.add_subcommand("new-coldkey", "make a coldkey: it owns funds and is encrypted on disk");
    command->alias("new_coldkey");
    shared(*command, options, false);
    command->add_option("--n-words,--n_words", options->words, "12, 15, 18, 21 or 24 words")->capture_default_str();
    command->add_flag("--no-password,!--use-password", options->no_password, "leave the coldkey unencrypted");
    command->callback([options] { make_key(*options, true); });
  }
  {
    auto options = std::make_shared<NewKeyOptions>();
    auto* command = wallet.add_subcommand("new-hotkey", "make a hotkey: it runs a miner or validator");
    command->alias("new_hotkey");
    shared(*command, options, true);
    command->add_option("--n-words,--n_words", options->words, "12, 15, 18, 21 or 24 words")->capture_default_str();
    command->add_flag("--use-password,!--no-password", options->with_password, "encrypt the hotkey as well");
    command->callback([options] { make_key(*options, false); });
  }
  for (const bool is_coldkey : {true, false}) {
    auto options = std::make_shared<NewKeyOptions>();
    auto* command = wallet.add_subcommand(is_coldkey ? "regen-coldkey" : "regen-hotkey",
                                          "restore a key from its mnemonic, or from a secret URI such as //Alice (asked for, or one line of standard input)");
    command->alias(is_coldkey ? "regen_coldkey" : "regen_hotkey");
    if (!is_coldkey) command->alias("regen");
    shared(*command, options, !is_coldkey);
    command->add_flag("--seed", options->from_seed, "restore from the 32-byte seed in place of a mnemonic");
    if (is_coldkey) {
      command->add_flag("--no-password,!--use-password", options->no_password, "leave the coldkey unencrypted");
    } else {
      command->add_flag("--use-password,!--no-password", options->with_password, "encrypt the hotkey as well");
    }
    command->callback([options, is_coldkey] { restore_key(*options, is_coldkey); });
  }
}

void add_use_commands(CLI::App& wallet) {
  struct UseOptions : WalletOptions {
    bool as_json = false;
    bool use_coldkey = false;
    std::string key_file, address, signature;
    MessageOptions message;
  };
  {
    auto options = std::make_shared<UseOptions>();
    auto* command = wallet.add_subcommand("list", "wallets and addresses; opens nothing encrypted");
    options->add_path_to(*command);
    command->add_flag("--json", options->as_json, "print JSON");
    command->callback([options] { list_wallets(*options, options->as_json); });
  }
  {
    auto options = std::make_shared<UseOptions>();
    auto* command = wallet.add_subcommand("inspect", "read one key file and check it against itself; prints no secret");
    options->add_to(*command, true);
    command->add_option("key-file", options->key_file, "a key file; the hotkey of --wallet.hotkey when left out");
    command->add_flag("--coldkey", options->use_coldkey, "the coldkey of --wallet.name");
    command->add_flag("--json", options->as_json, "print JSON");
    command->callback([options] {
      const auto store = options->store();
      std::string file = options->key_file;
      if (file.empty()) {
        file = options->use_coldkey ? store.coldkey_path(options->name) : store.hotkey_path(options->name, options->hotkey);
      }
      inspect_file(file, options->as_json, *options);
    });
  }
  {
    auto options = std::make_shared<UseOptions>();
    auto* command = wallet.add_subcommand("sign", "sign a message with the hotkey; prints the signature in hex");
    options->add_to(*command, true);
    options->message.add_to(*command);
    command->add_flag("--coldkey", options->use_coldkey, "sign with the coldkey");
    command->callback([options] {
      const auto store = options->store();
      const WalletKey key = must(
          options->use_coldkey ? store.load_coldkey(options->name, options->password_source())
                               : store.load_hotkey(options->name, options->hotkey, options->password_source()));
      const auto* pair = must(key.pair());
      std::cout << crypto::hex_encode_0x(must(pair->sign(options->message.bytes()))) << "\n";
    });
  }
  {
    auto options = std::make_shared<UseOptions>();
    auto* command = wallet.add_subcommand("verify", "check a signature; exit code 0 if it is valid, 1 if not");
    options->message.add_to(*command);
    command->add_option("--ss58", options->address, "address of the signer")->required();
    command->add_option("--signature", options->signature, "64 bytes in hex")->required();
    command->callback([options] {
      const auto account = must(crypto::ss58_decode(options->address));
      const auto signature = must(crypto::hex_decode(options->signature));
      if (!crypto::sr25519_verify(account, options->message.bytes(), signature)) {
        fail({ErrorCode::kDenied, "the signature is not valid for this address and message"});
      }
      std::cout << "valid\n";
    });
  }
}

}  // namespace

void add_wallet_commands(CLI::App& app) {
  auto* wallet = app.add_subcommand("wallet", "keys in Bittensor's own files")->require_subcommand(1);
  wallet->alias("w");
  add_key_commands(*wallet);
  add_use_commands(*wallet);
}

}  // namespace brainlock::app
