#include "brainlock/crypto/bip39.hpp"

#include <algorithm>
#include <set>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/crypto/sr25519.hpp"
#include "vectors.hpp"

namespace brainlock::crypto {
namespace {

TEST(Bip39, WordListIsTheStandardOne) {
  std::string text;
  for (auto word : bip39_english_words()) text.append(word).push_back('\n');
  EXPECT_EQ(hex_encode(sha256(as_bytes(text))), "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
  EXPECT_TRUE(std::is_sorted(bip39_english_words().begin(), bip39_english_words().end()));
}

TEST(Bip39, VectorsToEntropySeedAndKey) {
  for (const auto& v : known_answers()["mnemonic"]) {
    const auto mnemonic = v["mnemonic"].get<std::string>();
    EXPECT_EQ(hex_encode_0x(*mnemonic_to_entropy(mnemonic)), v["entropy"]);
    EXPECT_EQ(*mnemonic_from_entropy(unhex(v["entropy"])), mnemonic);
    const auto seed = mnemonic_to_mini_secret(mnemonic, v["password"].get<std::string>());
    ASSERT_TRUE(seed.ok());
    EXPECT_EQ(hex_encode_0x(seed->view()), v["miniSecret"]);
    EXPECT_EQ(hex_encode_0x(Sr25519KeyPair::from_mini_secret(seed->view())->public_key()), v["pub"]);
  }
}

TEST(Bip39, GeneratedPhrasesRoundTripAtEveryLength) {
  for (int words : {12, 15, 18, 21, 24}) {
    std::set<std::string> seen;
    for (int i = 0; i < 20; ++i) {
      const auto phrase = generate_mnemonic(words);
      ASSERT_TRUE(phrase.ok());
      EXPECT_EQ(*mnemonic_from_entropy(*mnemonic_to_entropy(*phrase)), *phrase);
      seen.insert(*phrase);
    }
    EXPECT_EQ(seen.size(), 20u);
  }
  EXPECT_EQ(generate_mnemonic(13).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(mnemonic_from_entropy(Bytes(15)).error().code, ErrorCode::kInvalidArgument);
}

TEST(Bip39, CaseAndWhiteSpaceDoNotMatter) {
  const auto entropy = mnemonic_to_entropy(
      "  Bottom drive\tobey LAKE curtain smoke\nbasket hold race lonely fit walk \r\n");
  ASSERT_TRUE(entropy.ok());
  EXPECT_EQ(hex_encode(*entropy), "1a486a5fbe53639984cb64b070755f7b");
}

TEST(Bip39, RefusalsNeverQuoteTheWord) {
  const std::string good = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
  const auto unknown = mnemonic_to_entropy("hunter2 drive obey lake curtain smoke basket hold race lonely fit walk");
  EXPECT_EQ(unknown.error().code, ErrorCode::kMalformed);
  EXPECT_EQ(unknown.error().message.find("hunter2"), std::string::npos);
  EXPECT_EQ(mnemonic_to_entropy("bottom bottom obey lake curtain smoke basket hold race lonely fit walk").error().code,
            ErrorCode::kCorrupted);
  EXPECT_EQ(mnemonic_to_entropy("").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(mnemonic_to_entropy("walk").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(mnemonic_to_entropy(good + " " + good + " " + good).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(mnemonic_to_entropy(std::string(1000, 'a')).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(mnemonic_to_entropy("abandonabandon drive obey lake curtain smoke basket hold race lonely fit walk")
                .error()
                .code,
            ErrorCode::kMalformed);
}

}  // namespace
}  // namespace brainlock::crypto
