// Scheme parameters: an open specification that anyone may fill in, and the checked, immutable form that
// everything else works with. A set below 128-bit security does not become Parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/math/ntt.hpp"

namespace brainlock::ckks {

/// What a parameter set says, unchecked. Prints, parses and compares as data.
struct ParameterSpec {
  std::uint32_t ring_degree = 0;        ///< N, a power of two
  std::vector<std::uint32_t> q;         ///< ciphertext primes; q[0] survives to the end
  std::vector<std::uint32_t> p;         ///< special primes of hybrid key switching
  std::uint32_t digit_limbs = 0;        ///< alpha: limbs per key-switching digit
  bool operator==(const ParameterSpec&) const = default;
};

/// Largest log2(QP) allowed for 128 classical bits, uniform ternary secret, sigma = 3.19..3.2 (Bossuat et al.,
/// "Security Guidelines for Implementing Homomorphic Encryption", 2024): 2^14 -> 430, 2^15 -> 868, 2^16 -> 1747,
/// 2^17 -> 3523; smaller degrees likewise from that table (2^13 -> 214, 2^12 -> 106); 0 where the table has no entry.
double max_log_qp_128(std::uint32_t ring_degree);

/// A checked parameter set with its tables. Immutable; share between threads. Made by create() only.
///
/// Modulus index: 0..q_count-1 are the ciphertext primes in order, q_count..q_count+p_count-1 the special primes.
class Parameters {
 public:
  /// kInsecure: log2(QP) above the table (message: what came, the limit, the nearest fix);
  /// kInvalidArgument: not a power of two, primes not prime / not 1 mod 2N / not distinct / >= 2^30, P smaller than
  /// 2^-4 of the largest digit, digit_limbs 0 or > 15 ...
  static Result<std::shared_ptr<const Parameters>> create(const ParameterSpec& spec);
  /// For tests on toy rings: the same checks but security. The result says security_bits() == 0.
  static Result<std::shared_ptr<const Parameters>> create_insecure_for_tests(const ParameterSpec& spec);

  const ParameterSpec& spec() const { return spec_; }
  std::uint32_t ring_degree() const { return spec_.ring_degree; }
  std::uint32_t slots() const { return spec_.ring_degree / 2; }
  std::uint32_t q_count() const { return static_cast<std::uint32_t>(spec_.q.size()); }
  std::uint32_t p_count() const { return static_cast<std::uint32_t>(spec_.p.size()); }
  std::uint32_t modulus_count() const { return q_count() + p_count(); }
  std::uint32_t digit_limbs() const { return spec_.digit_limbs; }
  /// Number of key-switching digits at `limbs` ciphertext limbs: ceil(limbs / digit_limbs).
  std::uint32_t digits(std::uint32_t limbs) const { return (limbs + spec_.digit_limbs - 1) / spec_.digit_limbs; }
  /// Tables of modulus index i.
  const math::NttTables& ntt(std::uint32_t i) const { return *tables_[i]; }
  const math::Modulus& modulus(std::uint32_t i) const { return tables_[i]->modulus; }
  double log_qp() const { return log_qp_; }
  int security_bits() const { return security_bits_; }
  /// 32-byte BLAKE2b of the canonical form of the spec: what keys and ciphertexts name their parameters by.
  const std::vector<std::uint8_t>& id() const { return id_; }

 private:
  Parameters() = default;
  static Result<std::shared_ptr<const Parameters>> make(const ParameterSpec& spec, bool require_security);
  ParameterSpec spec_;
  std::vector<std::shared_ptr<const math::NttTables>> tables_;
  double log_qp_ = 0;
  int security_bits_ = 0;
  std::vector<std::uint8_t> id_;
};

}  // namespace brainlock::ckks
