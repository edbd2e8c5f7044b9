// Every group of subcommands registers itself here; main() knows nothing else about them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace brainlock::app {

/// Exit codes of the command: 0 done, 1 the work failed (the error is on stderr), 2 wrong usage, 130 interrupted (as a shell
/// says of SIGINT). A service that is told to stop, and does, ends with 0.
inline constexpr int kExitFailed = 1;
inline constexpr int kExitInterrupted = 130;

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

/// `subnet` (cmd_subnet.cpp).
void add_subnet_commands(CLI::App& app);

/// `compile`, `inspect` (cmd_package.cpp).
void add_package_commands(CLI::App& app);

/// `approximate` (cmd_approximate.cpp).
void add_approximate_command(CLI::App& app);

/// `infer` (cmd_infer.cpp).
void add_infer_commands(CLI::App& app);

/// `miner` (cmd_miner.cpp).
void add_miner_commands(CLI::App& app);

/// `validator` (cmd_validator.cpp).
void add_validator_commands(CLI::App& app);

/// `devnet` (cmd_devnet.cpp).
void add_devnet_commands(CLI::App& app);

/// `query` (cmd_query.cpp).
void add_query_commands(CLI::App& app);

/// `page` (cmd_page.cpp).
void add_page_commands(CLI::App& app);

/// `keygen`, `encrypt`, `run`, `decrypt` (cmd_crypto.cpp).
void add_crypto_commands(CLI::App& app);

/// `bench` (cmd_bench.cpp).
void add_bench_command(CLI::App& app);

/// `verify`, `devices` (cmd_verify.cpp).
void add_verify_commands(CLI::App& app);

/// `accuracy` (cmd_accuracy.cpp).
void add_accuracy_command(CLI::App& app);

/// `ranges` (cmd_ranges.cpp).
void add_ranges_command(CLI::App& app);

/// `synthetic` (cmd_synthetic.cpp).
void add_synthetic_command(CLI::App& app);

/// `overhead` (cmd_overhead.cpp).
void add_overhead_command(CLI::App& app);

/// `doctor` (cmd_doctor.cpp).
void add_doctor_commands(CLI::App& app);
/// The words of a command line; where they are those of `doctor ROLE` with --env or --unit, with the service's options in them and with its environment
/// in place of this process's. Before anything reads the environment.
std::vector<std::string> with_service_options(std::vector<std::string> words);

/// `update` (cmd_update.cpp for operators, cmd_update_publish.cpp for publishers).
void add_update_commands(CLI::App& app);
void add_publisher_commands(CLI::App& update);

}  // namespace brainlock::app
