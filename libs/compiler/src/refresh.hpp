// Bootstrapping: a ciphertext of one limb becomes one of many limbs with the same message.
//
//     Raise  ->  slots to coefficients  ->  sine of each coefficient  ->  coefficients to slots
//
// All of it is instructions like any others (Cheon, Han, Kim, Kim, Song, "Bootstrapping for Approximate Homomorphic
// Encryption", 2018): nothing but Raise is there for this alone. The secret is as dense as ever, so that the published
// tables hold; what is to be taken away is the larger for it.
//
// The chain of primes, from its end: q[0], those of the network's layers, one for each layer back to slots, those of
// the sine, one for each layer to coefficients. Primes of the sine are of the sizes that its steps want: what they cost
// is bits, of which the security table grants so many.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/plan/program.hpp"
#include "refresh_sine.hpp"
#include "refresh_transforms.hpp"

namespace brainlock::compiler {

/// Key switching and size of the primes that networks use.
struct RefreshShape {
  std::uint32_t ring_degree = 0;
  int q_bits = 0, p_limbs = 0, digit_limbs = 0;
  int finer = 0;  ///< bits more in each step of the sine than messages whose coefficients are Gaussian need
};

struct RefreshChain {
  plan::ParameterChoice parameters;
  double log_qp = 0;
  std::uint32_t network_limbs = 0;  ///< limbs that a refresh may end with
  SineChain sine;
  std::vector<std::uint32_t> sine_drop;      ///< limbs, per step
  std::vector<double> sine_scale_log2;       ///< per step, the last one's in units of the sine
  std::vector<double> sine_multiple;         ///< per step: its factor as an integer, which needs no rounding
  std::vector<double> transform_scale_log2;  ///< behind each layer to coefficients
  double slots_scale_log2 = 0;               ///< what the layers to slots need: of their weights less what they drop
  double error = 0;                          ///< rms of the sine that it adds, all told

  [[nodiscard]] std::uint32_t top() const { return static_cast<std::uint32_t>(parameters.q.size()); }
  [[nodiscard]] double q0() const { return parameters.q.front(); }
};

/// Nothing if the ring has no such primes.
std::optional<RefreshChain> make_refresh_chain(const RefreshShape& shape, std::uint32_t network_limbs);

/// One refresh.
struct Refresh {
  double scale_in = 0;      ///< of the message at one limb: see refresh_scale()
  std::uint32_t limbs = 0;  ///< afterwards, at most RefreshChain::network_limbs
  double scale = 0;
  double limit = 0;         ///< see plan::Raise
  plan::SlotVector centre;  ///< added at the end, after somebody took it from the message before; empty: nothing
};

/// The scale at which a message of coefficients up to `largest` (over all inputs that are provided for) is raised.
double refresh_scale(const RefreshChain& chain, double largest);

/// log2 of the least scale that a refresh of messages of scale `scale_in` may end with: below it there is not enough
/// for its last layers' weights.
double least_refreshed_scale_log2(const RefreshChain& chain, double scale_in);

/// Errors that a refresh adds per real part of a slot, in units of the message, for coefficients of the rms
/// `coefficient_rms`; and what of it grows with the message itself.
double refresh_noise(const RefreshChain& chain, const Refresh& refresh, double coefficient_rms);

/// The layers of all refreshes of a ring. Cost with weights: a second or two.
struct RefreshTransforms {
  std::vector<plan::Linear> to_coefficients, to_slots;
};
RefreshTransforms make_refresh_transforms(std::uint32_t ring_degree, TransformDepth depth);

/// What the weights of one refresh take in a plan.
double refresh_plan_bytes(std::uint32_t ring_degree);

/// The instructions of one refresh, which make `out` of `in`. Registers are numbered from register_count on.
std::vector<plan::Instruction> make_refresh(const RefreshChain& chain, const RefreshTransforms& transforms,
                                            const Refresh& refresh, plan::Register in, plan::Register out,
                                            const std::string& layer, std::uint32_t& register_count);

}  // namespace brainlock::compiler
