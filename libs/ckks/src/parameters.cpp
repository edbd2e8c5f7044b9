#include "brainlock/ckks/parameters.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <set>

#include "brainlock/crypto/blake2b.hpp"

namespace brainlock::ckks {
namespace {

/// Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption" (IACR CiC 2024), table of the
/// largest log2 of the modulus for 128 bits, classical attacks, uniform ternary secret, sigma = 3.19.
struct SecurityRow {
  std::uint32_t ring_degree;
  double max_log_qp;
};
constexpr std::array<SecurityRow, 8> kSecurity128{{
    {1u << 10, 26}, {1u << 11, 53}, {1u << 12, 106}, {1u << 13, 214},
    {1u << 14, 430}, {1u << 15, 868}, {1u << 16, 1747}, {1u << 17, 3523},
}};

constexpr std::uint32_t kMaxQ = 128;         // far above what 3523 bits of the largest ring hold
constexpr std::uint32_t kMaxConversion = 15; // source limbs of one base conversion (math::Kernels::convert_basis)
constexpr std::uint32_t kMaxDigits = 32;     // digits of one inner product (math::Kernels::inner_product)

double log2_product(const std::vector<std::uint32_t>& primes) {
  double sum = 0;
  for (const auto prime : primes) sum += std::log2(static_cast<double>(prime));
  return sum;
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, "parameters: " + std::move(message)}; }

Status check_primes(const ParameterSpec& spec) {
  std::set<std::uint32_t> seen;
  const auto check = [&](const std::vector<std::uint32_t>& primes, const char* name) -> Status {
    for (std::size_t i = 0; i < primes.size(); ++i) {
      const auto prime = primes[i];
      const std::string where = std::string(name) + "[" + std::to_string(i) + "] = " + std::to_string(prime);
      if (prime >= (1u << 30)) return invalid(where + ": expected a prime below 2^30");
      if (prime % (2 * spec.ring_degree) != 1) {
        return invalid(where + ": expected 1 modulo 2N = " + std::to_string(2 * spec.ring_degree));
      }
      if (!math::is_prime(prime)) return invalid(where + ": not a prime");
      if (!seen.insert(prime).second) return invalid(where + ": appears twice");
    }
    return {};
  };
  BRAINLOCK_TRY(check(spec.q, "q"));
  return check(spec.p, "p");
}

Status check_shape(const ParameterSpec& spec) {
  if (!std::has_single_bit(spec.ring_degree) || spec.ring_degree < 8 || spec.ring_degree > (1u << 17)) {
    return invalid("ring degree " + std::to_string(spec.ring_degree) + ": expected a power of two from 8 to 131072");
  }
  if (spec.q.empty() || spec.q.size() > kMaxQ) {
    return invalid(std::to_string(spec.q.size()) + " ciphertext primes: expected 1 to " + std::to_string(kMaxQ));
  }
  if (spec.p.empty() || spec.p.size() > kMaxConversion) {
    return invalid(std::to_string(spec.p.size()) + " special primes: expected 1 to " + std::to_string(kMaxConversion));
  }
  if (spec.digit_limbs == 0 || spec.digit_limbs > kMaxConversion) {
    return invalid("digit of " + std::to_string(spec.digit_limbs) + " limbs: expected 1 to " + std::to_string(kMaxConversion));
  }
  const std::size_t digits = (spec.q.size() + spec.digit_limbs - 1) / spec.digit_limbs;
  if (digits > kMaxDigits) {
    return invalid(std::to_string(digits) + " key-switching digits: expected at most " + std::to_string(kMaxDigits) +
                   "; use larger digits");
  }
  return {};
}

/// Key switching adds noise of about (largest digit / P) times the error; far above 1 it drowns the message.
Status check_special_size(const ParameterSpec& spec) {
  double largest = 0;
  for (std::size_t begin = 0; begin < spec.q.size(); begin += spec.digit_limbs) {
    double bits = 0;
    for (std::size_t i = begin; i < std::min(spec.q.size(), begin + spec.digit_limbs); ++i) bits += std::log2(spec.q[i]);
    largest = std::max(largest, bits);
  }
  const double special = log2_product(spec.p);
  if (special < largest - 4) {
    return invalid("special modulus P of " + decimal(special) + " bits: expected at least " + decimal(largest - 4) +
                   " (largest digit, " + decimal(largest) + " bits, less 4); add a special prime or use smaller digits");
  }
  return {};
}

Status check_security(const ParameterSpec& spec, double log_qp) {
  const double limit = max_log_qp_128(spec.ring_degree);
  const std::string degree = "ring degree " + std::to_string(spec.ring_degree);
  if (limit == 0) {
    return {ErrorCode::kInsecure, "parameters: " + degree + " has no 128-bit entry in the 2024 table; use 1024 to 131072"};
  }
  if (log_qp <= limit) return {};
  std::string fix = "shorten the modulus by " + decimal(std::ceil((log_qp - limit) * 10) / 10) + " bits";
  for (const auto& row : kSecurity128) {
    if (row.max_log_qp >= log_qp) {
      fix += " or use ring degree " + std::to_string(row.ring_degree);
      break;
    }
  }
  char came[32];
  std::snprintf(came, sizeof came, "%.3f", log_qp);
  return {ErrorCode::kInsecure, "parameters: log2(QP) = " + std::string(came) + " at " + degree +
                                    ": 128-bit security allows at most " + decimal(limit) + "; " + fix};
}

/// BLAKE2b-256 of a tag, then N, |q|, q..., |p|, p..., digit limbs, each a little-endian 32-bit word. The tag stands
/// for everything that the spec does not spell out: uniform ternary secret, discrete Gaussian error of sigma 3.2.
std::vector<std::uint8_t> identify(const ParameterSpec& spec) {
  static constexpr char kTag[] = "brainlock ckks parameters 1";
  std::vector<std::uint8_t> bytes(kTag, kTag + sizeof kTag - 1);
  const auto put = [&](std::uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  put(spec.ring_degree);
  for (const auto* primes : {&spec.q, &spec.p}) {
    put(static_cast<std::uint32_t>(primes->size()));
    for (const auto prime : *primes) put(prime);
  }
  put(spec.digit_limbs);
  crypto::Blake2b256 hash;
  hash.update(bytes);
  const auto digest = hash.finish();
  return {digest.begin(), digest.end()};
}

}  // namespace

double max_log_qp_128(std::uint32_t ring_degree) {
  for (const auto& row : kSecurity128) {
    if (row.ring_degree == ring_degree) return row.max_log_qp;
  }
  return 0;
}

Result<std::shared_ptr<const Parameters>> Parameters::make(const ParameterSpec& spec, bool require_security) {
  BRAINLOCK_TRY(check_shape(spec));
  BRAINLOCK_TRY(check_primes(spec));
  BRAINLOCK_TRY(check_special_size(spec));
  const double log_qp = log2_product(spec.q) + log2_product(spec.p);
  if (require_security) BRAINLOCK_TRY(check_security(spec, log_qp));

  std::shared_ptr<Parameters> parameters(new Parameters());
  parameters->spec_ = spec;
  parameters->log_qp_ = log_qp;
  parameters->security_bits_ = require_security ? 128 : 0;
  parameters->id_ = identify(spec);
  for (const auto* primes : {&spec.q, &spec.p}) {
    for (const auto prime : *primes) parameters->tables_.push_back(math::make_ntt_tables(spec.ring_degree, prime));
  }
  return std::shared_ptr<const Parameters>(std::move(parameters));
}

Result<std::shared_ptr<const Parameters>> Parameters::create(const ParameterSpec& spec) { return make(spec, true); }

Result<std::shared_ptr<const Parameters>> Parameters::create_insecure_for_tests(const ParameterSpec& spec) {
  return make(spec, false);
}

}  // namespace brainlock::ckks
