// The pairing of timelocked commits, by the program `brainlock-pairing` (apps/pairing).
#pragma once

#include <chrono>
#include <filesystem>

#include "brainlock/chain/timelock.hpp"

namespace brainlock::chain {

/// Runs the program once a call: 160 bytes in, 672 out. Errors: kUnavailable (it does not start, or ends with an error), kTimeout, kMalformed
/// (an answer of another length). Safe from many threads. Cost: some 10 ms.
[[nodiscard]] PairingFunction pairing_program(std::filesystem::path program, std::chrono::milliseconds timeout = std::chrono::seconds(20));

/// The program beside this one; empty if there is none.
[[nodiscard]] PairingFunction installed_pairing();

}  // namespace brainlock::chain
