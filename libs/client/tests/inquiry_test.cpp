#include "brainlock/client/inquiry.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "brainlock/client/identity.hpp"

namespace brainlock::client {
namespace {

TEST(ParseAddress, AddressesAndPorts) {
  EXPECT_EQ(parse_address("127.0.0.1:8091")->ip, "127.0.0.1");
  EXPECT_EQ(parse_address("127.0.0.1:8091")->port, 8091);
  EXPECT_EQ(parse_address("[::1]:65535")->ip, "::1");
  EXPECT_EQ(parse_address("[2001:db8:0::1]:1")->ip, "2001:db8::1");
  for (const char* wrong :
       {"", ":", "127.0.0.1", ":8091", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x",
        "127.0.0.1:123456", "localhost:80", "1.2.3:80", "[::1:80", "300.0.0.1:80"}) {
    const auto address = parse_address(wrong);
    ASSERT_FALSE(address.ok()) << wrong;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalidArgument) << wrong;
  }
}

TEST(UserKey, IsMadeOnceAndKept) {
  std::string name = (std::filesystem::temp_directory_path() / "user-key-XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  const std::filesystem::path folder = name, file = folder / "home" / "user.seed";
  const auto first = user_key(file), second = user_key(file);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->public_key(), second->public_key());
  EXPECT_EQ(std::filesystem::file_size(file), 32U);
  EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(file).permissions()), 0600U);
  std::filesystem::resize_file(file, 31);
  EXPECT_EQ(user_key(file).error().code, ErrorCode::kInvalidArgument);
  std::filesystem::resize_file(file, 33);
  EXPECT_EQ(user_key(file).error().code, ErrorCode::kTooLarge);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace brainlock::client
