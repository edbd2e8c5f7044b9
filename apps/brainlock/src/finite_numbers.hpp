// Options that are numbers are numbers: neither "nan" nor "inf".
#pragma once

#include <CLI/CLI.hpp>

namespace brainlock::app {

/// Has all floating-point options of `app` and of its subcommands, as many as there are by now, refuse what is not
/// finite. Ranges of CLI11 let "nan" pass, since it is neither below the one end nor above the other, and a conversion
/// to an integer makes anything of it.
void require_finite_numbers(CLI::App& app);

}  // namespace brainlock::app
