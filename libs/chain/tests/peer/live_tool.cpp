// What a script needs of a node besides the command: blocks, funds for a hotkey, a subnet whose rules can be changed.
// The subnet is BRAINLOCK_TEST_NETUID or found as in live_node.hpp. Exit code 3 says that this chain does not allow it.
#include <cstdlib>
#include <iostream>

#include "../live_node.hpp"

namespace {

using namespace brainlock;
using namespace brainlock::chain;

constexpr int kCannot = 3;

int run(const std::string& url, const std::string& act, const std::string& argument) {
  auto opened = open_transport(url);
  if (!opened.ok()) throw std::runtime_error(opened.error().to_string());
  const char* number = std::getenv("BRAINLOCK_TEST_NETUID");
  LiveNode node(std::shared_ptr<Transport>(std::move(*opened)),
                number == nullptr ? std::nullopt : std::optional(static_cast<std::uint16_t>(std::atoi(number))));
  if (!node.find_subnet()) return kCannot;
  const auto yes = [](bool done) { return done ? 0 : kCannot; };
  if (act == "netuid") {
    std::cout << node.netuid() << "\n";
  } else if (act == "advance") {
    const auto blocks = std::stoull(argument);
    if (!node.can_wait(blocks)) return kCannot;
    node.advance(blocks);
  } else if (act == "fund") {
    const auto account = crypto::ss58_decode(argument);
    if (!account.ok()) throw std::runtime_error(account.error().to_string());
    node.fund(*account);
  } else if (act == "open-registration") {
    if (node.now(kRegistrationAllowed) == Value::boolean(false))
      (void)node.put(kRegistrationAllowed, Value::boolean(true));
    if (node.now(kSubtokenEnabled) == Value::boolean(false)) (void)node.put(kSubtokenEnabled, Value::boolean(true));
    return yes(node.put(kTargetRegistrations, Value::number(100)));
  } else if (act == "quick-votes") {
    (void)node.put(kStakeThreshold, Value::number(0));
    (void)node.put(kTempo, Value::number(40));
    return yes(node.put(kWeightsRateLimit, Value::number(std::stoull(argument))));
  } else if (act == "weights-version") {
    return yes(node.put(kWeightsVersion, Value::number(std::stoull(argument))));
  } else if (act == "commit-reveal") {
    return yes(node.put(kCommitReveal, Value::boolean(argument == "on")));
  } else {
    throw std::runtime_error("unknown act " + act);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: chain_live_tool URL netuid | advance BLOCKS | fund ADDRESS | open-registration | quick-votes "
                 "LIMIT | weights-version KEY | commit-reveal on|off\n";
    return 2;
  }
  try {
    return run(argv[1], argv[2], argc == 4 ? argv[3] : "");
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
