// Which of the layouts deserve that chains of primes are looked for, by what they cost at a nominal chain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "levels.hpp"
#include "lowering.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

struct LayoutRanking {
  std::vector<LayoutChoice> shortlist;  ///< the best first; none: no layout holds the network
  struct Refusal {
    LayoutChoice choice;
    std::string reason;
  };
  std::vector<Refusal> refused;
};

/// Lowers every layout without weights. The same for any number of threads.
LayoutRanking rank_layouts(const StagePlan& stages, std::uint32_t slots, unsigned threads);

/// A chain of about as many primes as the network will need, by the kind of its borders.
LevelChoice nominal_levels(const StagePlan& stages, std::uint32_t slots, bool masks);

}  // namespace brainlock::compiler
