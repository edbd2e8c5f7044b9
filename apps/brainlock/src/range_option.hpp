// --allow-out-of-range: what happens to inputs whose values leave the range that a package's parameters were chosen for.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "brainlock/package/value_range.hpp"
#include "commands.hpp"

namespace brainlock::app {

struct RangeOption {
  bool allow = false;
  void add_to(CLI::App& command);
};

/// Runs the model in the clear. Ends the command if the answer would wrap around (with the option: warns on stderr);
/// warns where values only leave the limits that the promised error was computed for.
package::ValueRange require_range(const std::shared_ptr<const package::Package>& package, std::span<const float> values, const RangeOption& option);

/// {inside, wrap, worst_layer, worst_value, worst_limit}.
nlohmann::json range_json(const package::ValueRange& range);

}  // namespace brainlock::app
