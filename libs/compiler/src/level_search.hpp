// The search for limbs and scales of every rank, for one shape of key switching: dynamic programming from the answer
// back to the input.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "levels.hpp"
#include "refresh.hpp"

namespace brainlock::compiler {

inline constexpr double kHighestScale = 56.0;       // log2
inline constexpr std::uint32_t kMostLastLimbs = 3;  // of answers; each holds some 10^5 times larger ones

/// Of key switching, and the size of the primes.
struct LevelShape {
  int q_bits = 0, p_limbs = 0, digit_limbs = 0;
  int finer = 0;  ///< of refreshes

  /// Limbs of a plain chain.
  [[nodiscard]] std::uint32_t most_limbs(double max_log_qp) const {
    return static_cast<std::uint32_t>(std::max(0.0, (max_log_qp - 30.0 * p_limbs) / q_bits));
  }
  [[nodiscard]] RefreshShape of_refreshes() const { return {q_bits, p_limbs, digit_limbs, finer}; }
};

/// A refresh of these values that ends with these limbs and this scale.
Refresh refresh_of(const StageNeeds& value, std::uint32_t limbs, double scale_log2);

/// What was chosen for a rank: limbs that its rescale drops, log2 of its weights' scale; what it reads was refreshed to
/// so much.
struct LevelDecision {
  std::uint32_t drop = 0;
  double weight_bits = 0, mask_bits = 0;
  RefreshedRank refreshed;
};

struct LevelPath {
  std::vector<LevelDecision> decisions;  ///< by rank
  std::uint32_t limbs = 0;               ///< of the input
  double scale = 0;                      ///< of the input, log2
  double error = 0;                      ///< variance of the answer
  std::uint32_t refreshed = 0;           ///< ciphertexts
};

/// The cheapest path that meets the target, or the most exact one; nothing if none fits. `chain`: of refreshes, which
/// leave the network so many limbs; null: there are none.
std::optional<LevelPath> find_levels(const LevelRequest& request, LevelShape shape, const RefreshChain* chain);

}  // namespace brainlock::compiler
