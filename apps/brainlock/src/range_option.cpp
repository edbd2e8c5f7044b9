#include "range_option.hpp"

#include <cstdio>

#include "ui.hpp"

namespace brainlock::app {

void RangeOption::add_to(CLI::App& command) {
  command.add_flag("--allow-out-of-range", allow, "go on with an input whose values leave the range the parameters were chosen for");
}

package::ValueRange require_range(const std::shared_ptr<const package::Package>& package, std::span<const float> values, const RangeOption& option) {
  package::ValueRange range = package::RangeChecker(package).check(values);
  const Status status = range.status();
  if (status.ok()) return range;
  const Error& error = status.error();
  if (!option.allow) fail({error.code, error.message + "; the encrypted answer may be wrong. Use another input, or pass --allow-out-of-range"});
  std::fprintf(stderr, "brainlock: warning: %s; the encrypted answer may be wrong\n", error.message.c_str());
  return range;
}

nlohmann::json range_json(const package::ValueRange& range) {
  nlohmann::json json = {{"inside", range.inside()}, {"wrap", range.wrap}};
  if (const auto* worst = range.worst(); worst != nullptr)
    json.update({{"worst_layer", worst->layer}, {"worst_value", worst->largest}, {"worst_limit", worst->limit}});
  return json;
}

}  // namespace brainlock::app
