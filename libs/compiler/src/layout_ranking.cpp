#include "layout_ranking.hpp"

#include <algorithm>
#include <optional>

#include "brainlock/base/parallel.hpp"
#include "cost_model.hpp"

namespace brainlock::compiler {
namespace {

// Ways to make zeros around maps are both priced with all weights unless the nominal chain says that one costs this
// many times the other.
constexpr double kOtherBorders = 1.5;
constexpr std::uint64_t kMostOtherBytes = 4ULL << 30;  // or that its weights take this much memory

/// What a layout costs at the nominal chain.
struct Ranked {
  double value = 0;  ///< value_of()
  std::uint64_t weight_bytes = 0;
  LayoutChoice choice;
};

/// The error of lower() if the layout does not hold the network.
Result<Ranked> at_nominal_chain(const StagePlan& stages, std::uint32_t slots, const LayoutChoice& choice) {
  BRAINLOCK_ASSIGN(Lowered lowered, lower(stages, slots, choice, LowerDepth::kStructure));
  assign_levels(lowered, nominal_levels(stages, slots, choice.masks));
  return Ranked{value_of(lowered.program), weight_bytes_of(lowered.program), choice};
}

}  // namespace

LevelChoice nominal_levels(const StagePlan& stages, std::uint32_t slots, bool masks) {
  LevelChoice nominal;
  nominal.parameters = {2 * slots, {}, {}, 4};
  const auto depth = static_cast<std::uint32_t>(stages.ranks());
  std::uint32_t limbs = masks ? 2 + 2 * depth : 2 + depth + depth / 3;
  nominal.parameters.q.assign(limbs, 1U << 29);
  nominal.parameters.p.assign(4, 1U << 29);
  nominal.weight_scale_log2.assign(depth, 14);
  if (masks) nominal.mask_scale_log2.assign(depth, 14);
  for (std::uint32_t l = 0; l < depth; ++l) {
    const std::uint32_t drop = l == 0 ? 0 : (masks || l % 3 == 0 ? 2 : 1);
    nominal.limbs_in.push_back(limbs);
    nominal.drop.push_back(drop);
    limbs -= drop;
  }
  return nominal;
}

LayoutRanking rank_layouts(const StagePlan& stages, std::uint32_t slots, unsigned threads) {
  LayoutRanking out;
  std::vector<Ranked> ranked;
  const auto rank = [&](const std::vector<LayoutChoice>& choices) {
    std::vector<Result<Ranked>> all(choices.size(), Ranked{});
    parallel_for(choices.size(), threads, [&](std::size_t i) { all[i] = at_nominal_chain(stages, slots, choices[i]); });
    for (std::size_t i = 0; i < choices.size(); ++i) {
      if (all[i].ok())
        ranked.push_back(*all[i]);
      else
        out.refused.push_back({choices[i], all[i].error().message});
    }
  };
  const auto sort = [&] {
    std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.value < b.value; });
  };
  rank(enumerate_choices(stages, slots));
  sort();
  if (ranked.empty()) return out;
  // Zeros among weights and masks cost so different things that the nominal chain cannot tell which of them is better.
  const auto other = std::find_if(ranked.begin(), ranked.end(), [&](const Ranked& r) {
    return r.choice.masks != ranked[0].choice.masks && r.value < kOtherBorders * ranked[0].value &&
           r.weight_bytes < kMostOtherBytes;
  });
  std::optional<LayoutChoice> other_borders;
  if (other != ranked.end()) other_borders = other->choice;
  if (ranked.size() > 2) ranked.resize(2);
  // Around the best: other splits into baby and giant steps.
  std::vector<LayoutChoice> others(2, ranked.front().choice);
  others[0].baby_steps = 8;
  others[1].baby_steps = 32;
  rank(others);
  sort();
  out.shortlist.push_back(ranked[0].choice);
  if (other_borders) out.shortlist.push_back(*other_borders);
  // And with a real input: the conjugation at the input's small scale may cost more precision than is there.
  if (!stages.stages.front().is_dense) {
    out.shortlist.push_back(ranked[0].choice);
    out.shortlist.back().real_input = true;
  }
  return out;
}

}  // namespace brainlock::compiler
