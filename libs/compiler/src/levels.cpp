#include "levels.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "brainlock/base/parallel.hpp"
#include "brainlock/math/modulus.hpp"
#include "level_search.hpp"

namespace brainlock::compiler {
namespace {

constexpr std::uint32_t kMostChainLimbs = 64;   // of Q: what plan::validate() takes
// Digits of a larger share of the largest modulus leave too little of it to the chain. Those of 7 or 8 limbs in rings of 2^15 were measured:
// smaller keys, and 1 to 3 per cent slower.
constexpr double kLargestDigit = 0.22;
constexpr int kMostSpecial = static_cast<int>(kMostDropped) - 3;   // three limbs are dropped with them
constexpr int kLeastDigitOfRefreshes = 6;  // their chains are long: keys of more digits would take many gigabytes
constexpr int kFinest = 3;                 // of RefreshShape::finer

bool choose_primes(const LevelRequest& request, LevelShape shape, std::uint32_t limbs, plan::ParameterChoice& out, double& log_qp) {
  out.ring_degree = request.ring_degree;
  out.digit_limbs = static_cast<std::uint32_t>(shape.digit_limbs);
  out.p = math::ntt_primes(30, shape.p_limbs, request.ring_degree);
  out.q = math::ntt_primes(shape.q_bits, static_cast<int>(limbs), request.ring_degree, out.p);
  if (out.p.size() != static_cast<std::size_t>(shape.p_limbs) || out.q.size() != limbs) return false;
  log_qp = 0;
  for (const auto* primes : {&out.q, &out.p})
    for (std::uint32_t prime : *primes) log_qp += std::log2(static_cast<double>(prime));
  return log_qp <= request.max_log_qp;
}

/// A chain of refreshes that leaves the network as many limbs as there can be.
std::optional<RefreshChain> widest_refresh_chain(const LevelRequest& request, const RefreshRing& ring, LevelShape shape) {
  const RefreshShape refresh = shape.of_refreshes();
  auto chain = make_refresh_chain(ring, refresh, kMostLastLimbs);
  if (!chain || chain->log_qp > request.max_log_qp || chain->top() > kMostChainLimbs) return std::nullopt;
  const auto more = static_cast<std::uint32_t>((request.max_log_qp - chain->log_qp) / shape.q_bits);
  std::uint32_t limbs = kMostLastLimbs + std::min(more, kMostChainLimbs - chain->top());
  for (; limbs >= kMostLastLimbs; --limbs) {   // primes near 2^q_bits are not all below it
    chain = make_refresh_chain(ring, refresh, limbs);
    if (chain && chain->log_qp <= request.max_log_qp) return chain;
  }
  return std::nullopt;
}

/// With no more limbs for the network than it uses, and than its refreshes need to end where they are to.
std::optional<RefreshChain> narrowest_refresh_chain(const LevelRequest& request, const RefreshRing& ring, LevelShape shape, const LevelChoice& choice, std::uint32_t most) {
  const auto ends = [&](const RefreshChain& chain) {
    for (std::size_t l = 0; l < choice.refreshes.size(); ++l)
      if (choice.refreshes[l].limbs != 0 && !refresh_end(chain, refresh_of(request.stages[l], choice.refreshes[l].limbs, choice.refreshes[l].scale_log2)))
        return false;
    return true;
  };
  for (std::uint32_t limbs = *std::max_element(choice.limbs_in.begin(), choice.limbs_in.end()); limbs <= most; ++limbs)
    if (auto chain = make_refresh_chain(ring, shape.of_refreshes(), limbs); chain && ends(*chain)) return chain;
  return std::nullopt;
}

/// The best chain for one key-switching shape, if there is one. `ring`: for refreshes; null: there are none.
std::optional<LevelChoice> choose_levels(const LevelRequest& request, const RefreshRing* ring, LevelShape shape) {
  if (request.max_log_qp - 30.0 * shape.p_limbs < 3 * shape.q_bits) return std::nullopt;
  std::optional<RefreshChain> widest;
  if (ring != nullptr) {
    widest = widest_refresh_chain(request, *ring, shape);
    if (!widest) return std::nullopt;
  }
  const auto path = find_levels(request, shape, widest ? &*widest : nullptr);
  if (!path) return std::nullopt;
  LevelChoice choice;
  const std::vector<LevelDecision>& decisions = path->decisions;
  choice.refreshes.resize(widest ? decisions.size() : 0);
  std::uint32_t limbs = path->limbs;
  double scale = path->scale;
  for (std::size_t l = 0; l < decisions.size(); ++l) {
    const LevelDecision& decision = decisions[l];
    if (decision.refreshed.limbs != 0) {
      choice.refreshes[l - 1] = decision.refreshed;
      limbs = decision.refreshed.limbs;
      scale = decision.refreshed.scale_log2;
    }
    choice.drop.push_back(decision.drop);
    choice.weight_scale_log2.push_back(decision.weight_bits);
    choice.mask_scale_log2.push_back(decision.mask_bits);
    choice.limbs_in.push_back(limbs);
    limbs -= decision.drop;
    scale = (l == 0 || request.stages[l].plain ? scale : 2 * scale) + decision.weight_bits + decision.mask_bits - decision.drop * shape.q_bits;
    choice.scale_log2.push_back(scale);
  }
  if (path->refreshed != 0) {
    choice.refresh_chain = narrowest_refresh_chain(request, *ring, shape, choice, widest->network_limbs);
    if (!choice.refresh_chain) return std::nullopt;
    choice.parameters = choice.refresh_chain->parameters;
    choice.log_qp = choice.refresh_chain->log_qp;
  } else if (!choose_primes(request, shape, path->limbs, choice.parameters, choice.log_qp)) {
    return std::nullopt;
  }
  choice.input_scale_log2 = path->scale;
  choice.relative_error = std::sqrt(std::max(0.0, path->error)) / request.stages.back().out_rms;
  return choice;
}

/// The shapes of key switching that are worth pricing.
std::vector<LevelShape> shapes_of(double max_log_qp, Refreshing refreshing) {
  std::vector<LevelShape> shapes;
  const int largest_digit = std::clamp(static_cast<int>(max_log_qp * kLargestDigit / 30), 6, kMostSpecial);
  const bool refreshes = refreshing == Refreshing::kAllowed;
  for (int q_bits : {28, 29, 30})
    for (int digit = refreshes ? std::min(largest_digit, kLeastDigitOfRefreshes) : 2; digit <= largest_digit; digit += digit < 6 ? 1 : 2)
      for (int p = digit; p <= std::min(digit + 1, kMostSpecial); ++p)
        for (int finer = 0; finer <= (refreshes ? kFinest : 0); ++finer) shapes.push_back({q_bits, p, digit, finer});
  return shapes;
}

}  // namespace

bool plain_chain_may_hold(double max_log_qp, std::size_t ranks) {
  // Each rank drops a limb at least, but for the first: the answer keeps one.
  const std::vector<LevelShape> shapes = shapes_of(max_log_qp, Refreshing::kNever);
  return std::any_of(shapes.begin(), shapes.end(), [&](const LevelShape& shape) { return shape.most_limbs(max_log_qp) >= ranks; });
}

std::vector<LevelChoice> search_levels(const LevelRequest& request, Refreshing refreshing, unsigned threads) {
  const std::vector<LevelShape> shapes = shapes_of(request.max_log_qp, refreshing);
  std::optional<RefreshRing> ring;
  if (refreshing == Refreshing::kAllowed) ring = make_refresh_ring(request.ring_degree);
  std::vector<std::optional<LevelChoice>> choices(shapes.size());
  parallel_for(shapes.size(), threads, [&](std::size_t i) { choices[i] = choose_levels(request, ring ? &*ring : nullptr, shapes[i]); });
  std::vector<LevelChoice> out;
  for (auto& choice : choices)
    if (choice) out.push_back(std::move(*choice));
  return out;
}

}  // namespace brainlock::compiler
