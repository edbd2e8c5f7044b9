#include "brainlock/crypto/ss58.hpp"

#include "vectors.hpp"

namespace brainlock::crypto {
namespace {

TEST(Ss58, KnownAddressesRoundTrip) {
  for (const auto* group : {"derive", "sign", "mnemonic"}) {
    for (const auto& v : known_answers()[group]) {
      const auto account = ss58_decode(v["ss58"].get<std::string>());
      ASSERT_TRUE(account.ok());
      EXPECT_EQ(hex_encode_0x(*account), v["pub"]);
      EXPECT_EQ(ss58_encode(*account), v["ss58"]);
    }
  }
}

TEST(Ss58, EveryMistypedCharacterIsCaught) {
  const std::string address = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
  for (std::size_t i = 0; i < address.size(); ++i) {
    std::string changed = address;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(ss58_decode(changed).ok()) << i;
    EXPECT_FALSE(ss58_decode(address.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(ss58_decode(address + "1").ok());
  EXPECT_FALSE(ss58_decode("1" + address).ok());
}

TEST(Ss58, RefusalsByName) {
  EXPECT_EQ(ss58_decode("").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(ss58_decode("5Grwva0OIl").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(ss58_decode(std::string(100000, '5')).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(ss58_decode("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ").error().code, ErrorCode::kCorrupted);
  const AccountId account{1, 2, 3};
  EXPECT_EQ(ss58_decode(ss58_encode(account, 0)).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(*ss58_decode(ss58_encode(account, 0), 0), account);
}

}  // namespace
}  // namespace brainlock::crypto
