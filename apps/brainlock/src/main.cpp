// Entry point: builds the command tree, runs the chosen subcommand, turns failures into exit codes.
#include <algorithm>
#include <cstdio>

#include "commands.hpp"
#include "finite_numbers.hpp"
#include "version.hpp"

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
#ifndef BRAINLOCK_BUNDLE
  try {
    words = brainlock::app::with_service_options(std::move(words));
  } catch (const brainlock::app::ExitWith& exit) {
    return exit.code;
  }
#endif
  CLI::App app{"Brainlock: machine-learning inference on encrypted data", "brainlock"};
  app.set_version_flag("--version", brainlock::app::program_version());
  app.require_subcommand(1);
  brainlock::app::add_package_commands(app);
  brainlock::app::add_crypto_commands(app);
  brainlock::app::add_infer_commands(app);
  brainlock::app::add_verify_commands(app);
  brainlock::app::add_bench_command(app);
#ifndef BRAINLOCK_BUNDLE   // which has what one machine needs by itself, see cmake/BrainlockBundle.cmake
  brainlock::app::add_approximate_command(app);
  brainlock::app::add_accuracy_command(app);
  brainlock::app::add_ranges_command(app);
  brainlock::app::add_synthetic_command(app);
  brainlock::app::add_overhead_command(app);
  brainlock::app::add_score_commands(app);
  brainlock::app::add_simulate_commands(app);
  brainlock::app::add_wallet_commands(app);
  brainlock::app::add_subnet_commands(app);
  brainlock::app::add_miner_commands(app);
  brainlock::app::add_validator_commands(app);
  brainlock::app::add_devnet_commands(app);
  brainlock::app::add_query_commands(app);
  brainlock::app::add_page_commands(app);
  brainlock::app::add_doctor_commands(app);
  brainlock::app::add_update_commands(app);
#endif
  brainlock::app::require_finite_numbers(app);
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  if (argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), [&](const auto* command) { return command->check_name(argv[1]); })) {
    std::fprintf(stderr, "brainlock: no command %s; `brainlock --help` lists them\n", argv[1]);
    return 2;
  }
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  } catch (const brainlock::app::ExitWith& exit) {
    return exit.code;
  }
  return 0;
}
