#include <algorithm>
#include <cmath>

#include "brainlock/ckks/uniform.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/math/kernels.hpp"
#include "sampling.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

using ckks::Ciphertext;
using ckks::Encoder;
using ckks::Parameters;
using ckks::Scale;
using Complex = std::complex<double>;

Status check_encoder(const Parameters& parameters, const Encoder& encoder) {
  if (&encoder.parameters() != &parameters && encoder.parameters().id() != parameters.id()) {
    return {ErrorCode::kMismatch, "encoder and key belong to different parameters"};
  }
  return {};
}

/// All N coefficients of the message, checked against the modulus: a message that wraps decrypts to nonsense.
Result<crypto::Secret<std::int64_t>> message(const Parameters& parameters, const Encoder& encoder,
                                             std::span<const Complex> slots, Scale scale, std::uint32_t limbs) {
  if (limbs == 0 || limbs > parameters.q_count()) {
    return {ErrorCode::kInvalidArgument, "encrypt: " + std::to_string(limbs) + " limbs, expected 1 to " +
                                             std::to_string(parameters.q_count())};
  }
  BRAINLOCK_ASSIGN(const auto coefficients, encoder.to_coefficients(slots, scale));
  double half_modulus = 0.5;
  for (std::uint32_t l = 0; l < limbs; ++l) half_modulus *= parameters.modulus(l).q;
  crypto::Secret<std::int64_t> out(parameters.ring_degree());
  const std::size_t stride = parameters.ring_degree() / coefficients.size();
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    if (std::fabs(static_cast<double>(coefficients[k])) >= half_modulus - 64) {
      return {ErrorCode::kInvalidArgument, "encrypt: a coefficient exceeds half of the modulus of " +
                                               std::to_string(limbs) + " limbs: lower the scale or use more limbs"};
    }
    out.data()[k * stride] = coefficients[k];
  }
  return out;
}

void add_error(crypto::SecureRandom& random, crypto::Secret<std::int8_t>& scratch, std::span<std::int64_t> values) {
  sample_gaussian(random, scratch.values());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += scratch.data()[i];
}

/// out = NTT(values mod q), |values| <= 2^62 + 2^10.
void transform(const math::NttTables& tables, std::span<const std::int64_t> values, std::uint32_t* out) {
  // A multiple of q just below 2^63 makes every value positive: no branch on the sign of a secret.
  const std::uint64_t offset = (std::uint64_t{1} << 63) / tables.modulus.q * tables.modulus.q;
  for (std::size_t i = 0; i < values.size(); ++i) {
    out[i] = math::reduce_u64(static_cast<std::uint64_t>(values[i]) + offset, tables.modulus);
  }
  math::kernels().ntt_forward(tables, out);
}

}  // namespace

Result<Ciphertext> encrypt(const SecretKey& key, const Encoder& encoder, std::span<const Complex> slots, Scale scale,
                           std::uint32_t limbs) {
  const auto& secret = key.impl();
  const Parameters& parameters = *secret.parameters;
  const auto& kernels = math::kernels();
  const std::size_t n = parameters.ring_degree();
  BRAINLOCK_TRY(check_encoder(parameters, encoder));
  BRAINLOCK_ASSIGN(auto values, message(parameters, encoder, slots, scale, limbs));
  crypto::SecureRandom random;
  crypto::Secret<std::int8_t> scratch(n);
  add_error(random, scratch, values.values());

  Ciphertext out;
  out.limbs = limbs;
  out.scale = scale;
  out.seed.emplace();
  crypto::random_bytes(*out.seed);
  ckks::expand(out, parameters);
  out.c0.resize(limbs * n);
  crypto::Secret<std::uint32_t> product(n);
  for (std::uint32_t l = 0; l < limbs; ++l) {
    const auto& tables = parameters.ntt(l);
    std::uint32_t* c0 = out.c0.data() + l * n;
    transform(tables, values.values(), c0);
    kernels.mul(product.data(), out.c1.data() + l * n, secret.limb(l).data(), tables.modulus, n);
    kernels.sub(c0, c0, product.data(), tables.modulus, n);
  }
  return out;
}

Result<Ciphertext> encrypt_public(const Parameters& parameters, const ckks::PublicKey& key, const Encoder& encoder,
                                  std::span<const Complex> slots, Scale scale, std::uint32_t limbs) {
  const auto& kernels = math::kernels();
  const std::size_t n = parameters.ring_degree();
  BRAINLOCK_TRY(check_encoder(parameters, encoder));
  const std::size_t words = std::size_t{parameters.q_count()} * n;
  if (key.b.size() != words || (key.a.size() != words && !(key.a.empty() && key.seed))) {
    return {ErrorCode::kMismatch, "public key: " + std::to_string(key.b.size()) + " words, expected " + std::to_string(words)};
  }
  BRAINLOCK_ASSIGN(auto values, message(parameters, encoder, slots, scale, limbs));
  crypto::SecureRandom random;
  crypto::Secret<std::int8_t> scratch(n);
  crypto::Secret<std::int64_t> mask(n), error(n);
  sample_ternary(random, scratch.values());
  std::copy_n(scratch.data(), n, mask.data());
  add_error(random, scratch, values.values());
  add_error(random, scratch, error.values());

  Ciphertext out;
  out.limbs = limbs;
  out.scale = scale;
  out.c0.resize(limbs * n);
  out.c1.resize(limbs * n);
  crypto::Secret<std::uint32_t> v(n);
  ckks::Words expanded(key.a.empty() ? n : 0);
  for (std::uint32_t l = 0; l < limbs; ++l) {
    const auto& tables = parameters.ntt(l);
    if (key.a.empty()) ckks::uniform_limb(*key.seed, l, tables.modulus.q, expanded.data(), n);
    const std::uint32_t* a = key.a.empty() ? expanded.data() : key.a.data() + l * n;
    transform(tables, mask.values(), v.data());
    transform(tables, values.values(), out.c0.data() + l * n);
    transform(tables, error.values(), out.c1.data() + l * n);
    kernels.mul_add(out.c0.data() + l * n, v.data(), key.b.data() + l * n, tables.modulus, n);
    kernels.mul_add(out.c1.data() + l * n, v.data(), a, tables.modulus, n);
  }
  return out;
}

Result<std::vector<Complex>> decrypt(const SecretKey& key, const Encoder& encoder, const Ciphertext& ciphertext) {
  const auto& secret = key.impl();
  const Parameters& parameters = *secret.parameters;
  const std::size_t n = parameters.ring_degree();
  BRAINLOCK_TRY(check_encoder(parameters, encoder));
  const std::uint32_t limbs = ciphertext.limbs;
  if (limbs == 0 || limbs > parameters.q_count()) {
    return {ErrorCode::kInvalidArgument, "decrypt: " + std::to_string(limbs) + " limbs, expected 1 to " +
                                             std::to_string(parameters.q_count())};
  }
  const bool seeded = ciphertext.c1.empty() && ciphertext.seed.has_value();
  if (ciphertext.c0.size() != limbs * n || (ciphertext.c1.size() != limbs * n && !seeded)) {
    return {ErrorCode::kInvalidArgument, "decrypt: " + std::to_string(ciphertext.c0.size()) + " and " +
                                             std::to_string(ciphertext.c1.size()) + " words, expected " +
                                             std::to_string(limbs * n)};
  }
  // Decoding looks at no more than four limbs.
  const std::uint32_t used = std::min<std::uint32_t>(limbs, 4);
  return encoder.decode(detail::plaintext_of(secret, ciphertext, used).values(), used, ciphertext.scale);
}

DecryptedSlots::~DecryptedSlots() {
  for (auto& slots : slots_) crypto::wipe(slots.data(), slots.size() * sizeof(slots[0]));
}

crypto::Secret<std::uint32_t> detail::plaintext_of(const SecretKey::Impl& secret, const Ciphertext& ciphertext,
                                                   std::uint32_t used) {
  const Parameters& parameters = *secret.parameters;
  const auto& kernels = math::kernels();
  const std::size_t n = parameters.ring_degree();
  const bool seeded = ciphertext.c1.empty();
  crypto::Secret<std::uint32_t> plaintext(used * n);
  ckks::Words expanded(seeded ? n : 0);
  for (std::uint32_t l = 0; l < used; ++l) {
    const auto& modulus = parameters.modulus(l);
    if (seeded) ckks::uniform_limb(*ciphertext.seed, l, modulus.q, expanded.data(), n);
    const std::uint32_t* c1 = seeded ? expanded.data() : ciphertext.c1.data() + l * n;
    kernels.mul(plaintext.data() + l * n, c1, secret.limb(l).data(), modulus, n);
    kernels.add(plaintext.data() + l * n, plaintext.data() + l * n, ciphertext.c0.data() + l * n, modulus, n);
  }
  return plaintext;
}

}  // namespace brainlock::ckks_client
