#include "refresh.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

#include "brainlock/math/modulus.hpp"
#include "refresh_transforms.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

constexpr std::uint32_t kBabies = 8;
// Largest share of q[0] that a coefficient of the message is provided with: there the sine is 4 per cent off, at a
// third of it half a per cent. At three times it, the sine turns back.
constexpr double kLargestShare = 1.0 / 12;
// What largest coefficients come to in standard deviations (a Gaussian's over 2^16 of them, and their margin).
constexpr double kShareDeviations = 18;
// Error of the sine, over its rms, that each of its steps may make.
constexpr double kStepError = 0x1p-12;
constexpr double kLowestScale = 40, kHighestScale = 61;  // log2: constants of absolute value 1 must fit the encoder
// log2 of a step's least factor, as an integer: what is rounded is its scale, not the factor.
constexpr double kStepSlack = 1.2;
constexpr double kGrid = 0.5;  // of planned scales, log2
// Relative to what a layer to coefficients makes, the rounding of its weights; that of a layer to slots, and by how
// many bits more the layers to slots behind the first are rounded where there is room.
constexpr double kFineWeights = 0x1p-28, kPlainWeights = 0x1p-12, kSpareWeightsLog2 = 4;
constexpr double kLimbCost = 3;     // bits that a limb more is worth
constexpr int kSmallestPrime = 21;  // log2

// As in levels.cpp: error of a division with rounding, per real part of a slot.
double rounding_noise(double n) { return std::sqrt(n / 2 * (1 + 2 * n / 3) / 12); }

double log2_of(std::uint32_t prime) { return std::log2(static_cast<double>(prime)); }

/// Primes of one ring, each given away once.
class PrimePool {
 public:
  PrimePool(std::uint32_t ring_degree, const std::vector<std::uint32_t>& taken) {
    for (std::uint64_t candidate = 2ULL * ring_degree + 1; candidate < (1ULL << 30); candidate += 2ULL * ring_degree)
      if (candidate > (1ULL << kSmallestPrime) && math::is_prime(candidate) &&
          std::find(taken.begin(), taken.end(), static_cast<std::uint32_t>(candidate)) == taken.end())
        primes_.push_back(static_cast<std::uint32_t>(candidate));
  }
  /// The nearest to 2^bits; 0: there is none.
  std::uint32_t take(double bits) {
    std::size_t best = primes_.size();
    for (std::size_t i = 0; i < primes_.size(); ++i)
      if (best == primes_.size() || std::fabs(log2_of(primes_[i]) - bits) < std::fabs(log2_of(primes_[best]) - bits))
        best = i;
    if (best == primes_.size()) return 0;
    const std::uint32_t prime = primes_[best];
    primes_.erase(primes_.begin() + static_cast<std::ptrdiff_t>(best));
    return prime;
  }

 private:
  std::vector<std::uint32_t> primes_;
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
  for (std::size_t k = 0; k < steps; ++k)
    for (std::size_t s = 0; s < states; ++s) {
      if (!std::isfinite(table[k][s].cost)) continue;
      for (std::uint32_t limbs = 1; limbs <= 3; ++limbs)
        for (double bits = limbs == 1 ? 29.5 : 23.5 * limbs; bits <= 29.8 * limbs; bits += kGrid) {
          const double least =
              std::max(2 * kGrid * static_cast<double>(s) - bits + kStepSlack - factor_log2(sine, k), needs[k]);
          const auto to = static_cast<std::size_t>(std::ceil(least / kGrid));
          if (least < 0 || to >= states) continue;
          const double cost = table[k][s].cost + bits + kLimbCost * limbs;
          if (cost < table[k + 1][to].cost) table[k + 1][to] = {cost, bits, limbs, s};
        }
    }
  std::size_t best = 0;
  for (std::size_t s = 0; s < states; ++s)
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

std::vector<plan::Linear> structure_of(Direction direction, std::uint32_t slots) {
  return make_transform(direction, slots, kBabies, TransformDepth::kStructure);
}

/// The rms of the sine for messages whose largest coefficients take kLargestShare.
double sine_rms() { return 2 * std::numbers::pi * kLargestShare / kShareDeviations; }

/// log2 of the product of the weight scales that layers to slots need.
double least_weights_log2(const std::vector<plan::Linear>& layers) {
  double sum = 0;
  for (const plan::Linear& layer : layers) sum += std::log2(transform_weight_noise(layer) / kPlainWeights);
  return sum;
}

double unitary(std::uint32_t slots) { return std::sqrt(static_cast<double>(slots)); }

/// Of a message's coefficients as the layers to slots want them, in sines.
double message_units(const RefreshChain& chain, double scale_in) {
  return chain.q0() * unitary(chain.parameters.ring_degree / 2) / (2 * std::numbers::pi * scale_in);
}

/// log2 of the scale of a raised message, whose units are such that the transform ends with turn * x.
double raised_scale_log2(const RefreshChain& chain) {
  return std::log2(chain.q0() * unitary(chain.parameters.ring_degree / 2) / chain.sine.turn);
}

/// Scales behind the layers to coefficients, each of which drops one prime of q_bits. Returns the last: of the sine's
/// argument.
double plan_transforms(RefreshChain& chain, int q_bits, double least) {
  double scale = raised_scale_log2(chain);
  for (const plan::Linear& layer : structure_of(Direction::kToCoefficients, chain.parameters.ring_degree / 2)) {
    scale = std::max(scale + std::log2(transform_weight_noise(layer) / kFineWeights) - q_bits, kLowestScale);
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
  return true;
}

/// See RefreshChain::error.
double error_of(const RefreshChain& chain) {
  const auto square = [](double x) { return x * x; };
  const double noise = rounding_noise(chain.parameters.ring_degree),
               deviation = multiple_deviation(chain.parameters.ring_degree);
  double variance =
      square(chain.sine.error) + square(noise * chain.sine.input_gain / std::exp2(chain.transform_scale_log2.back()));
  variance +=
      static_cast<double>(chain.transform_scale_log2.size()) * square(2 * std::numbers::pi * deviation * kFineWeights);
  // A step's error has an imaginary part as large as its real one: it ends in the other part's sine.
  for (std::size_t k = 0; k < chain.sine.steps.size(); ++k)
    variance += 2 * square(noise * chain.sine.steps[k].noise_gain / std::exp2(chain.sine_scale_log2[k]));
  return std::sqrt(variance);
}

}  // namespace

std::optional<RefreshChain> make_refresh_chain(const RefreshShape& shape, std::uint32_t network_limbs) {
  RefreshChain chain;
  chain.network_limbs = network_limbs;
  chain.sine = make_sine_chain(shape.ring_degree);
  plan::ParameterChoice& parameters = chain.parameters;
  parameters.ring_degree = shape.ring_degree;
  parameters.digit_limbs = static_cast<std::uint32_t>(shape.digit_limbs);
  parameters.p = math::ntt_primes(30, shape.p_limbs, shape.ring_degree);
  if (parameters.p.size() != static_cast<std::size_t>(shape.p_limbs)) return std::nullopt;
  PrimePool pool(shape.ring_degree, parameters.p);
  parameters.q.push_back(pool.take(30));

  const double noise = rounding_noise(shape.ring_degree),
               step_error = std::exp2(-shape.finer) * kStepError * sine_rms();
  const double scale = plan_transforms(chain, shape.q_bits, std::log2(noise * chain.sine.input_gain / step_error));
  std::vector<double> needs;
  for (const SineStep& step : chain.sine.steps)
    needs.push_back(std::min(kHighestScale - 1, std::log2(noise * step.noise_gain / step_error)));
  const auto drops = plan_drops(chain.sine, scale, needs);
  // Primes are taken in the order of their sizes' scarcity: the sine's first.
  std::vector<std::vector<std::uint32_t>> sine_primes;
  if (!drops || !take_sine_primes(chain, *drops, scale, pool, sine_primes)) return std::nullopt;
  const std::vector<plan::Linear> to_slots = structure_of(Direction::kToSlots, shape.ring_degree / 2);
  for (std::size_t i = 1; i < network_limbs + to_slots.size(); ++i) parameters.q.push_back(pool.take(shape.q_bits));
  for (auto primes = sine_primes.rbegin(); primes != sine_primes.rend(); ++primes)
    parameters.q.insert(parameters.q.end(), primes->begin(), primes->end());
  for (std::size_t i = 0; i < chain.transform_scale_log2.size(); ++i) parameters.q.push_back(pool.take(shape.q_bits));
  for (const auto* primes : {&parameters.q, &parameters.p})
    for (const std::uint32_t prime : *primes) {
      if (prime == 0) return std::nullopt;
      chain.log_qp += log2_of(prime);
    }
  chain.slots_scale_log2 = least_weights_log2(to_slots);
  for (std::size_t i = 0; i < to_slots.size(); ++i) chain.slots_scale_log2 -= log2_of(parameters.q[1 + i]);
  chain.error = error_of(chain);
  return chain;
}

double refresh_scale(const RefreshChain& chain, double largest) { return kLargestShare * chain.q0() / largest; }

double least_refreshed_scale_log2(const RefreshChain& chain, double scale_in) {
  return chain.sine_scale_log2.back() - std::log2(message_units(chain, scale_in)) + chain.slots_scale_log2;
}

double refresh_noise(const RefreshChain& chain, const Refresh& refresh, double coefficient_rms) {
  const double n = chain.parameters.ring_degree, to_slots = std::sqrt(n / 2);
  const double share = coefficient_rms * refresh.scale_in / chain.q0();
  const double bent = std::sqrt(15.0) / 6 * std::pow(2 * std::numbers::pi * share, 2) *
                      coefficient_rms;  // the sine's third power, of Gaussian coefficients
  const double added = chain.error / (2 * std::numbers::pi) * chain.q0() / refresh.scale_in;
  const double weights = kPlainWeights * coefficient_rms;
  return std::hypot(added * to_slots, bent * to_slots,
                    std::hypot(weights * to_slots, 2 * rounding_noise(n) / refresh.scale));
}

namespace {

class RefreshWriter {
 public:
  RefreshWriter(const RefreshChain& chain, const RefreshTransforms& transforms, const Refresh& refresh,
                const std::string& layer, std::uint32_t& register_count)
      : chain_(chain),
        transforms_(transforms),
        refresh_(refresh),
        layer_(layer),
        next_(register_count),
        slots_(chain.parameters.ring_degree / 2) {}

  std::vector<plan::Instruction> write(plan::Register in, plan::Register out) {
    limbs_ = 1;
    scale_ = refresh_.scale_in;
    const plan::Register raised = fresh();
    emit(plan::Raise{in, raised, refresh_.limit}, chain_.top(), std::exp2(raised_scale_log2(chain_)));
    sine(to_coefficients(raised), out);
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
  double primes(std::uint32_t first, std::uint32_t last) const {
    double product = 1;
    for (std::uint32_t i = first; i < last; ++i) product *= chain_.parameters.q[i];
    return product;
  }
  plan::Register lift(plan::Register in) {
    const plan::Register out = fresh();
    emit(plan::Split{in, {out}}, limbs_, scale_);
    return out;
  }
  static plan::SlotVector constant(Complex value) { return plan::SlotVector::precise({&value, 1}); }

  // One layer of a transform, which drops one limb.
  void apply(plan::Linear layer, plan::Register in, plan::Register out, double scale_out, plan::SlotVector bias,
             const char* name) {
    layer.name = name;
    layer.inputs = {in};
    layer.outputs[0].out = out;
    layer.outputs[0].bias = std::move(bias);
    layer.weight_scale = scale_out * primes(limbs_ - 1, limbs_) / scale_;
    emit(std::move(layer), limbs_ - 1, scale_out);
  }

  /// Slots turn (x_k - 1/4) + i turn (x_(n+k) - 1/4) of a raised message.
  plan::Register to_coefficients(plan::Register in) {
    const std::vector<plan::Linear>& layers = transforms_.to_coefficients;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const double shift = -chain_.sine.turn / 4;
      const plan::Register out = fresh(), lifted = lift(in);
      apply(layers[i], lifted, out, std::exp2(chain_.transform_scale_log2[i]),
            i + 1 == layers.size() ? constant({shift, shift}) : plan::SlotVector{}, "slots to coefficients");
      in = out;
    }
    return in;
  }

  /// A weight for each input: those of the real parts and those of the imaginary ones.
  plan::Linear constants(const std::vector<plan::Register>& inputs) {
    plan::Linear linear;
    linear.name = "sine";
    linear.inputs = inputs;
    linear.period = 1;
    for (std::uint32_t i = 0; i < inputs.size(); ++i) linear.columns.push_back({i, 0});
    return linear;
  }

  /// Both parts of `in` to their sines, side by side; the last step puts them together, in units of the message, and in
  /// slots.
  void sine(plan::Register in, plan::Register out) {
    const std::size_t steps = chain_.sine.steps.size();
    // Behind the last step: the message's coefficients as the transform to slots wants them.
    const double units = message_units(chain_, refresh_.scale_in);
    std::vector<plan::Register> parts{in};
    for (std::size_t k = 0; k < steps; ++k) {
      std::vector<plan::Register> squares;
      const double squared = scale_ * scale_;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        plan::Square square{parts[i], {fresh()}};
        if (k == 0) square.out.push_back(fresh());
        squares.insert(squares.end(), square.out.begin(), square.out.end());
        const double before = scale_;
        emit(std::move(square), limbs_, squared);
        if (i + 1 < parts.size()) scale_ = before;
      }
      const bool last = k + 1 == steps;
      const SineStep& step = chain_.sine.steps[k];
      const double factor = step.factor * (last ? units : 1) / (k == 0 ? 4 : 1);
      const std::uint32_t limbs_out = limbs_ - chain_.sine_drop[k];
      const double dropped = primes(limbs_out, limbs_);
      plan::Linear linear = constants(squares);
      linear.weight_scale = chain_.sine_multiple[k] / std::fabs(factor);
      const double constant_part = step.constant * (last ? units : 1);
      const double negative = k == 0 ? -1 : 1;  // the imaginary part's first square comes as -4 v^2
      if (last) {
        linear.vectors = {constant({factor, 0}), constant({0, factor})};
        linear.outputs.push_back({fresh(), {0, 1}, 1, {0, 1}, constant({constant_part, constant_part})});
      } else {
        linear.vectors = {constant({factor, 0}), constant({negative * factor, 0})};
        for (std::uint32_t i = 0; i < 2; ++i)
          linear.outputs.push_back({fresh(), {i}, 1, {static_cast<std::int32_t>(i)}, constant({constant_part, 0})});
      }
      parts.clear();
      for (const auto& output : linear.outputs) parts.push_back(output.out);
      const double scale_out = squared * linear.weight_scale / dropped;
      emit(std::move(linear), limbs_out, scale_out);
    }
    to_slots(parts.front(), out);
  }

  void to_slots(plan::Register in, plan::Register out) {
    const std::vector<plan::Linear>& layers = transforms_.to_slots;
    const auto count = static_cast<std::uint32_t>(layers.size());
    // Behind the first layer weights are a little finer than they need to be, if there is enough for that, and so the
    // same in all refreshes that end with as many limbs; the first takes what scale is left.
    const std::uint32_t begin = refresh_.limbs + count;
    const double left = std::log2(refresh_.scale * primes(refresh_.limbs, begin) / scale_) - least_weights_log2(layers);
    const double spare = std::exp2(std::clamp(left / count, 0.0, kSpareWeightsLog2));
    std::vector<double> scales(count, refresh_.scale);  // behind each layer
    for (std::uint32_t i = count - 1; i > 0; --i)
      scales[i - 1] =
          scales[i] * primes(begin - i - 1, begin - i) / (spare * transform_weight_noise(layers[i]) / kPlainWeights);
    for (std::uint32_t i = 0; i < count; ++i) {
      plan::Register lifted = lift(in);
      if (limbs_ > begin) {
        const plan::Register dropped = fresh();
        emit(plan::Drop{lifted, dropped}, begin, scale_);
        lifted = dropped;
      }
      const bool last = i + 1 == count;
      const plan::Register result = last ? out : fresh();
      apply(layers[i], lifted, result, scales[i], last ? refresh_.centre : plan::SlotVector{}, "coefficients to slots");
      in = result;
    }
  }

  const RefreshChain& chain_;
  const RefreshTransforms& transforms_;
  const Refresh& refresh_;
  const std::string& layer_;
  std::uint32_t& next_;
  std::uint32_t slots_;
  std::uint32_t limbs_ = 0;
  double scale_ = 0;
  std::vector<plan::Instruction> instructions_;
};

}  // namespace

RefreshTransforms make_refresh_transforms(std::uint32_t ring_degree, TransformDepth depth) {
  return {make_transform(Direction::kToCoefficients, ring_degree / 2, kBabies, depth),
          make_transform(Direction::kToSlots, ring_degree / 2, kBabies, depth)};
}

double refresh_plan_bytes(std::uint32_t ring_degree) {
  double values = 2.0 * ring_degree / 2;  // of the centre, before and behind
  const RefreshTransforms transforms = make_refresh_transforms(ring_degree, TransformDepth::kStructure);
  for (const plan::Linear& layer : transforms.to_coefficients)
    values += 2.0 * static_cast<double>(layer.vectors.size()) * layer.period;  // and rests
  for (const plan::Linear& layer : transforms.to_slots)
    values += static_cast<double>(layer.vectors.size()) * layer.period;
  return values * sizeof(std::complex<float>);
}

std::vector<plan::Instruction> make_refresh(const RefreshChain& chain, const RefreshTransforms& transforms,
                                            const Refresh& refresh, plan::Register in, plan::Register out,
                                            const std::string& layer, std::uint32_t& register_count) {
  return RefreshWriter(chain, transforms, refresh, layer, register_count).write(in, out);
}

}  // namespace brainlock::compiler
