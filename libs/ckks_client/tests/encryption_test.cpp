#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "brainlock/ckks/uniform.hpp"
#include "brainlock/math/kernels.hpp"
#include "client_parameters.hpp"
#include "sampling.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

using ::testing::HasSubstr;
using Complex = std::complex<double>;
using ckks::Scale;

std::vector<Complex> random_slots(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<Complex> slots(count);
  for (auto& z : slots) z = {uniform(engine), uniform(engine)};
  return slots;
}

struct ErrorStatistics {
  double rms = 0, largest = 0;
};
ErrorStatistics compare(const std::vector<Complex>& got, const std::vector<Complex>& want) {
  ErrorStatistics out;
  for (std::size_t j = 0; j < got.size(); ++j) {
    const double error = std::abs(got[j] - want[j % want.size()]);
    out.largest = std::max(out.largest, error);
    out.rms += error * error;
  }
  out.rms = std::sqrt(out.rms / static_cast<double>(got.size()));
  return out;
}

/// Error of a slot, rms: each of N coefficients is off by an error of variance v, and a slot sums N of them.
double slot_rms(double coefficient_variance, std::uint32_t n, double scale) {
  return std::sqrt(coefficient_variance * n) / scale;
}

class Encryption : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  static std::shared_ptr<const ckks::Parameters> parameters(std::uint32_t log_degree) {
    return log_degree < 10 ? testing::make_toy(1u << log_degree, 5, 2, 2) : testing::make_real(log_degree);
  }
};
INSTANTIATE_TEST_SUITE_P(Rings, Encryption, ::testing::Values(3u, 4u, 8u, 14u, 15u));

TEST_P(Encryption, SymmetricRoundTripAtEveryLimbCountWithinTheBound) {
  const auto p = parameters(GetParam());
  const ckks::Encoder encoder(p);
  const auto key = SecretKey::generate(p);
  ASSERT_TRUE(key.ok());
  for (std::uint32_t limbs = 1; limbs <= p->q_count(); ++limbs) {
    const double scale = std::exp2(limbs == 1 ? 22 : 40);
    const auto slots = random_slots(p->slots(), limbs);
    const auto ciphertext = encrypt(*key, encoder, slots, Scale::from_value(scale), limbs);
    ASSERT_TRUE(ciphertext.ok()) << ciphertext.error().to_string();
    EXPECT_EQ(ciphertext->limbs, limbs);
    ASSERT_TRUE(ciphertext->seed.has_value());
    const auto decrypted = decrypt(*key, encoder, *ciphertext);
    ASSERT_TRUE(decrypted.ok());
    const auto error = compare(*decrypted, slots);
    const double rms = slot_rms(kErrorSigma * kErrorSigma + 1.0 / 12, p->ring_degree(), scale);
    EXPECT_LT(error.largest, 7 * rms) << limbs << " limbs";
    if (p->ring_degree() >= 1024) {
      EXPECT_NEAR(error.rms / rms, 1, 0.1) << limbs << " limbs";
    }
  }
}

TEST_P(Encryption, PublicRoundTripWithinTheBound) {
  const auto p = parameters(GetParam());
  const ckks::Encoder encoder(p);
  const auto key = SecretKey::generate(p);
  auto public_key = generate_public_key(*key);
  ASSERT_TRUE(public_key.ok());
  for (const std::uint32_t limbs : {2u, p->q_count()}) {
    const double scale = 0x1p40;
    const auto slots = random_slots(p->slots() / 2, limbs);
    const auto ciphertext = encrypt_public(*p, *public_key, encoder, slots, Scale::from_value(scale), limbs);
    ASSERT_TRUE(ciphertext.ok()) << ciphertext.error().to_string();
    EXPECT_FALSE(ciphertext->seed.has_value());
    const auto error = compare(*decrypt(*key, encoder, *ciphertext), slots);
    // v e + e0 + e1 s: two products of a ternary polynomial (variance 2/3) with an error, and one error.
    const double variance = kErrorSigma * kErrorSigma * (2 * 2.0 / 3 * p->ring_degree() + 1) + 1.0 / 12;
    const double rms = slot_rms(variance, p->ring_degree(), scale);
    EXPECT_LT(error.largest, 8 * rms + 0x1p-30);
    if (p->ring_degree() >= 1024) {
      EXPECT_NEAR(error.rms / rms, 1, 0.15);
    }
  }
}

TEST(EncryptionDetail, ErrorPolynomialIsTheSameInEveryLimb) {
  const auto p = testing::make_toy(64, 4, 1, 1);
  const ckks::Encoder encoder(p);
  const auto key = SecretKey::generate(p);
  const auto zero = encrypt(*key, encoder, std::vector<Complex>(32), Scale::from_log2(30), 4);
  ASSERT_TRUE(zero.ok());
  std::vector<std::int64_t> first;
  for (std::uint32_t l = 0; l < 4; ++l) {
    const auto& m = p->modulus(l);
    ckks::Words words(zero->c0.begin() + l * 64, zero->c0.begin() + (l + 1) * 64);
    math::kernels().mul_add(words.data(), zero->c1.data() + l * 64, key->impl().limb(l).data(), m, 64);
    math::kernels().ntt_inverse(p->ntt(l), words.data());
    std::vector<std::int64_t> centred(64);
    for (std::size_t i = 0; i < 64; ++i) centred[i] = words[i] > m.q / 2 ? std::int64_t{words[i]} - m.q : words[i];
    for (const auto e : centred) EXPECT_LE(std::abs(e), kErrorBound);
    if (l == 0) first = centred;
    EXPECT_EQ(centred, first);
  }
  EXPECT_NE(first, std::vector<std::int64_t>(64));
}

TEST(EncryptionDetail, SeededCiphertextNeedsNoC1) {
  const auto p = testing::make_toy(64, 4, 1, 1);
  const ckks::Encoder encoder(p);
  const auto key = SecretKey::generate(p);
  const auto slots = random_slots(32, 4);
  auto ciphertext = *encrypt(*key, encoder, slots, Scale::from_log2(40), 3)->clone().seed;  // a seed alone tells nothing
  auto full = encrypt(*key, encoder, slots, Scale::from_log2(40), 3);
  EXPECT_NE(*full->seed, ciphertext);
  auto bare = full->clone();
  bare.c1.clear();
  const auto decrypted = decrypt(*key, encoder, bare);
  ASSERT_TRUE(decrypted.ok());
  EXPECT_LT(compare(*decrypted, slots).largest, 0x1p-28);
  ckks::expand(bare, *p);
  EXPECT_EQ(bare.c1, full->c1);
}

TEST(EncryptionDetail, PublicKeyMayComeAsSeed) {
  const auto p = testing::make_toy(64, 4, 1, 1);
  const ckks::Encoder encoder(p);
  const auto key = SecretKey::generate(p);
  auto public_key = generate_public_key(*key);
  public_key->a.clear();
  const auto slots = random_slots(32, 4);
  const auto ciphertext = encrypt_public(*p, *public_key, encoder, slots, Scale::from_log2(40), 4);
  ASSERT_TRUE(ciphertext.ok());
  EXPECT_LT(compare(*decrypt(*key, encoder, *ciphertext), slots).largest, 0x1p-24);
}

TEST(EncryptionDetail, AnotherKeyDecryptsToNoise) {
  const auto p = testing::make_toy(256, 4, 1, 1);
  const ckks::Encoder encoder(p);
  const auto key = SecretKey::generate(p), other = SecretKey::generate(p);
  const auto slots = random_slots(128, 4);
  const auto ciphertext = encrypt(*key, encoder, slots, Scale::from_log2(40), 3);
  EXPECT_GT(compare(*decrypt(*other, encoder, *ciphertext), slots).rms, 1000);
}

TEST(EncryptionErrors, AreCoded) {
  const auto p = testing::make_toy(64, 3, 1, 1);
  const auto foreign = testing::make_toy(32, 3, 1, 1);
  const ckks::Encoder encoder(p), foreign_encoder(foreign);
  const auto key = SecretKey::generate(p);
  const auto slots = random_slots(32, 1);
  const auto refused = [](const auto& result, ErrorCode code, const char* text) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, code);
    EXPECT_THAT(result.error().message, HasSubstr(text));
  };
  const auto scale = Scale::from_log2(20);
  refused(encrypt(*key, encoder, slots, scale, 0), ErrorCode::kInvalidArgument, "0 limbs, expected 1 to 3");
  refused(encrypt(*key, encoder, slots, scale, 4), ErrorCode::kInvalidArgument, "4 limbs");
  refused(encrypt(*key, encoder, std::vector<Complex>(5), scale, 1), ErrorCode::kInvalidArgument, "5 slots");
  refused(encrypt(*key, encoder, slots, Scale::from_log2(30), 1), ErrorCode::kInvalidArgument, "half of the modulus");
  refused(encrypt(*key, foreign_encoder, random_slots(16, 1), scale, 1), ErrorCode::kMismatch, "different parameters");
  auto ciphertext = encrypt(*key, encoder, slots, scale, 2);
  ASSERT_TRUE(ciphertext.ok());
  ciphertext->limbs = 3;
  refused(decrypt(*key, encoder, *ciphertext), ErrorCode::kInvalidArgument, "words, expected 192");
  ciphertext->limbs = 9;
  refused(decrypt(*key, encoder, *ciphertext), ErrorCode::kInvalidArgument, "9 limbs");
  ckks::PublicKey empty;
  refused(encrypt_public(*p, empty, encoder, slots, scale, 1), ErrorCode::kMismatch, "public key: 0 words");
}

}  // namespace
}  // namespace brainlock::ckks_client
