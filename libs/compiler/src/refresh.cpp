#include "refresh.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <iterator>
#include <limits>
#include <numbers>

#include "brainlock/math/modulus.hpp"
#include "refresh_transforms.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

constexpr std::uint32_t kBabies = 8;
// Share of q[0] that the largest coefficient of a message may have: there the sine is 4 per cent off, at a third of it
// half a per cent. At three times it, the sine turns back.
constexpr double kLargestShare = 1.0 / 12;
// Share of q[0] that the rms of a message's coefficients is expected to have.
constexpr double kRmsShare = 1.0 / 216;
// Error of the sine, over its rms, that each of its steps may make.
constexpr double kStepError = 0x1p-10;
constexpr double kLowestScale = 40, kHighestScale = 61;  // log2: constants of absolute value 1 must fit the encoder
// log2 of a step's least factor, as an integer: what is rounded is its scale, not the factor.
constexpr double kStepSlack = 1.2;
constexpr double kGrid = 0.5;         // of planned scales, log2
constexpr double kHighestEnd = 31.5;  // log2 of the sine's own scale behind the last step: about what networks ask for
// Relative to what a layer to slots makes, the rounding of its weights; that of a layer to coefficients, at most, and
// the steps in which the layers behind the first of them are finer: few, so that refreshes have them in common.
constexpr double kFineWeights = 0x1p-28, kPlainWeights = 0x1p-12, kSpareStep = 0.5;
// The factor of a sine's last step, as an integer, is as large as this at least: a refresh's scale is so much at will.
constexpr double kLeastMultiple = 8;
constexpr std::uint32_t kMostLastDrop = 3;
constexpr double kLimbCost = 3;     // bits that a limb more is worth
constexpr int kSmallestPrime = 21;  // log2

// As in level_search.cpp: error of a division with rounding, per real part of a slot.
double rounding_noise(double n) { return std::sqrt(n / 2 * (1 + 2 * n / 3) / 12); }

double log2_of(std::uint32_t prime) { return std::log2(static_cast<double>(prime)); }

/// Primes of one ring, each given away once.
class PrimePool {
 public:
  PrimePool(const std::vector<RefreshRing::Prime>& primes, const std::vector<std::uint32_t>& taken) {
    std::copy_if(primes.begin(), primes.end(), std::back_inserter(primes_), [&](const RefreshRing::Prime& prime) {
      return std::find(taken.begin(), taken.end(), prime.value) == taken.end();
    });
  }
  /// The nearest to 2^bits; 0: there is none.
  std::uint32_t take(double bits) {
    const auto best = std::min_element(primes_.begin(), primes_.end(), [&](const auto& a, const auto& b) {
      return std::fabs(a.log2 - bits) < std::fabs(b.log2 - bits);
    });
    if (best == primes_.end()) return 0;
    const std::uint32_t prime = best->value;
    primes_.erase(best);
    return prime;
  }

 private:
  std::vector<RefreshRing::Prime> primes_;
};

/// log2 of the factor of a step, as the square before it comes: the first as 4 v^2.
double factor_log2(const SineChain& sine, std::size_t step) {
  return std::log2(std::fabs(sine.steps[step].factor) / (step == 0 ? 4 : 1));
}

/// The bits that each step of the sine drops, and as how many primes; and the scales behind them. Least bits, a limb
/// counted as kLimbCost.
struct SineDrops {
  std::vector<double> bits, scale;
  std::vector<std::uint32_t> limbs;
};

std::optional<SineDrops> plan_drops(const SineChain& sine, double start, const std::vector<double>& needs) {
  const std::size_t steps = sine.steps.size();
  const auto states = static_cast<std::size_t>(kHighestScale / kGrid) + 1;
  struct Entry {
    double cost = std::numeric_limits<double>::infinity(), bits = 0;
    std::uint32_t limbs = 0;
    std::size_t from = 0;
  };
  std::vector<std::vector<Entry>> table(steps + 1, std::vector<Entry>(states));
  const auto first = static_cast<std::size_t>(start / kGrid);
  if (first >= states) return std::nullopt;
  table[0][first].cost = 0;
  for (std::size_t k = 0; k < steps; ++k) {
    const double factor = factor_log2(sine, k);
    for (std::size_t s = 0; s < states; ++s) {
      if (!std::isfinite(table[k][s].cost)) continue;
      for (std::uint32_t limbs = 1; limbs <= 3; ++limbs) {
        const double fewest = limbs == 1 ? 29.5 : 23.5 * limbs, most = 29.8 * limbs;
        const auto choices = static_cast<int>((most - fewest) / kGrid);  // beyond the fewest bits
        for (int i = 0; i <= choices; ++i) {
          const double bits = fewest + kGrid * i;
          const double least = std::max(2 * kGrid * static_cast<double>(s) - bits + kStepSlack - factor, needs[k]);
          const auto to = static_cast<std::size_t>(std::ceil(least / kGrid));
          if (least < 0 || to >= states) continue;
          const double cost = table[k][s].cost + bits + kLimbCost * limbs;
          if (cost < table[k + 1][to].cost) table[k + 1][to] = {cost, bits, limbs, s};
        }
      }
    }
  }
  std::size_t best = 0;
  for (std::size_t s = 0; s <= static_cast<std::size_t>(kHighestEnd / kGrid); ++s)
    if (table[steps][s].cost < table[steps][best].cost) best = s;
  if (!std::isfinite(table[steps][best].cost)) return std::nullopt;
  SineDrops out{std::vector<double>(steps), std::vector<double>(steps), std::vector<std::uint32_t>(steps)};
  for (std::size_t k = steps, s = best; k-- > 0; s = table[k + 1][s].from) {
    out.bits[k] = table[k + 1][s].bits;
    out.limbs[k] = table[k + 1][s].limbs;
    out.scale[k] = kGrid * static_cast<double>(s);
  }
  return out;
}

/// Of the sines of messages as large as is expected.
double sine_rms() { return 2 * std::numbers::pi * kRmsShare; }

double unitary(std::uint32_t slots) { return std::sqrt(static_cast<double>(slots)); }

/// One sine, in values that are raised at this scale; and the scale at which a sine is so much.
double value_units(const RefreshChain& chain, double raise_scale) {
  return chain.q0() * unitary(chain.slots()) / (2 * std::numbers::pi * raise_scale);
}
double raise_scale_of(const RefreshChain& chain, double units) { return value_units(chain, units); }

/// log2 of the scale of a raised message, whose units are such that the transform ends with turn * x.
double raised_scale_log2(const RefreshChain& chain) {
  return std::log2(chain.q0() * unitary(chain.slots()) / chain.sine.turn);
}

/// Scales behind the layers to slots, each of which drops one prime of q_bits. Returns the last: of the sine's
/// argument.
double plan_transforms(RefreshChain& chain, const RefreshRing& ring, int q_bits, double least) {
  double scale = raised_scale_log2(chain);
  for (const double weights_log2 : ring.to_slots_log2) {
    scale = std::max(scale + weights_log2 - q_bits, kLowestScale);
    chain.transform_scale_log2.push_back(scale);
  }
  return chain.transform_scale_log2.back() = std::clamp(scale, least, kHighestScale - 1);
}

/// The primes that each step of the sine drops, and the factor as an integer that brings it near its planned scale.
/// False: there are no such primes.
bool take_sine_primes(RefreshChain& chain, const SineDrops& drops, double scale, PrimePool& pool,
                      std::vector<std::vector<std::uint32_t>>& primes) {
  for (std::size_t k = 0; k < drops.bits.size(); ++k) {
    primes.emplace_back();
    double dropped = 0;
    for (std::uint32_t i = drops.limbs[k]; i > 0; --i) {
      primes[k].push_back(pool.take((drops.bits[k] - dropped) / i));
      if (primes[k].back() == 0) return false;
      dropped += log2_of(primes[k].back());
    }
    scale = 2 * scale - dropped - factor_log2(chain.sine, k);  // of a factor 1
    chain.sine_drop.push_back(drops.limbs[k]);
    chain.sine_multiple.push_back(std::max(1.0, std::round(std::exp2(drops.scale[k] - scale))));
    scale += std::log2(chain.sine_multiple.back());
    chain.sine_scale_log2.push_back(scale);
  }
  chain.sine_multiple.pop_back();  // the last step ends where a refresh asks for it
  chain.sine_scale_log2.pop_back();
  return true;
}

double square(double x) { return x * x; }

/// See RefreshChain::error.
double error_of(const RefreshChain& chain) {
  const double noise = rounding_noise(chain.parameters.ring_degree),
               deviation = multiple_deviation(chain.parameters.ring_degree);
  double variance =
      square(chain.sine.error) + square(noise * chain.sine.input_gain / std::exp2(chain.transform_scale_log2.back()));
  variance +=
      static_cast<double>(chain.transform_scale_log2.size()) * square(2 * std::numbers::pi * deviation * kFineWeights);
  return std::sqrt(variance);
}

double step_error_of(const RefreshChain& chain) {
  const double noise = rounding_noise(chain.parameters.ring_degree);
  double variance = 0;
  for (std::size_t k = 0; k + 1 < chain.sine.steps.size(); ++k)
    variance += square(noise * chain.sine.steps[k].noise_gain / std::exp2(chain.sine_scale_log2[k]));
  return std::sqrt(variance);
}

double product_of_primes(const RefreshChain& chain, std::uint32_t first, std::uint32_t last) {
  double product = 1;
  for (std::uint32_t i = first; i < last; ++i) product *= chain.parameters.q[i];
  return product;
}

/// Bits that the weights of each layer to coefficients have beyond the least.
double spare_bits(const RefreshChain& chain, std::uint32_t limbs_in, double scale_in, double raise_scale) {
  double bits = std::log2(raise_scale * product_of_primes(chain, 1, limbs_in) / scale_in);
  for (const double least : chain.weights_log2) bits -= least;
  return bits / static_cast<double>(chain.weights_log2.size());
}

}  // namespace

RefreshRing make_refresh_ring(std::uint32_t ring_degree) {
  RefreshRing ring;
  ring.ring_degree = ring_degree;
  for (std::uint64_t candidate = 2ULL * ring_degree + 1; candidate < (1ULL << 30); candidate += 2ULL * ring_degree) {
    const auto prime = static_cast<std::uint32_t>(candidate);
    if (candidate > (1ULL << kSmallestPrime) && math::is_prime(candidate)) ring.primes.push_back({prime, log2_of(prime)});
  }
  ring.sine = make_sine_chain(ring_degree);
  const auto structure = [&](Direction direction) {
    return make_transform(direction, ring_degree / 2, kBabies, TransformDepth::kStructure);
  };
  for (const plan::Linear& layer : structure(Direction::kCoefficientsToSlots))
    ring.to_slots_log2.push_back(std::log2(transform_weight_noise(layer) / kFineWeights));
  for (const plan::Linear& layer : structure(Direction::kSlotsToCoefficients))
    ring.to_coefficients_log2.push_back(std::log2(transform_weight_noise(layer) / kPlainWeights));
  return ring;
}

std::optional<RefreshChain> make_refresh_chain(const RefreshRing& ring, const RefreshShape& shape, std::uint32_t network_limbs) {
  RefreshChain chain;
  chain.network_limbs = network_limbs;
  chain.sine = ring.sine;
  chain.weights_log2 = ring.to_coefficients_log2;
  plan::ParameterChoice& parameters = chain.parameters;
  parameters.ring_degree = ring.ring_degree;
  parameters.digit_limbs = static_cast<std::uint32_t>(shape.digit_limbs);
  parameters.p = math::ntt_primes(30, shape.p_limbs, ring.ring_degree);
  if (parameters.p.size() != static_cast<std::size_t>(shape.p_limbs)) return std::nullopt;
  PrimePool pool(ring.primes, parameters.p);
  parameters.q.push_back(pool.take(30));

  const double noise = rounding_noise(ring.ring_degree),
               step_error = std::exp2(-shape.finer) * kStepError * sine_rms();
  const double scale = plan_transforms(chain, ring, shape.q_bits, std::log2(noise * chain.sine.input_gain / step_error));
  std::vector<double> needs;
  for (const SineStep& step : chain.sine.steps)
    needs.push_back(std::min(kHighestScale - 1, std::log2(noise * step.noise_gain / step_error)));
  const auto drops = plan_drops(chain.sine, scale, needs);
  // Primes are taken in the order of their sizes' scarcity: the sine's first.
  std::vector<std::vector<std::uint32_t>> sine_primes;
  if (!drops || !take_sine_primes(chain, *drops, scale, pool, sine_primes)) return std::nullopt;
  for (std::uint32_t i = 1; i < network_limbs; ++i) parameters.q.push_back(pool.take(shape.q_bits));
  for (auto primes = sine_primes.rbegin(); primes != sine_primes.rend(); ++primes)
    parameters.q.insert(parameters.q.end(), primes->begin(), primes->end());
  for (std::size_t i = 0; i < chain.transform_scale_log2.size(); ++i) parameters.q.push_back(pool.take(shape.q_bits));
  for (const auto* primes : {&parameters.q, &parameters.p})
    for (const std::uint32_t prime : *primes) {
      if (prime == 0) return std::nullopt;
      chain.log_qp += log2_of(prime);
    }
  chain.error = error_of(chain);
  chain.step_error = step_error_of(chain);
  return chain;
}

namespace {

/// A value's difference from its sine, of rms kBent rms^3 / units^2 for Gaussian ones.
const double kBent = std::sqrt(15.0) / 6;

/// Of what is added to sines. A step's error has an imaginary part as large as its real one: with two sines it ends in
/// the other one.
double sine_error(const RefreshChain& chain, bool real) {
  return std::hypot(chain.error, (real ? 1 : std::numbers::sqrt2) * chain.step_error);
}

/// What one sine should be, in values: where what the sine bends and what is added to it are least, together.
double best_units(const RefreshChain& chain, const Refresh& refresh) {
  const double bent = kBent * refresh.rms * refresh.rms * refresh.rms;
  return std::max(std::cbrt(std::numbers::sqrt2 * bent / sine_error(chain, refresh.real)),
                  refresh.largest / (2 * std::numbers::pi * kLargestShare));
}

}  // namespace

std::optional<RefreshEnd> refresh_end(const RefreshChain& chain, const Refresh& refresh) {
  const double units = best_units(chain, refresh);
  const double factor = std::fabs(chain.sine.steps.back().factor),
               squared = std::exp2(2 * chain.sine_scale_log2.back());
  for (RefreshEnd end{1, 0, 0}; end.drop <= kMostLastDrop; ++end.drop) {
    const std::uint32_t begin = refresh.limbs + end.drop;
    if (begin > chain.network_limbs + chain.sine_drop.back()) break;
    const double one =
        squared / (factor * refresh.scale * product_of_primes(chain, refresh.limbs, begin));  // units of a factor 1
    end.multiple = std::round(units / one);
    if (end.multiple < kLeastMultiple) continue;
    end.raise_scale = raise_scale_of(chain, end.multiple * one);
    return end;
  }
  return std::nullopt;
}

double refresh_scale_in_log2(const RefreshChain& chain, const RefreshEnd& end, std::uint32_t limbs_in, double spare) {
  double bits = std::log2(end.raise_scale * product_of_primes(chain, 1, limbs_in));
  for (const double least : chain.weights_log2) bits -= least + spare;
  return bits;
}

RefreshNoise::RefreshNoise(const RefreshChain& chain, const RefreshEnd& end, const Refresh& refresh)
    : chain_(chain), raise_scale_(end.raise_scale), rms_(refresh.rms) {
  const double n = chain.parameters.ring_degree, units = value_units(chain, end.raise_scale);
  const double bent = kBent * square(refresh.rms / units) * refresh.rms, sine = units * sine_error(chain, refresh.real);
  behind_ = std::hypot(bent, sine);
  weights_ = std::sqrt(static_cast<double>(chain.weights_log2.size())) * kPlainWeights;
  rounding_ = rounding_noise(n) * std::hypot(1 / end.raise_scale, 1 / refresh.scale);
}

double RefreshNoise::of(std::uint32_t limbs_in, double scale_in) const {
  return std::hypot(behind_, weights_ * std::exp2(-spare_bits(chain_, limbs_in, scale_in, raise_scale_)) * rms_, rounding_);
}

namespace {

class RefreshWriter {
 public:
  RefreshWriter(const RefreshChain& chain, const RefreshTransforms& transforms, const Refresh& refresh,
                const std::string& layer, std::uint32_t& register_count)
      : chain_(chain),
        transforms_(transforms),
        refresh_(refresh),
        end_(*refresh_end(chain, refresh)),
        layer_(layer),
        next_(register_count) {}

  std::vector<plan::Instruction> write(plan::Register in, plan::Register out) {
    limbs_ = refresh_.limbs_in;
    scale_ = refresh_.scale_in;
    const plan::Register coefficients = to_coefficients(in), raised = fresh();
    emit(plan::Raise{coefficients, raised, refresh_.limit}, chain_.top(), std::exp2(raised_scale_log2(chain_)));
    sine(to_slots(raised), out);
    return std::move(instructions_);
  }

 private:
  plan::Register fresh() { return next_++; }
  template <typename Op>
  void emit(Op op, std::uint32_t limbs_out, double scale_out) {
    instructions_.push_back({std::move(op), layer_, limbs_, limbs_out, scale_, scale_out});
    limbs_ = limbs_out;
    scale_ = scale_out;
  }
  static plan::SlotVector constant(Complex value) { return plan::SlotVector::precise({&value, 1}); }

  /// One layer of a transform.
  plan::Register apply(plan::Linear layer, plan::Register in, std::uint32_t drop, double scale_out,
                       plan::SlotVector bias, const char* name) {
    const plan::Register lifted = fresh(), out = fresh();
    emit(plan::Split{in, {lifted}}, limbs_, scale_);
    layer.name = name;
    layer.inputs = {lifted};
    layer.outputs[0].out = out;
    layer.outputs[0].bias = std::move(bias);
    layer.weight_scale = scale_out * product_of_primes(chain_, limbs_ - drop, limbs_) / scale_;
    emit(std::move(layer), limbs_ - drop, scale_out);
    return out;
  }

  /// The last layers drop a prime each. Those behind the first have weights that many refreshes have, too; the first
  /// takes what scale is left.
  plan::Register to_coefficients(plan::Register in) {
    const std::vector<plan::Linear>& layers = transforms_.to_coefficients;
    const std::size_t plain = layers.size() + 1 - limbs_;  // that drop nothing
    const double spare = kSpareStep * std::floor(spare_bits(chain_, refresh_.limbs_in, refresh_.scale_in, end_.raise_scale) / kSpareStep);
    std::vector<double> scales(layers.size(), end_.raise_scale);  // behind each layer
    for (std::size_t i = layers.size() - 1; i > 0; --i) {
      const auto limbs = static_cast<std::uint32_t>(layers.size() - i);  // that remain
      scales[i - 1] = scales[i] * (i < plain ? 1 : product_of_primes(chain_, limbs, limbs + 1)) /
                      std::exp2(chain_.weights_log2[i] + spare);
    }
    for (std::size_t i = 0; i < layers.size(); ++i)
      in = apply(layers[i], in, i < plain ? 0 : 1, scales[i], {}, "slots to coefficients");
    return in;
  }

  /// Slots turn (x_k - 1/4) + i turn (x_(n+k) - 1/4) of a raised message.
  plan::Register to_slots(plan::Register in) {
    const std::vector<plan::Linear>& layers = transforms_.to_slots;
    const double shift = -chain_.sine.turn / 4;
    for (std::size_t i = 0; i < layers.size(); ++i)
      in = apply(layers[i], in, 1, std::exp2(chain_.transform_scale_log2[i]),
                 i + 1 == layers.size() ? constant({shift, shift}) : plan::SlotVector{}, "coefficients to slots");
    return in;
  }

  /// What comes before step k, squared: one register for each part.
  std::vector<plan::Register> squares(const std::vector<plan::Register>& parts, std::size_t k) {
    std::vector<plan::Register> out;
    const double before = scale_;
    for (const plan::Register part : parts) {
      plan::Square square{part, {fresh()}, k == 0 && refresh_.real};
      if (k == 0 && !refresh_.real) square.out.push_back(fresh());
      out.insert(out.end(), square.out.begin(), square.out.end());
      scale_ = before;
      emit(std::move(square), limbs_, before * before);
    }
    return out;
  }

  /// The last step ends with fewer limbs where the refresh does.
  void drop_to(std::uint32_t limbs, std::vector<plan::Register>& registers) {
    if (limbs == limbs_) return;
    const std::uint32_t before = limbs_;
    for (plan::Register& r : registers) {
      limbs_ = before;
      const plan::Register dropped = fresh();
      emit(plan::Drop{r, dropped}, limbs, scale_);
      r = dropped;
    }
  }

  /// The real part of `in` to its sine, or both parts side by side; the last step ends in units of the values, and puts
  /// both parts together.
  void sine(plan::Register in, plan::Register out) {
    const std::size_t steps = chain_.sine.steps.size();
    const double units = value_units(chain_, end_.raise_scale);
    std::vector<plan::Register> parts{in};
    for (std::size_t k = 0; k < steps; ++k) {
      std::vector<plan::Register> squared = squares(parts, k);
      const bool last = k + 1 == steps;
      const SineStep& step = chain_.sine.steps[k];
      if (last) drop_to(refresh_.limbs + end_.drop, squared);
      const double factor = step.factor * (last ? units : 1) / (k == 0 ? 4 : 1);
      const double constant_part = step.constant * (last ? units : 1);
      const std::uint32_t limbs_out = last ? refresh_.limbs : limbs_ - chain_.sine_drop[k];
      plan::Linear linear;
      linear.name = "sine";
      linear.inputs = squared;
      linear.period = 1;
      linear.weight_scale = (last ? end_.multiple : chain_.sine_multiple[k]) / std::fabs(factor);
      for (std::uint32_t i = 0; i < squared.size(); ++i) {
        linear.columns.push_back({i, 0});
        // The imaginary part's first square comes as -4 v^2.
        const Complex weight = i == 0 ? Complex(factor)
                               : last ? Complex(0, factor)
                                      : Complex(k == 0 ? -factor : factor);
        linear.vectors.push_back(constant(weight));
      }
      parts.clear();
      if (last && squared.size() == 2) {
        linear.outputs.push_back({out, {0, 1}, 1, {0, 1}, constant({constant_part, constant_part})});
      } else {
        for (std::uint32_t i = 0; i < squared.size(); ++i) {
          parts.push_back(last ? out : fresh());
          linear.outputs.push_back({parts.back(), {i}, 1, {static_cast<std::int32_t>(i)}, constant(constant_part)});
        }
      }
      const double scale_out = scale_ * linear.weight_scale / product_of_primes(chain_, limbs_out, limbs_);
      emit(std::move(linear), limbs_out, last ? refresh_.scale : scale_out);
    }
  }

  const RefreshChain& chain_;
  const RefreshTransforms& transforms_;
  const Refresh& refresh_;
  const RefreshEnd end_;
  const std::string& layer_;
  std::uint32_t& next_;
  std::uint32_t limbs_ = 0;
  double scale_ = 0;
  std::vector<plan::Instruction> instructions_;
};

}  // namespace

RefreshTransforms make_refresh_transforms(std::uint32_t ring_degree, TransformDepth depth) {
  return {make_transform(Direction::kSlotsToCoefficients, ring_degree / 2, kBabies, depth),
          make_transform(Direction::kCoefficientsToSlots, ring_degree / 2, kBabies, depth)};
}

double refresh_plan_bytes(std::uint32_t ring_degree) {
  double values = 0;
  const RefreshTransforms transforms = make_refresh_transforms(ring_degree, TransformDepth::kStructure);
  for (const plan::Linear& layer : transforms.to_slots)
    values += 2.0 * static_cast<double>(layer.vectors.size()) * layer.period;  // and rests
  for (const plan::Linear& layer : transforms.to_coefficients)
    values += static_cast<double>(layer.vectors.size()) * layer.period;
  return values * sizeof(std::complex<float>);
}

std::vector<plan::Instruction> make_refresh(const RefreshChain& chain, const RefreshTransforms& transforms,
                                            const Refresh& refresh, plan::Register in, plan::Register out,
                                            const std::string& layer, std::uint32_t& register_count) {
  return RefreshWriter(chain, transforms, refresh, layer, register_count).write(in, out);
}

}  // namespace brainlock::compiler
