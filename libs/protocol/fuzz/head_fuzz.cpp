// Headers from strangers: lines "name: value", the first line "METHOD target".
#include <cstdlib>
#include <string_view>

#include "brainlock/protocol/epistula.hpp"
#include "brainlock/protocol/routes.hpp"

using namespace brainlock::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto line = [&rest] {
    const auto end = rest.find('\n');
    const auto out = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return out;
  };
  const auto first = line();
  const auto space = first.find(' ');
  const auto method = first.substr(0, space);
  const auto target = space == std::string_view::npos ? std::string_view{} : first.substr(space + 1);
  const auto route = parse_route(method, target);
  if (route.refusal == Refusal::kNone && route_target(route.route) != target) std::abort();
  Headers headers;
  while (!rest.empty() && headers.size() < 100) {
    const auto text = line();
    const auto colon = text.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.emplace_back(text.substr(0, colon), text.substr(colon + 2));
  }
  check_head({}, headers, method, target, 1'735'689'600'000);
  return 0;
}
