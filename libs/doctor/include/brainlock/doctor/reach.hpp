// A miner as others see it: for another machine than its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/doctor/check.hpp"
#include "brainlock/ledger/types.hpp"

namespace brainlock::doctor {

struct ReachTarget {
  std::string ip;                               ///< canonical
  std::uint16_t port = 0;
  std::optional<ledger::AccountId> hotkey;      ///< whose miner it must be; otherwise whoever it says it is
};

/// Whether the port is open, a miner answers, proves its hotkey over TLS, and tells the same time. Asks for its status, which needs no signature.
std::vector<Check> make_reach_checks(ReachTarget target);

}  // namespace brainlock::doctor
