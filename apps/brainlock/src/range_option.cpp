#include "range_option.hpp"

#include <cstdio>

#include "inference.hpp"
#include "ui.hpp"

namespace brainlock::app {

void RangeOption::add_to(CLI::App& command) {
  command.add_flag("--allow-out-of-range", allow, "go on with an input whose encrypted answer would wrap around");
}

package::ValueRange require_range(const std::shared_ptr<const package::Package>& package, std::span<const float> values, const RangeOption& option) {
  package::ValueRange range = package::RangeChecker(package, must(foretelling(package, default_threads()))).check(values);
  std::string warning;
  const Status admitted = keyholder::admit(range, option.allow, warning);
  if (!admitted.ok()) fail({admitted.error().code, admitted.error().message + ". Use another input, or pass --allow-out-of-range"});
  if (!warning.empty()) std::fprintf(stderr, "brainlock: warning: %s\n", warning.c_str());
  return range;
}

nlohmann::json range_json(const package::ValueRange& range) {
  nlohmann::json json = {{"inside", range.inside()}, {"wrap", range.wrap}, {"foretold_error", range.error}, {"error_bound", range.error_bound}};
  if (const auto* worst = range.worst(); worst != nullptr)
    json.update({{"worst_layer", worst->layer}, {"worst_value", worst->largest}, {"worst_limit", worst->limit}});
  return json;
}

}  // namespace brainlock::app
