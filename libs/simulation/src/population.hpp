// Who takes part.
#pragma once

#include <vector>

#include "brainlock/simulation/simulation.hpp"

namespace brainlock::simulation {

/// Three eighths honest with medians from 4 to 80 s; an eighth of each other kind, in eight steps of its parameter
/// about a median of 20 s.
std::vector<Miner> make_miners(const Options& options);

/// Stakes fall like a power of the rank. With 8 or more validators the last three copy, collude and idle.
std::vector<Validator> make_validators(const Options& options);

}  // namespace brainlock::simulation
