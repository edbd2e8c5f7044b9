// Secrets marked as undefined memory: a branch or an address that depends on one is then an error of memcheck. Does
// nothing outside valgrind; ctest runs it there as ckks_client.constant_time where valgrind is installed.
#if __has_include(<valgrind/memcheck.h>)
#include <gtest/gtest.h>
#include <valgrind/memcheck.h>

#include <algorithm>

#include "client_parameters.hpp"
#include "sampling.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

template <typename Range>
void hide(Range&& values) {
  (void)VALGRIND_MAKE_MEM_UNDEFINED(values.data(), values.size() * sizeof(values[0]));
}
/// Declares values public again, as ciphertexts and keys are once they are made.
template <typename Range>
void publish(Range&& values) {
  (void)VALGRIND_MAKE_MEM_DEFINED(values.data(), values.size() * sizeof(values[0]));
}

/// Whether any value is marked: shows that the marks really flowed from the secret to what was computed of it.
template <typename Range>
bool marked(const Range& values) {
  std::vector<std::uint8_t> bits(values.size() * sizeof(values[0]));
  (void)VALGRIND_GET_VBITS(values.data(), bits.data(), bits.size());
  return std::any_of(bits.begin(), bits.end(), [](std::uint8_t byte) { return byte != 0; });
}

class ConstantTime : public ::testing::Test {
 protected:
  void SetUp() override {
    if (RUNNING_ON_VALGRIND == 0) GTEST_SKIP() << "runs under valgrind only";
  }
  std::shared_ptr<const ckks::Parameters> parameters_ = testing::make_toy(256, 3, 1, 1);
};

TEST_F(ConstantTime, Samplers) {
  std::array<std::uint8_t, 32> key{5};
  hide(key);
  auto random = crypto::SecureRandom::from_key_for_tests(key);
  std::vector<std::int8_t> values(4096);
  sample_ternary(random, values);
  sample_gaussian(random, values);
  std::vector<std::uint32_t> residues(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) residues[i] = small_residue(values[i], 268435361);
  EXPECT_TRUE(marked(residues));
}

TEST_F(ConstantTime, KeysEncryptionAndDecryption) {
  auto secret = SecretKey::generate(parameters_);
  auto& impl = const_cast<SecretKey::Impl&>(secret->impl());
  hide(impl.coefficients.values());
  impl.transform();

  auto keys = generate_keys(*secret, std::vector<ckks::KeyRequest>{{0, 3}, {5, 2}}, 1);
  ASSERT_TRUE(keys.ok());
  for (auto& key : keys->keys) {
    EXPECT_TRUE(marked(key.b));
    publish(key.b);
  }
  auto public_key = generate_public_key(*secret);
  EXPECT_TRUE(marked(public_key->b));
  publish(public_key->b);

  const ckks::Encoder encoder(parameters_);
  auto ciphertext = encrypt(*secret, encoder, std::vector<std::complex<double>>(128, 0.5), ckks::Scale::from_log2(30), 3);
  ASSERT_TRUE(ciphertext.ok());
  EXPECT_TRUE(marked(ciphertext->c0));
  publish(ciphertext->c0);
  // The decoder is left out: it may look at the message, which its owner is about to see.
  auto plaintext = detail::plaintext_of(impl, *ciphertext, 3);
  EXPECT_TRUE(marked(plaintext.values()));
  publish(plaintext.values());
  const auto slots = encoder.decode(plaintext.values(), 3, ciphertext->scale);
  EXPECT_LT(std::abs(slots[7] - 0.5), 1e-5);
}

}  // namespace
}  // namespace brainlock::ckks_client
#endif
