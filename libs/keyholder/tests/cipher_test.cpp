#include "brainlock/keyholder/cipher.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "sample.hpp"

namespace brainlock::keyholder {
namespace {

struct CipherTest : testing::Test {
  std::shared_ptr<const package::Package> package = test::sample();
  ckks_client::SecretKey secret = ckks_client::SecretKey::generate(package->parameters()).value();
  ckks::Encoder encoder{package->parameters()};
  std::vector<float> tensor{0.5F, -0.25F, 0, 1, -1, 0.125F, 0.75F, -0.5F};

  /// What a server would give that computes the identity: the tensor where outputs are expected.
  std::vector<ckks::Ciphertext> answer() {
    const plan::TensorMap& map = package->program().output;
    std::vector<ckks::Ciphertext> out;
    for (const auto& slots : plan::pack(map, package->parameters()->slots(), tensor)) {
      out.push_back(
          ckks_client::encrypt(secret, encoder, slots, ckks::Scale::from_value(map.scale), map.limbs).value());
      out.back().seed.reset();
    }
    return out;
  }
  std::vector<std::uint8_t> bytes_of(const std::vector<ckks::Ciphertext>& ciphertexts) {
    return wire::serialize_ciphertexts(ciphertexts, *package->parameters()).value();
  }
  static ErrorCode code(const Result<std::vector<double>>& result) {
    return result.ok() ? ErrorCode::kInternal : result.error().code;
  }
};

TEST_F(CipherTest, QuestionsHaveTheirSizeAndAreNeverTheSame) {
  const Cipher cipher(package, std::move(secret));
  const auto a = cipher.encrypt(tensor), b = cipher.encrypt(tensor);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->size(), cipher.question_bytes());
  EXPECT_NE(*a, *b);
}

TEST_F(CipherTest, InputsThatAreNoneAreRefused) {
  const Cipher cipher(package, std::move(secret));
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38F}) {
    auto input = tensor;
    input[2] = odd;
    const auto question = cipher.encrypt(input);
    ASSERT_FALSE(question.ok()) << odd;
    EXPECT_EQ(question.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(cipher.encrypt({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(cipher.encrypt(std::span(tensor).first(7)).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(CipherTest, AnswersAreDecryptedAndNothingElseIs) {
  const auto good = bytes_of(answer());
  auto trivial = answer();
  std::fill_n(trivial[0].c1.begin(), package->parameters()->ring_degree(), 0U);  // one limb is enough
  auto two = answer(), more = answer();
  two.push_back(std::move(more[0]));
  auto shorter = answer();
  const std::size_t kept = package->parameters()->ring_degree();
  shorter[0].limbs = 1;
  shorter[0].scale = ckks::Scale::from_value(0x1p20);  // which one prime holds
  shorter[0].c0.resize(kept);
  shorter[0].c1.resize(kept);
  auto scaled = answer();
  scaled[0].scale = ckks::Scale::from_value(package->program().output.scale * 2);
  const auto hides_nothing = bytes_of(trivial), many = bytes_of(two), low = bytes_of(shorter), off = bytes_of(scaled);

  const Cipher cipher(package, std::move(secret));
  EXPECT_EQ(good.size(), cipher.answer_bytes());
  const auto outputs = cipher.decrypt(good);
  ASSERT_TRUE(outputs.ok()) << outputs.error().to_string();
  for (std::size_t i = 0; i < tensor.size(); ++i) EXPECT_NEAR((*outputs)[i], static_cast<double>(tensor[i]), 1e-2);
  EXPECT_EQ(code(cipher.decrypt(hides_nothing)), ErrorCode::kInsecure);
  EXPECT_EQ(code(cipher.decrypt(many)), ErrorCode::kTooLarge);
  EXPECT_EQ(code(cipher.decrypt(low)), ErrorCode::kMismatch);
  EXPECT_EQ(code(cipher.decrypt(off)), ErrorCode::kMismatch);
  EXPECT_EQ(code(cipher.decrypt(*cipher.encrypt(tensor))), ErrorCode::kMismatch) << "a question is no answer";
  EXPECT_EQ(code(cipher.decrypt(std::span(good).first(good.size() - 1))), ErrorCode::kTruncated);
  EXPECT_FALSE(cipher.decrypt({}).ok());
}

}  // namespace
}  // namespace brainlock::keyholder
