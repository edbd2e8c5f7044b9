// `overhead`, one of the measuring commands (add_bench_commands).
#pragma once

#include <CLI/CLI.hpp>

namespace brainlock::app {

void add_overhead_command(CLI::App& app);

}  // namespace brainlock::app
