#include "brainlock/crypto/hash.hpp"

#include <gtest/gtest.h>

namespace brainlock::crypto {
namespace {

std::string hex(auto const& bytes) { return hex_encode(bytes); }

TEST(Hash, Blake2bPublishedAnswers) {
  EXPECT_EQ(hex(blake2b_256(as_bytes(""))), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(hex(blake2b_512(as_bytes("abc"))),
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
  EXPECT_EQ(hex(blake2b_128(as_bytes(""))), "cae66941d9efbd404e4d88758ea67670");
}

TEST(Hash, Sha2PublishedAnswers) {
  EXPECT_EQ(hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha512(as_bytes("abc"))).substr(0, 32), "ddaf35a193617abacc417349ae204131");
}

TEST(Hash, Xxh64PublishedAnswer) {
  EXPECT_EQ(xxh64(as_bytes("")), 0xef46db3751d8e999ULL);
  EXPECT_EQ(hex(twox_64(as_bytes(""))), "99e9d85137db46ef");
}

TEST(Hash, StoragePrefixesOfTheChain) {
  EXPECT_EQ(hex(twox_128(as_bytes("SubtensorModule"))), "658faa385070e074c85bf6b568cf0555");
  EXPECT_EQ(hex(twox_128(as_bytes("System"))), "26aa394eea5630e07c48ae0c9558cef7");
  EXPECT_EQ(hex(twox_128(as_bytes("Account"))), "b99d880ec681799c0cf30e8886371da9");
  EXPECT_EQ(hex(twox_256(as_bytes("Uids"))).substr(0, 32), "aab1b4e78e1ea8305462ee53b3686dc8");
}

TEST(Hash, Pbkdf2AndHmacPublishedAnswers) {
  std::array<std::uint8_t, 32> key{};
  ASSERT_TRUE(pbkdf2_sha256_into(key, as_bytes("password"), as_bytes("salt"), 4096).ok());
  EXPECT_EQ(hex(key), "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
  ASSERT_TRUE(pbkdf2_sha512_into(key, as_bytes("password"), as_bytes("salt"), 1).ok());
  EXPECT_EQ(hex(key), "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252");
  EXPECT_EQ(hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hex, RoundTripAndRefusals) {
  const Bytes bytes = {0x00, 0xab, 0xff};
  EXPECT_EQ(hex_encode_0x(bytes), "0x00abff");
  EXPECT_EQ(*hex_decode("0x00ABff"), bytes);
  EXPECT_EQ(*hex_decode(""), Bytes{});
  EXPECT_EQ(hex_decode("abc").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(hex_decode("0xzz").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(hex_decode_array<2>("00abff").error().code, ErrorCode::kMalformed);
  EXPECT_TRUE(equal_constant_time(bytes, bytes));
  EXPECT_FALSE(equal_constant_time(bytes, ByteView(bytes).first(2)));
}

}  // namespace
}  // namespace brainlock::crypto
