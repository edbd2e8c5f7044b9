// Canonical embedding: complex slots <-> integer polynomials.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/ckks/objects.hpp"

namespace brainlock::ckks {

/// Encodes and decodes N/2 complex slots. Slot j is the value at zeta^(5^j), zeta = exp(i pi / N), so that the
/// automorphism X -> X^(5^r) moves slot j + r to slot j and X -> X^(2N-1) conjugates. Immutable, thread safe.
/// Cost: one complex FFT of N/2 points (period p: of p points).
class Encoder {
 public:
  explicit Encoder(std::shared_ptr<const Parameters> parameters);
  const Parameters& parameters() const { return *parameters_; }

  /// Rounded integer coefficients of the slots times scale. `slots` has period p = slots.size(), a power of two
  /// dividing N/2: the result is a polynomial in X^(N / 2p), returned as its 2p coefficients (p = N/2: all N).
  /// Error kInvalidArgument if the size is wrong or a coefficient would exceed 2^62.
  Result<std::vector<std::int64_t>> to_coefficients(std::span<const std::complex<double>> slots, Scale scale) const;

  /// The inverse: the p slots of a polynomial with these 2p coefficients (2p a power of two from 2 to N), over scale.
  std::vector<std::complex<double>> to_slots(std::span<const std::int64_t> coefficients, Scale scale) const;

  /// At most so many vectors take part in one round_trip().
  static constexpr std::size_t kRoundTripLanes = 8;
  /// What encoding and decoding again makes of `vectors`, each of `period` slots, in place: to_slots(to_coefficients()), to the last bit,
  /// but abreast, which costs a fifth. Errors of to_coefficients(); the vectors are then as they were or rounded.
  Status round_trip(std::span<std::complex<float>* const> vectors, std::size_t period, Scale scale) const;

  /// NTT values of such a polynomial modulo modulus index m, at the 2p distinct points: run r of N / 2p consecutive
  /// evaluation-domain words (see NttTables) all have value out[r]. coefficients.size() == out.size() == 2p.
  void to_run_values(std::span<const std::int64_t> coefficients, std::uint32_t m, std::span<std::uint32_t> out) const;

  /// The whole plaintext: limbs q[0..limbs), evaluation domain, limb-major.
  Result<Words> encode(std::span<const std::complex<double>> slots, Scale scale, std::uint32_t limbs) const;

  /// Slots from plaintext limbs (evaluation domain) q[0..limbs), limbs >= 1: the value is lifted to the centred
  /// representative modulo the product of the first min(limbs, 4) primes (|m * scale| must stay below half of it). Leaves no copy of the plaintext behind.
  std::vector<std::complex<double>> decode(std::span<const std::uint32_t> plaintext, std::uint32_t limbs, Scale scale) const;

 private:
  Status check_period(std::size_t p) const;
  /// Values at the slots' roots, from coefficient k + i * coefficient (p + k) at place k; in place.
  void transform(std::span<std::complex<double>> values) const;

  std::shared_ptr<const Parameters> parameters_;
  /// Twiddles stage by stage: roots_[half + j] = exp(2 pi i 5^j / (8 half)), half = 1, 2, ... N/4, j < half.
  std::vector<std::complex<double>> roots_;
};

}  // namespace brainlock::ckks
