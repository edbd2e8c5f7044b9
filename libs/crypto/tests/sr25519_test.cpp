#include "brainlock/crypto/sr25519.hpp"

#include <random>

#include "brainlock/crypto/ss58.hpp"
#include "vectors.hpp"

namespace brainlock::crypto {
namespace {

TEST(Sr25519, PositiveVectors) {
  for (const auto& v : known_answers()["sign"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    const auto pair = Sr25519KeyPair::from_mini_secret(unhex(v["seed"]));
    ASSERT_TRUE(pair.ok());
    EXPECT_EQ(hex_encode_0x(pair->public_key()), v["pub"]);
    EXPECT_EQ(ss58_encode(pair->public_key()), v["ss58"]);
    EXPECT_TRUE(sr25519_verify(pair->public_key(), unhex(v["msg"]), unhex(v["sig"])));
    const auto ours = pair->sign(unhex(v["msg"]));
    ASSERT_TRUE(ours.ok());
    EXPECT_TRUE(sr25519_verify(pair->public_key(), unhex(v["msg"]), *ours));
  }
}

TEST(Sr25519, NegativeVectors) {
  ASSERT_GE(known_answers()["negative"].size(), 10u);
  for (const auto& v : known_answers()["negative"]) {
    EXPECT_FALSE(sr25519_verify(unhex(v["pub"]), unhex(v["msg"]), unhex(v["sig"]))) << v["why"];
  }
}

TEST(Sr25519, WrappedMessageIsAnotherMessage) {
  const auto& v = known_answers()["negative"][8];
  EXPECT_TRUE(sr25519_verify(unhex(v["pub"]), "<Bytes>hello</Bytes>", unhex(v["sig"])));
  EXPECT_FALSE(sr25519_verify(unhex(v["pub"]), "hello", unhex(v["sig"])));
}

TEST(Sr25519, WrongLengthsAreRefused) {
  const auto& v = known_answers()["sign"][1];
  const Bytes key = unhex(v["pub"]), message = unhex(v["msg"]), signature = unhex(v["sig"]);
  for (std::size_t size = 0; size < 64; ++size) {
    EXPECT_FALSE(sr25519_verify(key, message, ByteView(signature).first(size)));
  }
  EXPECT_FALSE(sr25519_verify(ByteView(key).first(31), message, signature));
  EXPECT_EQ(Sr25519KeyPair::from_mini_secret(ByteView(key).first(31)).error().code, ErrorCode::kInvalidArgument);
}

TEST(Sr25519, EveryBitOfSignatureKeyAndMessageCounts) {
  const auto& v = known_answers()["sign"][1];
  const Bytes key = unhex(v["pub"]), message = unhex(v["msg"]), signature = unhex(v["sig"]);
  for (const Bytes* original : {&signature, &key, &message}) {
    for (std::size_t bit = 0; bit < original->size() * 8; ++bit) {
      Bytes changed = *original;
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1u << bit % 8);
      EXPECT_FALSE(sr25519_verify(original == &key ? changed : key, original == &message ? changed : message,
                                  original == &signature ? changed : signature))
          << bit;
    }
  }
}

TEST(Sr25519, SignaturesAreRandomisedAndVerify) {
  std::mt19937_64 random(42);
  for (int i = 0; i < 50; ++i) {
    const auto pair = Sr25519KeyPair::from_mini_secret(generate_mini_secret().view());
    Bytes message(random() % 600);
    for (auto& b : message) b = static_cast<std::uint8_t>(random());
    const auto a = pair->sign(message), b = pair->sign(message);
    EXPECT_NE(*a, *b);
    EXPECT_TRUE(sr25519_verify(pair->public_key(), message, *a));
    EXPECT_TRUE(sr25519_verify(pair->public_key(), message, *b));
  }
}

TEST(Sr25519, HardDerivationVectors) {
  for (const auto& v : known_answers()["derive"]) {
    const auto pair = Sr25519KeyPair::from_uri(v["uri"].get<std::string>());
    ASSERT_TRUE(pair.ok());
    EXPECT_EQ(hex_encode_0x(pair->public_key()), v["pub"]);
    EXPECT_EQ(ss58_encode(pair->public_key()), v["ss58"]);
  }
  const auto phrase = Sr25519KeyPair::from_uri("bottom drive obey lake curtain smoke basket hold race lonely fit walk");
  EXPECT_EQ(hex_encode(phrase->derive_hard("Alice").view()),
            "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a");
}

TEST(Sr25519, UriFormsAndRefusals) {
  const auto seeded = Sr25519KeyPair::from_uri(
      "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a");
  EXPECT_EQ(seeded->public_key(), Sr25519KeyPair::from_uri("//Alice")->public_key());
  const auto& pw = known_answers()["mnemonic"][2];
  const auto with_password =
      Sr25519KeyPair::from_uri(pw["mnemonic"].get<std::string>() + "///" + pw["password"].get<std::string>());
  EXPECT_EQ(hex_encode_0x(with_password->public_key()), pw["pub"]);
  EXPECT_EQ(Sr25519KeyPair::from_uri("/soft").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Sr25519KeyPair::from_uri("//a//").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Sr25519KeyPair::from_uri("0x1234").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Sr25519KeyPair::from_uri("not words").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Sr25519KeyPair::from_uri(std::string(5000, 'a')).error().code, ErrorCode::kTooLarge);
}

TEST(Sr25519, ExpandedKeysOfBothForms) {
  for (const auto& v : known_answers()["sign"]) {
    const auto pair = Sr25519KeyPair::from_mini_secret(unhex(v["seed"]));
    const auto multiplied = Sr25519KeyPair::from_secret_key(unhex(v["secretKeyPolkadotJs"]), pair->public_key());
    ASSERT_TRUE(multiplied.ok());
    EXPECT_EQ(multiplied->public_key(), pair->public_key());
    const auto own = Sr25519KeyPair::from_secret_key(pair->secret_key().view(), pair->public_key());
    ASSERT_TRUE(own.ok());
    EXPECT_TRUE(equal_constant_time(own->secret_key().view(), multiplied->secret_key().view()));
    const auto unstated = Sr25519KeyPair::from_secret_key(pair->secret_key().view());
    EXPECT_EQ(unstated->public_key(), pair->public_key());
    EXPECT_TRUE(sr25519_verify(pair->public_key(), "x", *own->sign("x")));
  }
  const auto pair = Sr25519KeyPair::from_uri("//Alice");
  const auto other = Sr25519KeyPair::from_uri("//Bob");
  EXPECT_EQ(Sr25519KeyPair::from_secret_key(pair->secret_key().view(), other->public_key()).error().code,
            ErrorCode::kMismatch);
  EXPECT_EQ(Sr25519KeyPair::from_secret_key(Bytes(64, 0xff)).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(Sr25519KeyPair::from_secret_key(Bytes(63, 1)).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::crypto
