// Bootstrapping: a ciphertext of few limbs becomes one of many limbs with the same message.
//
//     slots to coefficients  ->  Raise  ->  coefficients to slots  ->  sine of each coefficient
//
// All of it is instructions like any others (Cheon, Han, Kim, Kim, Song, "Bootstrapping for Approximate Homomorphic
// Encryption", 2018): nothing but Raise is there for this alone. The secret is as dense as ever, so that the published
// tables hold; what is to be taken away is the larger for it. Values are the coefficients that are raised, so each has
// its multiple and its sine to itself: garbage beside them stays where it is, and the half of the coefficients that
// real values leave empty needs no sine. Layers to coefficients come first, where limbs are few.
//
// The chain of primes, from its end: q[0], those of the network's layers, of which the layers to coefficients take the
// first, those of the sine, one for each layer to slots. Primes of the sine are of the sizes that its steps want: what
// they cost is bits, of which the security table grants so many.
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
  int q_bits = 0, p_limbs = 0, digit_limbs = 0;
  int finer = 0;  ///< bits by which each step of the sine is more exact than it must be at least
};

struct RefreshChain {
  plan::ParameterChoice parameters;
  double log_qp = 0;
  std::uint32_t network_limbs = 0;  ///< limbs that a refresh may end with
  SineChain sine;
  std::vector<std::uint32_t> sine_drop;      ///< limbs, per step; the last one's are the least
  std::vector<double> sine_scale_log2;       ///< per step but the last, which ends at the scale that a refresh asks for
  std::vector<double> sine_multiple;         ///< likewise: its factor as an integer, which needs no rounding
  std::vector<double> transform_scale_log2;  ///< behind each layer to slots
  std::vector<double> weights_log2;          ///< of each layer to coefficients: the least log2 of its weights' scale
  double error = 0;                          ///< rms of the sine that is added to it, without what steps add
  double step_error = 0;                     ///< and that, for each part of the slots that takes part

  [[nodiscard]] std::uint32_t top() const { return static_cast<std::uint32_t>(parameters.q.size()); }
  [[nodiscard]] std::uint32_t slots() const { return parameters.ring_degree / 2; }
  [[nodiscard]] double q0() const { return parameters.q.front(); }
  /// Limbs at which values are when their refresh begins: one for each layer to coefficients, or one less.
  [[nodiscard]] std::uint32_t most_limbs_in() const { return 1 + static_cast<std::uint32_t>(weights_log2.size()); }
  [[nodiscard]] std::uint32_t least_limbs_in() const { return most_limbs_in() - 1; }
};

/// What all chains of one ring have in common, since it takes longer to make than the rest of a chain.
struct RefreshRing {
  struct Prime {
    std::uint32_t value = 0;
    double log2 = 0;
  };
  std::uint32_t ring_degree = 0;
  std::vector<Prime> primes;                ///< all that a chain may have, ascending
  SineChain sine;
  std::vector<double> to_slots_log2;        ///< of each layer to slots: log2 of its weights' scale
  std::vector<double> to_coefficients_log2; ///< of each layer to coefficients: the least
};
RefreshRing make_refresh_ring(std::uint32_t ring_degree);

/// Nothing if the ring has no such primes.
std::optional<RefreshChain> make_refresh_chain(const RefreshRing& ring, const RefreshShape& shape, std::uint32_t network_limbs);

/// One refresh.
struct Refresh {
  double scale_in = 0;         ///< of the values
  std::uint32_t limbs_in = 0;  ///< least_limbs_in() or most_limbs_in()
  std::uint32_t limbs = 0;     ///< afterwards, at most RefreshChain::network_limbs
  double scale = 0;
  double largest = 0;  ///< |value|, over all inputs that are provided for
  double rms = 0;      ///< of the values
  bool real = false;   ///< imaginary parts are garbage, and one sine is enough
  double limit = 0;    ///< see plan::Raise
};

/// How a refresh gets to its scale: with the primes that its sine's last step drops, the factor of that step as an
/// integer, and the scale that the message is raised at. Nothing: it cannot.
struct RefreshEnd {
  std::uint32_t drop = 0;
  double multiple = 0;
  double raise_scale = 0;
};
std::optional<RefreshEnd> refresh_end(const RefreshChain& chain, const Refresh& refresh);

/// log2 of the scale of values that a refresh takes in, if the weights of its layers to coefficients have `spare` bits
/// more than they need, each.
double refresh_scale_in_log2(const RefreshChain& chain, const RefreshEnd& end, std::uint32_t limbs_in, double spare);

/// Errors that a refresh with this end adds, for all scales that it may begin with. The chain must outlive this.
class RefreshNoise {
 public:
  RefreshNoise(const RefreshChain& chain, const RefreshEnd& end, const Refresh& refresh);
  /// Per real part of a slot, in units of the values.
  [[nodiscard]] double of(std::uint32_t limbs_in, double scale_in) const;

 private:
  const RefreshChain& chain_;
  double raise_scale_, rms_;
  double behind_ = 0, weights_ = 0, rounding_ = 0;   // of the sine; of layers to coefficients, without what limbs and scale make of it
};

/// The layers of all refreshes of a ring. Cost with weights: a second or two.
struct RefreshTransforms {
  std::vector<plan::Linear> to_coefficients, to_slots;
};
RefreshTransforms make_refresh_transforms(std::uint32_t ring_degree, TransformDepth depth);

/// What the weights of one refresh take in a plan.
double refresh_plan_bytes(std::uint32_t ring_degree);

/// The instructions of one refresh, which make `out` of `in`. Registers are numbered from register_count on. The
/// refresh has an end.
std::vector<plan::Instruction> make_refresh(const RefreshChain& chain, const RefreshTransforms& transforms,
                                            const Refresh& refresh, plan::Register in, plan::Register out,
                                            const std::string& layer, std::uint32_t& register_count);

}  // namespace brainlock::compiler
