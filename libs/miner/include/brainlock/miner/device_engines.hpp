// Several engines behind one queue: one for each device.
#pragma once

#include <functional>

#include "brainlock/miner/engine.hpp"

namespace brainlock::miner {

/// Told once for each device that is lost, with its error and how many are left; from the thread that found it out.
using DeviceLost = std::function<void(const Engine::Device& device, const Error& error, std::size_t left)>;

/// Engines that serve the same packages, as one. Keys are loaded by all of them; a question goes to the one that has least to do, in turn
/// among equals. An engine whose device is lost (kUnavailable, with keys or with a question) is asked no more, and the others go on without it; the
/// error is the asker's when none is left. One engine at least; `lost` may be empty.
std::unique_ptr<Engine> make_device_engines(std::vector<std::unique_ptr<Engine>> engines, DeviceLost lost = {});

}  // namespace brainlock::miner
