// The special FFT follows Cheon, Kim, Kim, Song, "Homomorphic Encryption for Arithmetic of Approximate Numbers"
// (2017): a radix-2 transform over the exponents 5^j, which are half of the odd exponents; the other half are their
// conjugates and carry nothing new for real polynomials.
#include "brainlock/ckks/encoder.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numbers>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::ckks {
namespace {

using Complex = std::complex<double>;

constexpr double kMaxCoefficient = 0x1p62;

/// a * b without the NaN recovery of std::complex, which costs a call for each product.
inline Complex multiply(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

void bit_reverse(std::span<Complex> values) {
  const std::size_t n = values.size();
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(values[i], values[j]);
  }
}

/// x mod q; a division only where the coefficient is not small, as those of weights are.
inline std::uint32_t residue(std::int64_t x, const math::Modulus& m) {
  const std::int64_t q = m.q;
  if (-q < x && x < q) return static_cast<std::uint32_t>(x < 0 ? x + q : x);
  return math::reduce_i64(x, m);
}

/// Forward negacyclic NTT of size x.size() (a power of two up to N) with the first words of the tables of a larger
/// ring: in bit-reversed order the twiddles of a subring are a prefix.
void ntt_prefix(std::span<std::uint32_t> x, const math::NttTables& tables) {
  const std::uint32_t q = tables.modulus.q;
  for (std::size_t blocks = 1, half = x.size() / 2; half >= 1; blocks *= 2, half /= 2) {
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint32_t w = tables.w[blocks + b], w_shoup = tables.w_shoup[blocks + b];
      std::uint32_t* lower = x.data() + 2 * b * half;
      std::uint32_t* upper = lower + half;
      for (std::size_t i = 0; i < half; ++i) {
        const auto quotient = static_cast<std::uint32_t>((std::uint64_t{upper[i]} * w_shoup) >> 32);
        std::uint32_t v = upper[i] * w - quotient * q;  // [0, 2q)
        v = std::min(v, v - q);
        const std::uint32_t sum = lower[i] + v, difference = lower[i] - v + q;
        lower[i] = std::min(sum, sum - q);
        upper[i] = std::min(difference, difference - q);
      }
    }
  }
}

/// Mixed-radix (Garner) lift of residues modulo at most four primes to the centred integer they stand for.
class CentredLift {
 public:
  CentredLift(const Parameters& parameters, std::uint32_t count) : parameters_(parameters), count_(count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto& m = parameters.modulus(i);
      std::uint32_t product = 1;
      for (std::uint32_t j = 0; j < i; ++j) {
        weight_[i][j] = product;
        product = math::mul_mod(product, math::reduce_u64(parameters.modulus(j).q, m), m);
      }
      inverse_[i] = math::inv_mod(product, m);
      product_ *= m.q;
    }
  }

  /// residues[i] is modulo prime i.
  double operator()(const std::uint32_t* const* residues, std::size_t t) const {
    std::uint32_t digit[4];
    __extension__ unsigned __int128 value = 0;
    __extension__ unsigned __int128 weight = 1;
    for (std::uint32_t i = 0; i < count_; ++i) {
      const auto& m = parameters_.modulus(i);
      std::uint64_t known = 0;
      for (std::uint32_t j = 0; j < i; ++j) known += std::uint64_t{digit[j]} * weight_[i][j];  // < 3 * 2^60
      digit[i] = math::mul_mod(math::sub_mod(residues[i][t], math::reduce_u64(known, m), m), inverse_[i], m);
      value += weight * digit[i];
      weight *= m.q;
    }
    return value > product_ / 2 ? -static_cast<double>(product_ - value) : static_cast<double>(value);
  }

 private:
  const Parameters& parameters_;
  std::uint32_t count_;
  std::uint32_t weight_[4][4] = {};
  std::uint32_t inverse_[4] = {};
  __extension__ unsigned __int128 product_ = 1;
};

}  // namespace

Encoder::Encoder(std::shared_ptr<const Parameters> parameters) : parameters_(std::move(parameters)) {
  const std::uint32_t order = 2 * parameters_->ring_degree();
  std::vector<Complex> circle(order);
  // One eighth of the circle by the library, the rest by symmetry: cheaper, and conjugate roots are conjugate to the
  // last bit.
  const std::uint32_t quarter = order / 4;
  for (std::uint32_t k = 0; 2 * k <= quarter; ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(order);
    const double c = std::cos(angle), s = std::sin(angle);
    circle[k] = {c, s};
    if (k > 0) circle[quarter - k] = {s, c};
  }
  circle[quarter] = {0, 1};
  for (std::uint32_t k = quarter + 1; k < order; ++k) circle[k] = {-circle[k - quarter].imag(), circle[k - quarter].real()};

  roots_.resize(parameters_->slots());
  for (std::uint32_t half = 1; half < parameters_->slots(); half *= 2) {
    std::uint32_t exponent = 1;
    for (std::uint32_t j = 0; j < half; ++j) {
      roots_[half + j] = circle[exponent * (order / (8 * half))];
      exponent = exponent * 5 % (8 * half);
    }
  }
}

Status Encoder::check_period(std::size_t p) const {
  if (std::has_single_bit(p) && p <= parameters_->slots()) return {};
  return {ErrorCode::kInvalidArgument, "encode: " + std::to_string(p) + " slots, expected a power of two up to " + std::to_string(parameters_->slots())};
}

Result<std::vector<std::int64_t>> Encoder::to_coefficients(std::span<const Complex> slots, Scale scale) const {
  const std::size_t p = slots.size();
  BRAINLOCK_TRY(check_period(p));
  std::vector<Complex> values(slots.begin(), slots.end());
  for (std::size_t length = p; length >= 2; length /= 2) {
    const std::size_t half = length / 2;
    for (std::size_t i = 0; i < p; i += length) {
      for (std::size_t j = 0; j < half; ++j) {
        const Complex root = std::conj(roots_[half + j]);
        const Complex a = values[i + j], b = values[i + j + half];
        values[i + j] = a + b;
        values[i + j + half] = multiply(a - b, root);
      }
    }
  }
  bit_reverse(values);

  const double factor = scale.value() / static_cast<double>(p);
  std::vector<std::int64_t> coefficients(2 * p);
  for (std::size_t k = 0; k < p; ++k) {
    const double re = values[k].real() * factor, im = values[k].imag() * factor;
    // Written so that NaN fails too.
    if (!(std::fabs(re) < kMaxCoefficient && std::fabs(im) < kMaxCoefficient)) {
      return {ErrorCode::kInvalidArgument, "encode: a coefficient is not below 2^62 (scale 2^" +
                                               std::to_string(scale.log2()) + "): lower the scale or the message"};
    }
    coefficients[k] = std::llrint(re);
    coefficients[k + p] = std::llrint(im);
  }
  return coefficients;
}

void Encoder::to_run_values(std::span<const std::int64_t> coefficients, std::uint32_t m,
                            std::span<std::uint32_t> out) const {
  assert(coefficients.size() == out.size() && std::has_single_bit(out.size()) && out.size() >= 2);
  assert(out.size() <= parameters_->ring_degree() && m < parameters_->modulus_count());
  const math::NttTables& tables = parameters_->ntt(m);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = residue(coefficients[i], tables.modulus);
  ntt_prefix(out, tables);
}

Result<Words> Encoder::encode(std::span<const Complex> slots, Scale scale, std::uint32_t limbs) const {
  if (limbs == 0 || limbs > parameters_->q_count()) {
    return {ErrorCode::kInvalidArgument, "encode: " + std::to_string(limbs) + " limbs, expected 1 to " +
                                             std::to_string(parameters_->q_count())};
  }
  BRAINLOCK_ASSIGN(const auto coefficients, to_coefficients(slots, scale));
  double half_modulus = 0.5;
  for (std::uint32_t l = 0; l < limbs; ++l) half_modulus *= parameters_->modulus(l).q;
  for (const auto c : coefficients) {
    if (std::fabs(static_cast<double>(c)) >= half_modulus) {
      return {ErrorCode::kInvalidArgument, "encode: a coefficient exceeds half of the modulus of " +
                                               std::to_string(limbs) + " limbs: lower the scale or use more limbs"};
    }
  }
  const std::size_t n = parameters_->ring_degree();
  Words words(limbs * n);
  std::vector<std::uint32_t> runs(coefficients.size());
  for (std::uint32_t l = 0; l < limbs; ++l) {
    std::uint32_t* limb = words.data() + l * n;
    if (coefficients.size() == n) {
      const auto& tables = parameters_->ntt(l);
      for (std::size_t i = 0; i < n; ++i) limb[i] = residue(coefficients[i], tables.modulus);
      math::kernels().ntt_forward(tables, limb);
      continue;
    }
    to_run_values(coefficients, l, runs);
    const std::size_t length = n / runs.size();
    for (std::size_t r = 0; r < runs.size(); ++r) std::fill_n(limb + r * length, length, runs[r]);
  }
  return words;
}

std::vector<Complex> Encoder::decode(std::span<const std::uint32_t> plaintext, std::uint32_t limbs, Scale scale) const {
  const std::size_t n = parameters_->ring_degree(), p = n / 2;
  const std::uint32_t count = std::min<std::uint32_t>(limbs, 4);
  assert(limbs >= 1 && limbs <= parameters_->q_count() && plaintext.size() >= count * n);

  Words coefficients(plaintext.begin(), plaintext.begin() + static_cast<std::ptrdiff_t>(count * n));
  const std::uint32_t* residues[4] = {};
  for (std::uint32_t l = 0; l < count; ++l) {
    math::kernels().ntt_inverse(parameters_->ntt(l), coefficients.data() + l * n);
    residues[l] = coefficients.data() + l * n;
  }
  const CentredLift lift(*parameters_, count);
  const double factor = 1 / scale.value();
  std::vector<Complex> values(p);
  for (std::size_t k = 0; k < p; ++k) values[k] = {lift(residues, k) * factor, lift(residues, k + p) * factor};
  // Of a decrypted ciphertext: with it, they tell the secret key.
  crypto::wipe(coefficients.data(), coefficients.size() * sizeof(coefficients[0]));

  transform(values);
  return values;
}

std::vector<Complex> Encoder::to_slots(std::span<const std::int64_t> coefficients, Scale scale) const {
  assert(std::has_single_bit(coefficients.size()) && coefficients.size() >= 2 && coefficients.size() <= parameters_->ring_degree());
  const std::size_t p = coefficients.size() / 2;
  std::vector<Complex> values(p);
  for (std::size_t k = 0; k < p; ++k)
    values[k] = Complex(static_cast<double>(coefficients[k]), static_cast<double>(coefficients[k + p])) / scale.value();
  transform(values);
  return values;
}

void Encoder::transform(std::span<Complex> values) const {
  bit_reverse(values);
  for (std::size_t length = 2; length <= values.size(); length *= 2) {
    const std::size_t half = length / 2;
    for (std::size_t i = 0; i < values.size(); i += length) {
      for (std::size_t j = 0; j < half; ++j) {
        const Complex root = roots_[half + j];
        const Complex a = values[i + j], b = multiply(values[i + j + half], root);
        values[i + j] = a + b;
        values[i + j + half] = a - b;
      }
    }
  }
}

}  // namespace brainlock::ckks
