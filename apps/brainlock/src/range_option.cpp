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
  const Status status = range.status();
  if (status.ok()) return range;
  // Beyond a limit the promised error no longer holds; only an answer that wraps around is garbage.
  const Error& error = status.error();
  if (range.wraps() && !option.allow)
    fail({error.code, error.message + "; the encrypted answer would be wrong. Use another input, or pass --allow-out-of-range"});
  std::fprintf(stderr, "brainlock: warning: %s; the encrypted answer may be %s\n", error.message.c_str(),
               range.wraps() ? "wrong" : "less exact than promised");
  return range;
}

nlohmann::json range_json(const package::ValueRange& range) {
  nlohmann::json json = {{"inside", range.inside()}, {"wrap", range.wrap}, {"foretold_error", range.error}, {"error_bound", range.error_bound}};
  if (const auto* worst = range.worst(); worst != nullptr)
    json.update({{"worst_layer", worst->layer}, {"worst_value", worst->largest}, {"worst_limit", worst->limit}});
  return json;
}

}  // namespace brainlock::app
