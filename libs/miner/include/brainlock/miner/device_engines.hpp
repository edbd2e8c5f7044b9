// Several engines behind one queue: one for each device.
#pragma once

#include "brainlock/miner/engine.hpp"

namespace brainlock::miner {

/// Engines that serve the same packages, as one. Keys are loaded by all of them; a question goes to the one that has least to do, in turn
/// among equals. An engine whose device is lost (kUnavailable) is asked no more, and its question goes to another one; the error is the
/// asker's when none is left. One engine at least.
std::unique_ptr<Engine> make_device_engines(std::vector<std::unique_ptr<Engine>> engines);

}  // namespace brainlock::miner
