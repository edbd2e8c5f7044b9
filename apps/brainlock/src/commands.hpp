// Every group of subcommands registers itself here; main() knows nothing else about them.
#pragma once

#include <CLI/CLI.hpp>

namespace brainlock::app {

/// Exit codes of the command: 0 done, 1 the work failed (the error is on stderr), 2 wrong usage.
inline constexpr int kExitFailed = 1;

/// Thrown by a subcommand's callback to end the process with `code`; the message was already printed.
struct ExitWith {
  int code;
};

/// `score` (cmd_score.cpp).
void add_score_commands(CLI::App& app);

/// `simulate` (cmd_simulate.cpp).
void add_simulate_commands(CLI::App& app);

/// `wallet` (cmd_wallet.cpp).
void add_wallet_commands(CLI::App& app);

}  // namespace brainlock::app
