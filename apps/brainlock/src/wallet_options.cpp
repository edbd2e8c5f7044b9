#include "wallet_options.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "commands.hpp"

namespace brainlock::app {
namespace {

constexpr std::size_t kMaxLine = 4096;

Result<std::string> read_line(int fd) {
  std::string line;
  line.reserve(kMaxLine);  // No reallocation leaves part of a secret behind.
  for (char c = 0; line.size() < kMaxLine;) {
    const ssize_t got = ::read(fd, &c, 1);
    if (got < 0) return Error{ErrorCode::kIo, "cannot read the answer"};
    if (got == 0 || c == '\n') return line;
    if (c != '\r') line.push_back(c);
  }
  crypto::wipe(line);
  return Error{ErrorCode::kTooLarge, "the line has more than 4096 characters"};
}

struct Terminal {
  int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  ~Terminal() {
    if (fd >= 0) ::close(fd);
  }
  void say(const std::string& text) const { (void)!::write(fd, text.data(), text.size()); }
};

}  // namespace

void WalletOptions::add_path_to(CLI::App& command) {
  command.add_option("--wallet.path,--wallet-path", path, "folder of the wallets")->capture_default_str();
}

void WalletOptions::add_to(CLI::App& command, bool with_hotkey) {
  command.add_option("--wallet.name,--wallet-name,--name", name, "wallet (coldkey) name")->capture_default_str();
  if (with_hotkey) {
    command.add_option("--wallet.hotkey,--wallet-hotkey,--hotkey", hotkey, "hotkey name")->capture_default_str();
  }
  add_path_to(command);
  command.add_flag("--password-stdin", password_stdin, "read the key file's password from standard input");
}

chain::PasswordSource WalletOptions::password_source() const {
  if (password_stdin) {
    return [](const std::filesystem::path&) { return read_secret_line(); };
  }
  return [](const std::filesystem::path& file) { return prompt_secret("Password of " + file.string() + ": "); };
}

Result<std::string> prompt_secret(const std::string& question) {
  const Terminal terminal;
  termios before{};
  if (terminal.fd < 0 || ::tcgetattr(terminal.fd, &before) != 0) {
    return Error{ErrorCode::kDenied, "a secret is needed and there is no terminal to ask on; use --password-stdin"};
  }
  termios silent = before;
  silent.c_lflag &= static_cast<tcflag_t>(~ECHO);
  terminal.say(question);
  ::tcsetattr(terminal.fd, TCSAFLUSH, &silent);
  auto line = read_line(terminal.fd);
  ::tcsetattr(terminal.fd, TCSAFLUSH, &before);
  terminal.say("\n");
  return line;
}

Result<std::string> read_secret_line() { return read_line(STDIN_FILENO); }

Result<std::string> new_password(bool from_stdin) {
  if (from_stdin) return read_secret_line();
  BRAINLOCK_ASSIGN(std::string first, prompt_secret("New password: "));
  auto second = prompt_secret("Repeat it: ");
  const bool same = second.ok() && first == *second;
  if (second.ok()) crypto::wipe(*second);
  if (same) return first;
  crypto::wipe(first);
  if (!second.ok()) return second.error();
  return Error{ErrorCode::kInvalidArgument, "the two passwords differ"};
}

bool confirm(const std::string& question) {
  const Terminal terminal;
  if (terminal.fd < 0) return false;
  terminal.say(question + " [y/N] ");
  const auto answer = read_line(terminal.fd);
  return answer.ok() && (*answer == "y" || *answer == "Y" || *answer == "yes");
}

}  // namespace brainlock::app
