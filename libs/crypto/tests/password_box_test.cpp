#include "brainlock/crypto/password_box.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace brainlock::crypto {
namespace {

const Bytes kSecret = {1, 2, 3, 4, 5};

Bytes closed(std::string_view password = "a password") {
  return close_password_box(kSecret, password, PasswordCost::kInteractive).value();
}

TEST(PasswordBox, OpensWithItsPasswordAlone) {
  const Bytes box = closed();
  const auto opened = open_password_box(box, "a password");
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(std::equal(kSecret.begin(), kSecret.end(), opened.value().bytes().begin(), opened.value().bytes().end()));
  EXPECT_EQ(open_password_box(box, "another").error().code, ErrorCode::kDenied);
  EXPECT_EQ(std::search(box.begin(), box.end(), kSecret.begin(), kSecret.end()), box.end());
  EXPECT_NE(closed(), box);  // a salt of its own
}

TEST(PasswordBox, AChangedByteIsNoticed) {
  const Bytes box = closed();
  for (const std::size_t place : {std::size_t{9}, std::size_t{30}, std::size_t{50}, box.size() - 1}) {
    Bytes changed = box;
    changed[place] ^= 1;
    EXPECT_EQ(open_password_box(changed, "a password").error().code, ErrorCode::kDenied) << place;
  }
  Bytes changed = box;
  changed[0] ^= 1;
  EXPECT_EQ(open_password_box(changed, "a password").error().code, ErrorCode::kMalformed);
  changed = box;
  changed[8] = 9;
  EXPECT_EQ(open_password_box(changed, "a password").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(open_password_box(Bytes(20), "a password").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(close_password_box(Bytes((1 << 20) + 1), "x").error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace brainlock::crypto
