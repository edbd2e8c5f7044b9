#include "finite_numbers.hpp"

#include <cmath>

namespace brainlock::app {
namespace {

/// What is no number at all is left to the conversion, which says so. "1e999" is one, and becomes infinite.
std::string complaint(const std::string& text) {
  double value = 0;
  return CLI::detail::lexical_cast(text, value) && !std::isfinite(value) ? "expected a finite number, got " + text
                                                                         : std::string();
}

bool is_floating(const CLI::Option& option) {
  return option.get_type_name().starts_with(CLI::detail::type_name<double>());
}

}  // namespace

void require_finite_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (is_floating(*option)) option->check(complaint);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) require_finite_numbers(*command);
}

}  // namespace brainlock::app
