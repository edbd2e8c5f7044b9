#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "brainlock/ckks/uniform.hpp"
#include "brainlock/math/kernels.hpp"
#include "client_parameters.hpp"
#include "sampling.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

using ckks::EvaluationKey;
using ckks::KeyRequest;
using ckks::Parameters;
using ckks::Words;
using Coefficients = std::vector<std::int64_t>;

/// a(X^g) modulo X^N + 1, term by term.
Coefficients automorphism(const Coefficients& a, std::uint64_t g) {
  const std::size_t n = a.size();
  Coefficients out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t e = i * g % (2 * n);
    out[e % n] += e < n ? a[i] : -a[i];
  }
  return out;
}

Words to_evaluation(const Coefficients& a, const math::NttTables& tables) {
  Words out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = math::reduce_i64(a[i], tables.modulus);
  math::kernels().ntt_forward(tables, out.data());
  return out;
}

std::uint64_t inverse(std::uint64_t g, std::uint64_t order) {
  for (std::uint64_t x = 1; x < order; x += 2) {
    if (g * x % order == 1) return x;
  }
  return 0;
}

/// b + a * to - P g_d from must be one small polynomial, the same modulo every prime.
void expect_key_equation(const SecretKey& secret, EvaluationKey& key) {
  const Parameters& parameters = secret.parameters();
  const auto& kernels = math::kernels();
  const std::size_t n = parameters.ring_degree();
  const std::uint32_t row = key.limbs + parameters.p_count(), digits = parameters.digits(key.limbs);
  ASSERT_EQ(key.b.size(), digits * row * n);
  ASSERT_TRUE(key.a.empty());
  ASSERT_TRUE(key.seed.has_value());
  ckks::expand(key, parameters);

  const auto& ternary = secret.impl().coefficients;
  const Coefficients s(ternary.data(), ternary.data() + n);
  const bool relinearisation = key.galois_element == 0;
  const Coefficients to = relinearisation ? s : automorphism(s, inverse(key.galois_element, 2 * n));
  double squares = 0;
  for (std::uint32_t d = 0; d < digits; ++d) {
    Coefficients error;
    for (std::uint32_t l = 0; l < row; ++l) {
      const std::uint32_t index = l < key.limbs ? l : parameters.q_count() + l - key.limbs;
      const auto& tables = parameters.ntt(index);
      const auto& m = tables.modulus;
      const std::size_t offset = (std::size_t{d} * row + l) * n;
      Words rest(key.b.begin() + offset, key.b.begin() + offset + n);
      kernels.mul_add(rest.data(), key.a.data() + offset, to_evaluation(to, tables).data(), m, n);
      if (l < key.limbs && l / parameters.digit_limbs() == d) {
        std::uint32_t special = 1;
        for (const auto p : parameters.spec().p) special = math::mul_mod(special, p % m.q, m);
        Words from = to_evaluation(s, tables);
        if (relinearisation) kernels.mul(from.data(), from.data(), to_evaluation(s, tables).data(), m, n);
        for (auto& x : from) x = math::mul_mod(x, special, m);
        kernels.sub(rest.data(), rest.data(), from.data(), m, n);
      }
      kernels.ntt_inverse(tables, rest.data());
      Coefficients centred(n);
      for (std::size_t i = 0; i < n; ++i) centred[i] = rest[i] > m.q / 2 ? std::int64_t{rest[i]} - m.q : rest[i];
      if (l == 0) {
        error = centred;
        for (const auto e : error) {
          ASSERT_LE(std::abs(e), kErrorBound) << "digit " << d;
          squares += static_cast<double>(e * e);
        }
      } else {
        ASSERT_EQ(centred, error) << "digit " << d << " limb " << l;
      }
    }
  }
  if (n >= 1024) {
    EXPECT_NEAR(std::sqrt(squares / (digits * double(n))), kErrorSigma, 0.25);
  }
}

struct Ring {
  std::uint32_t degree;
  int q_count;
  std::uint32_t digit_limbs;
  int p_count;
};
class KeyGeneration : public ::testing::TestWithParam<Ring> {};
INSTANTIATE_TEST_SUITE_P(Toys, KeyGeneration,
                         ::testing::Values(Ring{8, 1, 1, 1}, Ring{16, 4, 1, 1}, Ring{32, 5, 2, 2}, Ring{64, 7, 3, 3}));

TEST_P(KeyGeneration, EveryKindAtEveryLimbCountSatisfiesItsEquation) {
  const auto parameters = testing::make_toy(GetParam().degree, GetParam().q_count, GetParam().digit_limbs, GetParam().p_count);
  const auto secret = SecretKey::generate(parameters);
  ASSERT_TRUE(secret.ok());
  const std::uint32_t n = parameters->ring_degree();
  for (std::uint32_t limbs = 1; limbs <= parameters->q_count(); ++limbs) {
    const std::vector<KeyRequest> requests{{0, limbs}, {ckks::rotation_element(n, 1), limbs},
                                           {ckks::rotation_element(n, -1), limbs}, {ckks::conjugation_element(n), limbs}};
    for (const unsigned threads : {1u, 3u}) {
      auto keys = generate_keys(*secret, requests, threads);
      ASSERT_TRUE(keys.ok());
      ASSERT_EQ(keys->keys.size(), requests.size());
      for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(keys->keys[i].galois_element, requests[i].galois_element);
        EXPECT_EQ(keys->keys[i].limbs, limbs);
        expect_key_equation(*secret, keys->keys[i]);
      }
    }
  }
}

TEST(KeyGenerationReal, EquationHoldsAtFullSize) {
  const auto parameters = testing::make_real(15);
  const auto secret = SecretKey::generate(parameters);
  ASSERT_TRUE(secret.ok());
  const std::vector<KeyRequest> requests{{0, 13}, {ckks::rotation_element(1u << 15, 77), 9}};
  std::size_t calls = 0;
  auto keys = generate_keys(*secret, requests, 2, [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(done, ++calls);
    EXPECT_EQ(total, 2u);
  });
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(calls, 2u);
  for (auto& key : keys->keys) expect_key_equation(*secret, key);
}

TEST(KeyGenerationErrors, RequestsOutOfRange) {
  const auto parameters = testing::make_toy(16, 3, 1, 1);
  const auto secret = SecretKey::generate(parameters);
  for (const KeyRequest& bad : {KeyRequest{5, 0}, KeyRequest{5, 4}, KeyRequest{6, 1}, KeyRequest{33, 1}}) {
    const auto keys = generate_keys(*secret, std::vector<KeyRequest>{{0, 1}, bad}, 1);
    ASSERT_FALSE(keys.ok());
    EXPECT_EQ(keys.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(generate_keys(*secret, std::vector<KeyRequest>{{5, 1}, {5, 2}}, 1).ok());
}

TEST(KeyGenerationStream, DeliversInOrderAndStopsOnError) {
  const auto parameters = testing::make_toy(16, 3, 1, 1);
  const auto secret = SecretKey::generate(parameters);
  const std::vector<KeyRequest> requests{{0, 3}, {5, 2}, {25, 3}, {31, 1}, {29, 3}};
  std::vector<std::uint32_t> order;
  ASSERT_TRUE(generate_keys_into(*secret, requests, 2, [&](EvaluationKey&& key) {
                order.push_back(key.galois_element);
                expect_key_equation(*secret, key);
                return Status{};
              }).ok());
  EXPECT_EQ(order, (std::vector<std::uint32_t>{0, 5, 25, 31, 29}));
  std::size_t calls = 0;
  const auto stopped = generate_keys_into(*secret, requests, 2, [&](EvaluationKey&&) {
    return ++calls == 3 ? Status(ErrorCode::kIo, "disk full") : Status{};
  });
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().message, "disk full");
  EXPECT_EQ(calls, 3u);
}

/// A rotation done by hand with the key, word for word as EvaluationKey documents it: digits of one limb, the inner
/// product first, division by the one special prime, the automorphism last.
TEST(KeyGeneration, GaloisKeyRotatesACiphertext) {
  const std::uint32_t n = 64, limbs = 3;
  const auto parameters = testing::make_toy(n, 4, 1, 1);
  const auto& kernels = math::kernels();
  const ckks::Encoder encoder(parameters);
  const auto secret = SecretKey::generate(parameters);
  std::vector<std::complex<double>> slots(n / 2);
  std::mt19937 engine(3);
  for (auto& z : slots) z = {static_cast<double>(engine() % 1000) / 1000, static_cast<double>(engine() % 1000) / 1000};
  const auto ciphertext = encrypt(*secret, encoder, slots, ckks::Scale::from_log2(40), limbs);
  ASSERT_TRUE(ciphertext.ok());

  for (const std::int64_t steps : {1, 5, -3}) {
    const std::uint32_t element = ckks::rotation_element(n, steps);
    auto keys = generate_keys(*secret, std::vector<KeyRequest>{{element, limbs}}, 1);
    ASSERT_TRUE(keys.ok());
    auto& key = keys->keys[0];
    ckks::expand(key, *parameters);
    const std::uint32_t row = limbs + 1;
    Words sums[2] = {Words(row * n), Words(row * n)};
    for (std::uint32_t d = 0; d < limbs; ++d) {
      Words digit(ciphertext->c1.begin() + d * n, ciphertext->c1.begin() + (d + 1) * n);
      kernels.ntt_inverse(parameters->ntt(d), digit.data());
      for (std::uint32_t l = 0; l < row; ++l) {
        const auto& tables = parameters->ntt(l < limbs ? l : parameters->q_count());
        Words lifted(n);
        kernels.reduce_centred(lifted.data(), digit.data(), parameters->modulus(d).q, tables.modulus, n);
        kernels.ntt_forward(tables, lifted.data());
        const std::size_t offset = (d * row + l) * n;
        kernels.mul_add(sums[0].data() + l * n, lifted.data(), key.b.data() + offset, tables.modulus, n);
        kernels.mul_add(sums[1].data() + l * n, lifted.data(), key.a.data() + offset, tables.modulus, n);
      }
    }
    const auto table = math::make_automorphism_table(n, element);
    ckks::Ciphertext rotated;
    rotated.limbs = limbs;
    rotated.scale = ciphertext->scale;
    rotated.c0.resize(limbs * n);
    rotated.c1.resize(limbs * n);
    for (int part = 0; part < 2; ++part) {
      Words special(sums[part].begin() + limbs * n, sums[part].end());
      const auto& p_tables = parameters->ntt(parameters->q_count());
      kernels.ntt_inverse(p_tables, special.data());
      for (std::uint32_t l = 0; l < limbs; ++l) {
        const auto& tables = parameters->ntt(l);
        Words low(n), result(n);
        kernels.reduce_centred(low.data(), special.data(), p_tables.modulus.q, tables.modulus, n);
        kernels.ntt_forward(tables, low.data());
        const std::uint32_t p_inverse = math::inv_mod(math::reduce_u64(p_tables.modulus.q, tables.modulus), tables.modulus);
        const auto shoup = static_cast<std::uint32_t>((std::uint64_t{p_inverse} << 32) / tables.modulus.q);
        kernels.sub_mul_scalar(result.data(), sums[part].data() + l * n, low.data(), p_inverse, shoup, tables.modulus, n);
        if (part == 0) kernels.add(result.data(), result.data(), ciphertext->c0.data() + l * n, tables.modulus, n);
        kernels.permute((part == 0 ? rotated.c0 : rotated.c1).data() + l * n, result.data(), *table, n);
      }
    }
    const auto decrypted = decrypt(*secret, encoder, rotated);
    ASSERT_TRUE(decrypted.ok());
    const auto count = static_cast<std::int64_t>(slots.size());
    for (std::int64_t j = 0; j < count; ++j) {
      EXPECT_LT(std::abs((*decrypted)[j] - slots[((j + steps) % count + count) % count]), 0x1p-25) << steps << " " << j;
    }
  }
}

}  // namespace
}  // namespace brainlock::ckks_client
