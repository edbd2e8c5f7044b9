#include "levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "brainlock/base/parallel.hpp"
#include "brainlock/math/modulus.hpp"

namespace brainlock::compiler {
namespace {

constexpr double kSigma = 3.2;            // of fresh errors
constexpr double kLowestScale = 12.0;     // log2; below this nothing is left of the message
constexpr double kHighestScale = 56.0;
constexpr std::uint32_t kMostChainLimbs = 64;   // of Q: what plan::validate() takes
constexpr std::uint32_t kMostLastLimbs = 3;   // of answers; each holds some 10^5 times larger ones
constexpr double kLargestNoise = 0.125;   // of a stage's output, relative to its rms
// Digits of a larger share of the largest modulus leave too little of it to the chain. Those of 7 or 8 limbs in rings of 2^15 were measured:
// smaller keys, and 1 to 3 per cent slower.
constexpr double kLargestDigit = 0.22;
constexpr int kMostSpecial = static_cast<int>(kMostDropped) - 3;   // three limbs are dropped with them
constexpr int kLeastDigitOfRefreshes = 6;  // their chains are long: keys of more digits would take many gigabytes
constexpr int kFinest = 3;                 // of RefreshShape::finer
constexpr double kScaleBucket = 0.25;     // states closer than this are one state
constexpr double kWorthRefreshing = 0.7;  // share of the error's variance that more refreshes have to save
constexpr std::uint32_t kMostRefreshed = 24;   // ciphertexts: each takes some 30 MB of a plan, which may have 1 GiB
// Bits that weights of layers to coefficients may have beyond the least, each.
constexpr double kMostSpare = 6, kSpareStep = 1;

struct Shape {            // of key switching
  int q_bits, p_limbs, digit_limbs;
  int finer = 0;          // of refreshes

  [[nodiscard]] RefreshShape of_refreshes(std::uint32_t ring_degree) const { return {ring_degree, q_bits, p_limbs, digit_limbs, finer}; }
};

// Error of a division with rounding (rescale, ModDown), per real part of a slot: coefficients of (c0, c1) are off by up
// to 1/2, times (1, s) with s uniform ternary; the slots of such a polynomial have sqrt(N) times its deviation.
double rounding_noise(double n) { return std::sqrt(n / 2 * (1 + 2 * n / 3) / 12); }

// Error of one key switching after its division by P, per real part: digits are uniform in +-2^(bits-1).
double switching_noise(double n, double digits, double digit_bits, double p_bits) {
  const double coefficient = std::sqrt(digits * n / 12) * kSigma * std::exp2(digit_bits - p_bits);
  return coefficient * std::sqrt(n / 2);
}

/// A refresh of these values that ends with these limbs and this scale.
Refresh refresh_of(const StageNeeds& value, std::uint32_t limbs, double scale_log2) {
  Refresh refresh;
  refresh.limbs = limbs;
  refresh.scale = std::exp2(scale_log2);
  refresh.largest = value.refresh_largest;
  refresh.rms = value.out_rms;
  refresh.real = value.refresh_real;
  return refresh;
}

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

// What was chosen for a stage: limbs that its rescale drops, log2 of its weights' scale; what it reads was refreshed to so much.
struct Decision {
  std::uint32_t drop = 0;
  double weight_bits = 0, mask_bits = 0;
  RefreshedRank refreshed;
  std::size_t later = kNone;   // the next stage's, among the decisions of the search
};

struct State {
  double scale = 0;        // log2 of the output scale of the current stage
  std::uint32_t limbs = 0; // ciphertext limbs after the current stage
  double error = 0;        // variance of the final output from everything after this stage
  double cost = 0;
  std::uint32_t refreshed = 0;   // ciphertexts after this stage
  Decision decision;       // of the stage after this one; its `later` leads to those behind it
};

class Search {
 public:
  /// `chain`: of refreshes, which leave the network so many limbs; null: there are none.
  Search(const LevelRequest& request, Shape shape, const RefreshChain* chain)
      : request_(request), shape_(shape), chain_(chain), n_(request.ring_degree),
        max_limbs_(chain != nullptr ? chain->network_limbs : static_cast<std::uint32_t>((request.max_log_qp - 30.0 * shape.p_limbs) / shape.q_bits)) {
    for (std::uint32_t limbs = 0; limbs <= max_limbs_; ++limbs) conjugation_.push_back(conjugation_noise(limbs));
  }

  /// The cheapest chain that meets the target, or the most exact one; false if none fits. Decisions are in the order of the stages.
  bool best(State& chosen, std::vector<Decision>& decisions) {
    const std::size_t last = request_.stages.size() - 1;
    std::vector<State> states;
    const double head = std::log2(request_.stages[last].out_max) + 2;   // sign and a factor of two to spare
    // One limb holds the answer, or a few where its numbers are large.
    State start;
    start.limbs = 1;
    while (start.limbs < kMostLastLimbs && start.limbs * shape_.q_bits - head < kLowestScale) ++start.limbs;
    start.scale = std::min(start.limbs * shape_.q_bits - head, kHighestScale);
    if (start.scale < kLowestScale || start.limbs > max_limbs_) return false;
    start.error = own_noise(last, start.scale, start.limbs);
    states.push_back(start);
    for (std::size_t l = last; l > 0; --l) {
      states = step_back(states, l);
      if (states.empty()) return false;
    }
    if (!finish(states, chosen)) return false;
    decisions.clear();
    for (Decision d = chosen.decision;; d = decisions_[d.later]) {
      decisions.push_back(d);
      if (d.later == kNone) return true;
    }
  }

 private:
  // Noise that stage l adds to its own output by rescaling (and, if it is squared next, by the conjugation).
  double own_noise(std::size_t l, double scale, std::uint32_t limbs) const {
    double variance = square(rounding_noise(n_) / std::exp2(scale));
    if (l + 1 < request_.stages.size()) variance += square(conjugation_[limbs] / 2 / std::exp2(scale));
    return variance * request_.stages[l].later_gain;
  }
  static double square(double x) { return x * x; }
  double conjugation_noise(std::uint32_t limbs) const {
    const double digits = std::ceil(static_cast<double>(limbs) / shape_.digit_limbs);
    const double bits = std::min<double>(limbs, shape_.digit_limbs) * shape_.q_bits;
    return switching_noise(n_, digits, bits, 30.0 * shape_.p_limbs) + rounding_noise(n_);
  }

  double weight_variance(std::size_t l, double bits) const {
    return square(request_.stages[l].weight_noise / std::exp2(bits)) * request_.stages[l].weight_gain;
  }

  double stage_cost(std::size_t l, std::uint32_t limbs) const {
    const StageNeeds& s = request_.stages[l];
    const double qp = limbs + shape_.p_limbs, digits = std::ceil(static_cast<double>(limbs) / shape_.digit_limbs);
    // In the proportions of cost_model.cpp, a product and its sum as 0.75.
    return qp * (s.macs * 2 * 0.75 + s.hoisted * (4 * digits + 27) + s.key_switches * (67 * digits + 75));
  }

  struct Rounding {
    double weight_bits, mask_bits, variance;
    [[nodiscard]] double bits() const { return weight_bits + mask_bits; }
  };
  // Candidate roundings of stage l's weights, and of its masks: relative errors of either at its output from 2^-5 to 2^-13.
  std::vector<Rounding> roundings(std::size_t l) const {
    std::vector<Rounding> options;
    const StageNeeds& s = request_.stages[l];
    for (double e = 5; e <= 13; e += 0.5) {
      const double bits = std::log2(s.weight_noise / (std::exp2(-e) * s.out_rms));
      if (s.mask_noise == 0) {
        options.push_back({bits, 0, weight_variance(l, bits)});
        continue;
      }
      const double mask = std::log2(s.mask_noise / (std::exp2(-e) * s.out_rms));
      options.push_back({bits, mask, weight_variance(l, bits) + square(s.mask_noise / std::exp2(mask)) * s.mask_gain});
    }
    return options;
  }

  // From states after stage l to states after stage l - 1: chooses the drop and weight rounding of stage l.
  std::vector<State> step_back(const std::vector<State>& states, std::size_t l) {
    Kept kept = none_kept();
    const std::vector<Rounding> options = roundings(l);
    const bool plain = request_.stages[l].plain;
    const double rms = request_.stages[l - 1].out_rms, head = std::log2(request_.stages[l - 1].out_max) + 2;
    const double noise = rounding_noise(n_);
    for (const State& state : states)
      for (std::uint32_t drop = 1; drop <= 3; ++drop) {
        const std::uint32_t limbs = state.limbs + drop;
        if (limbs > max_limbs_) break;
        for (const Rounding& w : options) {
          const double product = state.scale + drop * shape_.q_bits - w.bits();   // of what the stage reads
          const double scale = plain ? product : product / 2;
          if (scale < kLowestScale || scale > kHighestScale) continue;
          // The values before this stage's rescale must fit its modulus, and so must the previous stage's output.
          if (scale + head > limbs * shape_.q_bits) continue;
          // Squares turn noise into a bias once it is no longer small beside the value.
          if (noise / std::exp2(scale) > kLargestNoise * rms) continue;
          State next{scale, limbs, state.error + w.variance + own_noise(l - 1, scale, limbs), state.cost + stage_cost(l, limbs), state.refreshed,
                     {drop, w.weight_bits, w.mask_bits, {}, later(states, state)}};
          keep(kept, next);
        }
      }
    if (chain_ != nullptr && request_.stages[l - 1].refresh_ciphertexts != 0)
      for (const std::vector<State>& alike : Kept(kept))
        for (const State& state : alike) refresh_before(state, l - 1, kept);
    std::vector<State> out;
    for (const std::vector<State>& alike : kept)
      for (const State& state : alike) {
        decisions_.push_back(state.decision);
        out.push_back(state);
      }
    first_ = decisions_.size() - out.size();
    return out;
  }

  // By scale (about) and limbs: the most exact of those that refresh as much, if it is far more exact than all that refresh less.
  using Kept = std::vector<std::vector<State>>;
  [[nodiscard]] Kept none_kept() const { return Kept((static_cast<std::size_t>(kHighestScale / kScaleBucket) + 1) * (max_limbs_ + 1)); }
  void keep(Kept& kept, const State& next) const {
    std::vector<State>& alike = kept[static_cast<std::size_t>(next.scale / kScaleBucket) * (max_limbs_ + 1) + next.limbs];
    const auto beats = [](const State& a, const State& b) {
      return a.refreshed == b.refreshed ? a.error <= b.error : a.refreshed < b.refreshed && a.error * kWorthRefreshing <= b.error;
    };
    if (std::any_of(alike.begin(), alike.end(), [&](const State& s) { return beats(s, next); })) return;
    std::erase_if(alike, [&](const State& s) { return beats(next, s); });
    alike.push_back(next);
  }

  // Keeps what the value of rank l may be before the refresh that makes `state` of it.
  void refresh_before(const State& state, std::size_t l, Kept& kept) const {
    const StageNeeds& value = request_.stages[l];
    if (state.refreshed + value.refresh_ciphertexts > kMostRefreshed) return;
    Refresh refresh = refresh_of(value, state.limbs, state.scale);
    const auto end = refresh_end(*chain_, refresh);
    if (!end) return;
    const double head = std::log2(value.out_max) + 2;
    for (refresh.limbs_in = chain_->least_limbs_in(); refresh.limbs_in <= std::min(chain_->most_limbs_in(), max_limbs_); ++refresh.limbs_in)
      for (double spare = 0; spare <= kMostSpare; spare += kSpareStep) {
        State before = state;
        before.scale = refresh_scale_in_log2(*chain_, *end, refresh.limbs_in, spare);
        before.limbs = refresh.limbs_in;
        if (before.scale < kLowestScale || before.scale > kHighestScale || before.scale + head > before.limbs * shape_.q_bits) continue;
        if (rounding_noise(n_) / std::exp2(before.scale) > kLargestNoise * value.out_rms) continue;
        refresh.scale_in = std::exp2(before.scale);
        before.decision.refreshed = {state.limbs, state.scale};
        before.refreshed += value.refresh_ciphertexts;
        before.error += square(refresh_noise(*chain_, *end, refresh)) * value.read_share * value.later_gain + own_noise(l, before.scale, before.limbs);
        keep(kept, before);
      }
  }

  // Where the decision of one of the last states lies.
  std::size_t later(const std::vector<State>& states, const State& state) const {
    return first_ == kNone ? kNone : first_ + static_cast<std::size_t>(&state - states.data());
  }

  // The first stage: no square before it, the input's own noise, an optional rescale.
  bool finish(const std::vector<State>& states, State& chosen) const {
    const double last_rms = request_.stages.back().out_rms;
    const double target = square(request_.target_error * last_rms);
    bool found = false, found_good = false;
    const std::vector<Rounding> options = roundings(0);
    for (const State& state : states)
      for (std::uint32_t drop = 0; drop <= 2; ++drop) {
        const std::uint32_t limbs = state.limbs + drop;
        if (limbs > max_limbs_) break;
        for (const Rounding& w : options) {
          State next = state;
          const double input_scale = state.scale + drop * shape_.q_bits - w.bits();
          if (input_scale < kLowestScale || input_scale > 45) continue;
          // Fresh noise, and the hoisted rotations (and conjugation) at the input's own, small scale: each rotation also
          // rounds c1 / P.
          const double switching = conjugation_[limbs] - rounding_noise(n_);
          const double decomposing = std::sqrt(n_ / 2 * (2 * n_ / 3) / 12);
          const double noise = (square(kSigma * std::sqrt(n_ / 2)) + square(switching) * (request_.split_input ? 1.5 : 1.0) +
                                square(decomposing)) /
                               square(std::exp2(input_scale));
          next.error += w.variance + noise * request_.input_gain;
          if (drop == 0) next.error -= square(rounding_noise(n_) / std::exp2(state.scale)) * request_.stages[0].later_gain * 0.5;
          next.scale = input_scale;
          next.limbs = limbs;
          next.cost += stage_cost(0, limbs);
          next.decision = {drop, w.weight_bits, w.mask_bits, {}, later(states, state)};
          const bool good = next.error <= target;
          // Where none is good enough: the most exact one, unless it refreshes far more.
          const auto badness = [](const State& s) { return s.error * square(1.0 + s.refreshed); };
          const bool better = !found || (good && !found_good) ||
                              (good == found_good && (good ? std::pair(next.refreshed, next.cost) < std::pair(chosen.refreshed, chosen.cost)
                                                           : badness(next) < badness(chosen)));
          if (better) chosen = next;
          found = true;
          found_good |= good;
        }
      }
    return found;
  }

  const LevelRequest& request_;
  Shape shape_;
  const RefreshChain* chain_;
  double n_;
  std::uint32_t max_limbs_;
  std::vector<double> conjugation_;     // noise, by limbs
  std::vector<Decision> decisions_;     // of all states kept so far
  std::size_t first_ = kNone;           // of those of the last states
};

bool choose_primes(const LevelRequest& request, Shape shape, std::uint32_t limbs, plan::ParameterChoice& out, double& log_qp) {
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

}  // namespace

namespace {

/// A chain of refreshes that leaves the network as many limbs as there can be.
std::optional<RefreshChain> widest_refresh_chain(const LevelRequest& request, Shape shape) {
  const RefreshShape refresh = shape.of_refreshes(request.ring_degree);
  auto chain = make_refresh_chain(refresh, kMostLastLimbs);
  if (!chain || chain->log_qp > request.max_log_qp || chain->top() > kMostChainLimbs) return std::nullopt;
  const auto more = static_cast<std::uint32_t>((request.max_log_qp - chain->log_qp) / shape.q_bits);
  std::uint32_t limbs = kMostLastLimbs + std::min(more, kMostChainLimbs - chain->top());
  for (; limbs >= kMostLastLimbs; --limbs) {   // primes near 2^q_bits are not all below it
    chain = make_refresh_chain(refresh, limbs);
    if (chain && chain->log_qp <= request.max_log_qp) return chain;
  }
  return std::nullopt;
}

/// With no more limbs for the network than it uses, and than its refreshes need to end where they are to.
std::optional<RefreshChain> narrowest_refresh_chain(const LevelRequest& request, Shape shape, const LevelChoice& choice, std::uint32_t most) {
  const auto ends = [&](const RefreshChain& chain) {
    for (std::size_t l = 0; l < choice.refreshes.size(); ++l)
      if (choice.refreshes[l].limbs != 0 && !refresh_end(chain, refresh_of(request.stages[l], choice.refreshes[l].limbs, choice.refreshes[l].scale_log2)))
        return false;
    return true;
  };
  for (std::uint32_t limbs = *std::max_element(choice.limbs_in.begin(), choice.limbs_in.end()); limbs <= most; ++limbs)
    if (auto chain = make_refresh_chain(shape.of_refreshes(request.ring_degree), limbs); chain && ends(*chain)) return chain;
  return std::nullopt;
}

/// The best chain for one key-switching shape, if there is one.
std::optional<LevelChoice> choose_levels(const LevelRequest& request, Refreshing refreshing, Shape shape) {
  if (request.max_log_qp - 30.0 * shape.p_limbs < 3 * shape.q_bits) return std::nullopt;
  std::optional<RefreshChain> widest;
  if (refreshing == Refreshing::kAllowed) {
    widest = widest_refresh_chain(request, shape);
    if (!widest) return std::nullopt;
  }
  State state;
  std::vector<Decision> decisions;
  if (!Search(request, shape, widest ? &*widest : nullptr).best(state, decisions)) return std::nullopt;
  LevelChoice choice;
  choice.refreshes.resize(widest ? decisions.size() : 0);
  std::uint32_t limbs = state.limbs;
  double scale = state.scale;
  for (std::size_t l = 0; l < decisions.size(); ++l) {
    const Decision& decision = decisions[l];
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
  if (state.refreshed != 0) {
    choice.refresh_chain = narrowest_refresh_chain(request, shape, choice, widest->network_limbs);
    if (!choice.refresh_chain) return std::nullopt;
    choice.parameters = choice.refresh_chain->parameters;
    choice.log_qp = choice.refresh_chain->log_qp;
  } else if (!choose_primes(request, shape, state.limbs, choice.parameters, choice.log_qp)) {
    return std::nullopt;
  }
  choice.input_scale_log2 = state.scale;
  choice.relative_error = std::sqrt(std::max(0.0, state.error)) / request.stages.back().out_rms;
  return choice;
}

}  // namespace

std::vector<LevelChoice> search_levels(const LevelRequest& request, Refreshing refreshing, unsigned threads) {
  std::vector<Shape> shapes;
  const int largest_digit = std::clamp(static_cast<int>(request.max_log_qp * kLargestDigit / 30), 6, kMostSpecial);
  const bool refreshes = refreshing == Refreshing::kAllowed;
  for (int q_bits : {28, 29, 30})
    for (int digit = refreshes ? std::min(largest_digit, kLeastDigitOfRefreshes) : 2; digit <= largest_digit; digit += digit < 6 ? 1 : 2)
      for (int p = digit; p <= std::min(digit + 1, kMostSpecial); ++p)
        for (int finer = 0; finer <= (refreshes ? kFinest : 0); ++finer) shapes.push_back({q_bits, p, digit, finer});
  std::vector<std::optional<LevelChoice>> choices(shapes.size());
  parallel_for(shapes.size(), threads, [&](std::size_t i) { choices[i] = choose_levels(request, refreshing, shapes[i]); });
  std::vector<LevelChoice> out;
  for (auto& choice : choices)
    if (choice) out.push_back(std::move(*choice));
  return out;
}

namespace {

/// Scales of the ranks for the actual primes.
struct Chain {
  std::vector<double> factor;   // scale of the weights, times that of the masks
  std::vector<double> mask_scale, scale_out;
  std::vector<std::uint32_t> limbs_out;
};

Chain follow(const Lowered& lowered, const LevelChoice& choice) {
  Chain chain;
  double scale = std::exp2(choice.input_scale_log2);   // of what the rank reads
  for (std::size_t r = 0; r < choice.drop.size(); ++r) {
    const std::uint32_t limbs = choice.limbs_in[r];
    chain.limbs_out.push_back(limbs - choice.drop[r]);
    double dropped = 1;
    for (std::uint32_t i = chain.limbs_out.back(); i < limbs; ++i) dropped *= lowered.program.parameters.q[i];
    // Primes are a little below 2^q_bits and every square doubles the drift of the scale: the weights take it back.
    const double mask_log2 = choice.mask_scale_log2.empty() ? 0 : choice.mask_scale_log2[r];
    chain.mask_scale.push_back(std::exp2(mask_log2));
    chain.factor.push_back(choice.scale_log2.empty() ? std::exp2(choice.weight_scale_log2[r] + mask_log2)
                                                     : std::exp2(choice.scale_log2[r]) * dropped / scale);
    scale = scale * chain.factor.back() / dropped;
    chain.scale_out.push_back(scale);
    if (!choice.refreshes.empty() && choice.refreshes[r].limbs != 0) scale = std::exp2(choice.refreshes[r].scale_log2);
    if (r + 1 < choice.drop.size() && !lowered.plain_ranks[r + 1]) scale *= scale;
  }
  return chain;
}

/// Limbs of a register, scale of its message.
struct Held {
  std::uint32_t limbs = 0;
  double scale = 0;
};

/// Writes limbs and scales into the instructions, in order: what a register holds follows from the one that made it.
class Assigner {
 public:
  Assigner(Lowered& lowered, const LevelChoice& choice, const Chain& chain)
      : program_(lowered.program), choice_(choice), chain_(chain), held_(program_.register_count) {
    for (std::uint32_t i = 0; i < program_.input.ciphertexts; ++i) held_[i] = {program_.input.limbs, program_.input.scale};
  }

  void step(plan::Instruction& instruction, const LoweredStage& stage) {
    std::visit([&](auto& op) { assign(instruction, op, stage); }, instruction.op);
  }

  /// From here on the value of a stage is what its refresh will make of it.
  void refresh(const LoweredStage& stage) {
    if (choice_.refreshes.empty() || choice_.refreshes[stage.rank].limbs == 0) return;
    for (const plan::Register r : stage.value)
      held_[r] = {choice_.refreshes[stage.rank].limbs, std::exp2(choice_.refreshes[stage.rank].scale_log2)};
  }

 private:
  Held held(plan::Register r) const { return held_[r]; }
  void write(plan::Instruction& i, Held in, Held out, const std::vector<plan::Register>& registers) {
    i.limbs_in = in.limbs;
    i.limbs_out = out.limbs;
    i.scale_in = in.scale;
    i.scale_out = out.scale;
    for (plan::Register r : registers) held_[r] = out;
  }
  double primes(std::uint32_t first, std::uint32_t last) const {
    double product = 1;
    for (std::uint32_t i = first; i < last; ++i) product *= program_.parameters.q[i];
    return product;
  }

  void assign(plan::Instruction& i, plan::Split& op, const LoweredStage&) { write(i, held(op.in), held(op.in), op.out); }
  void assign(plan::Instruction& i, plan::Square& op, const LoweredStage&) {
    const Held in = held(op.in);
    write(i, in, {in.limbs, in.scale * in.scale}, op.out);
  }
  void assign(plan::Instruction& i, plan::Combine& op, const LoweredStage&) {
    write(i, held(op.terms[0].in), held(op.terms[0].in), {op.out});
  }
  void assign(plan::Instruction& i, plan::Add& op, const LoweredStage&) { write(i, held(op.terms[0]), held(op.terms[0]), {op.out}); }
  // Refreshes are written out later.
  void assign(plan::Instruction&, plan::Raise&, const LoweredStage&) {}
  // As few limbs as leave the weights of the rescale behind it large enough, and not so many that no encoder takes them.
  void assign(plan::Instruction& i, plan::Drop& op, const LoweredStage& stage) {
    const Held in = held(op.in);
    const std::uint32_t end = chain_.limbs_out[stage.rank];
    std::uint32_t limbs = std::min(end, in.limbs);
    const auto weight_log2 = [&](std::uint32_t l) { return std::log2(chain_.scale_out[stage.rank] * primes(end, l) / in.scale) - stage.mask_log2; };
    while (limbs < in.limbs && weight_log2(limbs) < stage.min_weight_log2 && weight_log2(limbs + 1) <= kHighestScale) ++limbs;
    write(i, in, {limbs, in.scale}, {op.out});
  }
  void assign(plan::Instruction& i, plan::Linear& op, const LoweredStage& stage) {
    const Held in = held(op.inputs[0]);
    const Held out{chain_.limbs_out[stage.rank], chain_.scale_out[stage.rank]};
    op.weight_scale = stage.carried ? out.scale * primes(out.limbs, in.limbs) / in.scale : chain_.factor[stage.rank];
    if (!op.masks.empty()) {
      op.mask_scale = stage.carried ? std::exp2(stage.mask_log2) : chain_.mask_scale[stage.rank];
      op.weight_scale /= op.mask_scale;
    }
    std::vector<plan::Register> registers;
    for (const auto& output : op.outputs) registers.push_back(output.out);
    write(i, in, out, registers);
  }

  plan::Program& program_;
  const LevelChoice& choice_;
  const Chain& chain_;
  std::vector<Held> held_;
};

}  // namespace

void assign_levels(Lowered& lowered, const LevelChoice& choice) {
  plan::Program& program = lowered.program;
  program.parameters = choice.parameters;
  program.input.scale = std::exp2(choice.input_scale_log2);
  program.input.limbs = choice.limbs_in.front();
  const Chain chain = follow(lowered, choice);
  Assigner assigner(lowered, choice, chain);
  for (std::size_t l = 0; l < lowered.stages.size(); ++l) {
    const std::size_t end = l + 1 < lowered.stages.size() ? lowered.stages[l + 1].first : program.instructions.size();
    for (std::size_t i = lowered.stages[l].first; i < end; ++i) {
      assigner.step(program.instructions[i], lowered.stages[l]);
      if (i == lowered.stages[l].last) assigner.refresh(lowered.stages[l]);
    }
  }
  program.output.scale = chain.scale_out.back();
  program.output.limbs = chain.limbs_out.back();
  program.keys = plan::collect_keys(program);
}

}  // namespace brainlock::compiler
