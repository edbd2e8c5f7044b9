// The wallet options that several subcommands share, and prompts for secrets that do not echo.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "brainlock/chain/wallet.hpp"
#include "ui.hpp"

namespace brainlock::app {

/// --wallet.name, --wallet.hotkey and --wallet.path with their short names.
struct WalletOptions {
  std::string name = "default";
  std::string hotkey = "default";
  std::string path = chain::WalletStore::default_root().string();
  bool password_stdin = false;

  void add_to(CLI::App& command, bool with_hotkey);
  void add_path_to(CLI::App& command);   ///< --wallet.path alone
  [[nodiscard]] chain::WalletStore store() const { return chain::WalletStore(path); }
  /// Asks on the terminal (no echo), or reads one line of standard input with --password-stdin.
  [[nodiscard]] chain::PasswordSource password_source() const;
};

/// Asks for a line on the terminal without echo; kDenied when there is no terminal. The caller wipes the answer.
[[nodiscard]] Result<std::string> prompt_secret(const std::string& question);
/// One line of standard input, at most 4096 characters.
[[nodiscard]] Result<std::string> read_secret_line();
/// The password of a new file: asked for twice on the terminal, or one line of standard input. kInvalidArgument where the two
/// differ. The caller wipes the answer.
[[nodiscard]] Result<std::string> new_password(bool from_stdin);
/// A yes-or-no question on the terminal; false without one.
[[nodiscard]] bool confirm(const std::string& question);

}  // namespace brainlock::app
