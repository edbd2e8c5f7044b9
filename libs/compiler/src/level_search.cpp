#include "level_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace brainlock::compiler {
namespace {

constexpr double kSigma = 3.2;         // of fresh errors
constexpr double kLowestScale = 12.0;  // log2; below this nothing is left of the message
constexpr double kHighestInputScale = 45.0;
constexpr double kLargestNoise = 0.125;       // of a stage's output, relative to its rms
constexpr double kScaleBucket = 0.25;         // states closer than this are one state
constexpr double kWorthRefreshing = 0.7;      // share of the error's variance that more refreshes have to save
constexpr std::uint32_t kMostRefreshed = 24;  // ciphertexts: each takes some 30 MB of a plan, which may have 1 GiB
// Bits that weights of layers to coefficients may have beyond the least, each.
constexpr int kMostSpare = 6;
// Weights, and masks, are rounded to 2^-5 .. 2^-13 of a stage's output: this many half bits.
constexpr int kLeastHalfBits = 10, kMostHalfBits = 26;

// Error of a division with rounding (rescale, ModDown), per real part of a slot: coefficients of (c0, c1) are off by up
// to 1/2, times (1, s) with s uniform ternary; the slots of such a polynomial have sqrt(N) times its deviation.
double rounding_noise(double n) { return std::sqrt(n / 2 * (1 + 2 * n / 3) / 12); }

// Error of one key switching after its division by P, per real part: digits are uniform in +-2^(bits-1).
double switching_noise(double n, double digits, double digit_bits, double p_bits) {
  const double coefficient = std::sqrt(digits * n / 12) * kSigma * std::exp2(digit_bits - p_bits);
  return coefficient * std::sqrt(n / 2);
}

double square(double x) { return x * x; }

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

struct Decision : LevelDecision {
  std::size_t later = kNone;  // the next stage's, among the decisions of the search
};

struct State {
  double scale = 0;         // log2 of the output scale of the current stage
  std::uint32_t limbs = 0;  // ciphertext limbs after the current stage
  double error = 0;         // variance of the final output from everything after this stage
  double cost = 0;
  std::uint32_t refreshed = 0;  // ciphertexts after this stage
  Decision decision;            // of the stage after this one; its `later` leads to those behind it
};

/// By scale (about) and limbs: the most exact of those that refresh as much, if it is far more exact than all that
/// refresh less.
class KeptStates {
 public:
  explicit KeptStates(std::uint32_t most_limbs) : rows_(most_limbs + 1), buckets_(rows_ * kColumns) {}

  void clear() {
    for (Bucket& bucket : buckets_) {
      bucket.error = std::numeric_limits<double>::infinity();
      bucket.alike.clear();
    }
  }

  /// Whether a state would not be kept: nor would any with a larger error.
  [[nodiscard]] bool beaten(double scale, std::uint32_t limbs, std::uint32_t refreshed, double error) const {
    const Bucket& bucket = buckets_[place(scale, limbs)];
    return beats(bucket.refreshed, bucket.error, refreshed, error) ||
           std::any_of(bucket.alike.begin(), bucket.alike.end(),
                       [&](const State& s) { return beats(s.refreshed, s.error, refreshed, error); });
  }

  void keep(const State& next) {
    if (beaten(next.scale, next.limbs, next.refreshed, next.error)) return;
    Bucket& bucket = buckets_[place(next.scale, next.limbs)];
    std::erase_if(bucket.alike,
                  [&](const State& s) { return beats(next.refreshed, next.error, s.refreshed, s.error); });
    bucket.alike.push_back(next);
    bucket.refreshed = bucket.alike.front().refreshed;
    bucket.error = bucket.alike.front().error;
  }

  /// By scale, then by limbs.
  [[nodiscard]] std::vector<State> all() const {
    std::vector<State> out;
    for (std::size_t column = 0; column < kColumns; ++column)
      for (std::size_t row = 0; row < rows_; ++row) {
        const std::vector<State>& alike = buckets_[row * kColumns + column].alike;
        out.insert(out.end(), alike.begin(), alike.end());
      }
    return out;
  }

 private:
  static constexpr std::size_t kColumns = static_cast<std::size_t>(kHighestScale / kScaleBucket) + 1;
  struct Bucket {
    std::uint32_t refreshed = 0;  // of the first of them, which beats most that come, in the same line of the cache
    double error = std::numeric_limits<double>::infinity();
    std::vector<State> alike;
  };
  // Roundings of one state's weights lead to neighbours in memory.
  static std::size_t place(double scale, std::uint32_t limbs) {
    return limbs * kColumns + static_cast<std::size_t>(scale / kScaleBucket);
  }
  static bool beats(std::uint32_t a_refreshed, double a_error, std::uint32_t b_refreshed, double b_error) {
    return a_refreshed == b_refreshed ? a_error <= b_error
                                      : a_refreshed < b_refreshed && a_error * kWorthRefreshing <= b_error;
  }

  std::size_t rows_;
  std::vector<Bucket> buckets_;
};

class Search {
 public:
  Search(const LevelRequest& request, LevelShape shape, const RefreshChain* chain)
      : request_(request),
        shape_(shape),
        chain_(chain),
        n_(request.ring_degree),
        rounding_(rounding_noise(n_)),
        max_limbs_(chain != nullptr ? chain->network_limbs : shape.most_limbs(request.max_log_qp)),
        kept_(max_limbs_) {
    for (std::uint32_t limbs = 0; limbs <= max_limbs_; ++limbs) conjugation_.push_back(conjugation_noise(limbs));
    // Every stage on the way back to the input, or to a value that can be refreshed, drops a limb at least.
    std::uint32_t stages = 0;
    for (const StageNeeds& needs : request.stages) {
      if (chain != nullptr && needs.refresh_ciphertexts != 0) stages = 0;
      most_limbs_.push_back(max_limbs_ - std::min(max_limbs_, stages++));
    }
  }

  std::optional<LevelPath> run() {
    const std::size_t last = request_.stages.size() - 1;
    const double head = std::log2(request_.stages[last].out_max) + 2;  // sign and a factor of two to spare
    // One limb holds the answer, or a few where its numbers are large.
    State start;
    start.limbs = 1;
    while (start.limbs < kMostLastLimbs && start.limbs * shape_.q_bits - head < kLowestScale) ++start.limbs;
    start.scale = std::min(start.limbs * shape_.q_bits - head, kHighestScale);
    if (start.scale < kLowestScale || start.limbs > most_limbs_[last]) return std::nullopt;
    start.error = own_noise(last, std::exp2(start.scale), start.limbs);
    std::vector<State> states{start};
    for (std::size_t l = last; l > 0; --l) {
      states = step_back(states, l);
      if (states.empty()) return std::nullopt;
    }
    State chosen;
    if (!finish(states, chosen)) return std::nullopt;
    LevelPath path{{}, chosen.limbs, chosen.scale, chosen.error, chosen.refreshed};
    for (Decision d = chosen.decision;; d = decisions_[d.later]) {
      path.decisions.push_back(d);
      if (d.later == kNone) return path;
    }
  }

 private:
  // Noise that stage l adds to its own output by rescaling (and, if it is squared next, by the conjugation).
  double own_noise(std::size_t l, double scale, std::uint32_t limbs) const {
    double variance = square(rounding_ / scale);
    if (l + 1 < request_.stages.size()) variance += square(conjugation_[limbs] / 2 / scale);
    return variance * request_.stages[l].later_gain;
  }
  double conjugation_noise(std::uint32_t limbs) const {
    const double digits = std::ceil(static_cast<double>(limbs) / shape_.digit_limbs);
    const double bits = std::min<double>(limbs, shape_.digit_limbs) * shape_.q_bits;
    return switching_noise(n_, digits, bits, 30.0 * shape_.p_limbs) + rounding_;
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
  // Candidate roundings of stage l's weights, and of its masks: relative errors of either at its output.
  std::vector<Rounding> roundings(std::size_t l) const {
    std::vector<Rounding> options;
    const StageNeeds& s = request_.stages[l];
    for (int half_bits = kLeastHalfBits; half_bits <= kMostHalfBits; ++half_bits) {
      const double error = std::exp2(-0.5 * half_bits);
      const double bits = std::log2(s.weight_noise / (error * s.out_rms));
      if (s.mask_noise == 0) {
        options.push_back({bits, 0, weight_variance(l, bits)});
        continue;
      }
      const double mask = std::log2(s.mask_noise / (error * s.out_rms));
      options.push_back({bits, mask, weight_variance(l, bits) + square(s.mask_noise / std::exp2(mask)) * s.mask_gain});
    }
    return options;
  }

  // From states after stage l to states after stage l - 1: chooses the drop and weight rounding of stage l.
  std::vector<State> step_back(const std::vector<State>& states, std::size_t l) {
    kept_.clear();
    const std::vector<Rounding> options = roundings(l);
    const bool plain = request_.stages[l].plain;
    const double rms = request_.stages[l - 1].out_rms, head = std::log2(request_.stages[l - 1].out_max) + 2;
    for (const State& state : states)
      for (std::uint32_t drop = 1; drop <= 3; ++drop) {
        const std::uint32_t limbs = state.limbs + drop;
        if (limbs > most_limbs_[l - 1]) break;
        const double before_weights = state.scale + drop * shape_.q_bits, cost = state.cost + stage_cost(l, limbs);
        for (const Rounding& w : options) {
          const double product = before_weights - w.bits();  // of what the stage reads
          const double scale = plain ? product : product / 2;
          if (scale < kLowestScale || scale > kHighestScale) continue;
          // The values before this stage's rescale must fit its modulus, and so must the previous stage's output.
          if (scale + head > limbs * shape_.q_bits) continue;
          const double error = state.error + w.variance;
          if (kept_.beaten(scale, limbs, state.refreshed, error)) continue;  // without what is dear to compute
          // Squares turn noise into a bias once it is no longer small beside the value.
          const double factor = std::exp2(scale);
          if (rounding_ / factor > kLargestNoise * rms) continue;
          kept_.keep({scale,
                      limbs,
                      error + own_noise(l - 1, factor, limbs),
                      cost,
                      state.refreshed,
                      {{drop, w.weight_bits, w.mask_bits, {}}, later(states, state)}});
        }
      }
    if (chain_ != nullptr && request_.stages[l - 1].refresh_ciphertexts != 0)
      for (const State& state : kept_.all()) refresh_before(state, l - 1);
    std::vector<State> out = kept_.all();
    first_ = decisions_.size();
    for (const State& state : out) decisions_.push_back(state.decision);
    return out;
  }

  // Keeps what the value of rank l may be before the refresh that makes `state` of it.
  void refresh_before(const State& state, std::size_t l) {
    const StageNeeds& value = request_.stages[l];
    const std::uint32_t refreshed = state.refreshed + value.refresh_ciphertexts;
    if (refreshed > kMostRefreshed) return;
    const Refresh refresh = refresh_of(value, state.limbs, state.scale);
    const auto end = refresh_end(*chain_, refresh);
    if (!end) return;
    const RefreshNoise noise(*chain_, *end, refresh);
    const double head = std::log2(value.out_max) + 2;
    for (std::uint32_t limbs = chain_->least_limbs_in(); limbs <= std::min(chain_->most_limbs_in(), max_limbs_);
         ++limbs)
      for (int spare = 0; spare <= kMostSpare; ++spare) {
        const double scale = refresh_scale_in_log2(*chain_, *end, limbs, spare);
        if (scale < kLowestScale || scale > kHighestScale || scale + head > limbs * shape_.q_bits) continue;
        if (kept_.beaten(scale, limbs, refreshed, state.error)) continue;  // without what is dear to compute
        const double factor = std::exp2(scale);
        if (rounding_ / factor > kLargestNoise * value.out_rms) continue;
        State before = state;
        before.scale = scale;
        before.limbs = limbs;
        before.decision.refreshed = {state.limbs, state.scale};
        before.refreshed = refreshed;
        before.error +=
            square(noise.of(limbs, factor)) * value.read_share * value.later_gain + own_noise(l, factor, limbs);
        kept_.keep(before);
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
          if (input_scale < kLowestScale || input_scale > kHighestInputScale) continue;
          // Fresh noise, and the hoisted rotations (and conjugation) at the input's own, small scale: each rotation
          // also rounds c1 / P.
          const double switching = conjugation_[limbs] - rounding_;
          const double decomposing = std::sqrt(n_ / 2 * (2 * n_ / 3) / 12);
          const double noise = (square(kSigma * std::sqrt(n_ / 2)) +
                                square(switching) * (request_.split_input ? 1.5 : 1.0) + square(decomposing)) /
                               square(std::exp2(input_scale));
          next.error += w.variance + noise * request_.input_gain;
          if (drop == 0) next.error -= square(rounding_ / std::exp2(state.scale)) * request_.stages[0].later_gain * 0.5;
          next.scale = input_scale;
          next.limbs = limbs;
          next.cost += stage_cost(0, limbs);
          next.decision = {{drop, w.weight_bits, w.mask_bits, {}}, later(states, state)};
          const bool good = next.error <= target;
          // Where none is good enough: the most exact one, unless it refreshes far more.
          const auto badness = [](const State& s) { return s.error * square(1.0 + s.refreshed); };
          const bool better = !found || (good && !found_good) ||
                              (good == found_good &&
                               (good ? std::pair(next.refreshed, next.cost) < std::pair(chosen.refreshed, chosen.cost)
                                     : badness(next) < badness(chosen)));
          if (better) chosen = next;
          found = true;
          found_good |= good;
        }
      }
    return found;
  }

  const LevelRequest& request_;
  LevelShape shape_;
  const RefreshChain* chain_;
  double n_, rounding_;
  std::uint32_t max_limbs_;
  std::vector<std::uint32_t> most_limbs_;  // after each stage: with more there is no way back to the input
  std::vector<double> conjugation_;        // noise, by limbs
  std::vector<Decision> decisions_;        // of all states kept so far
  std::size_t first_ = kNone;              // of those of the last states
  KeptStates kept_;
};

}  // namespace

Refresh refresh_of(const StageNeeds& value, std::uint32_t limbs, double scale_log2) {
  Refresh refresh;
  refresh.limbs = limbs;
  refresh.scale = std::exp2(scale_log2);
  refresh.largest = value.refresh_largest;
  refresh.rms = value.out_rms;
  refresh.real = value.refresh_real;
  return refresh;
}

std::optional<LevelPath> find_levels(const LevelRequest& request, LevelShape shape, const RefreshChain* chain) {
  return Search(request, shape, chain).run();
}

}  // namespace brainlock::compiler
