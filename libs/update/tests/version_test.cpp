#include "brainlock/update/version.hpp"

#include <gtest/gtest.h>

namespace brainlock::update {
namespace {

TEST(Version, NumbersDecideNotLetters) {
  const char* rising[] = {"0.0.0",  "0.0.1", "0.0.10", "0.1.0",  "0.2.0",
                          "0.10.0", "1.0.0", "1.0.2",  "10.0.0", "999999.999999.999999"};
  for (std::size_t i = 0; i < std::size(rising); ++i) {
    const auto a = parse_version(rising[i]);
    ASSERT_TRUE(a.ok()) << rising[i];
    EXPECT_EQ(a.value().text(), rising[i]);
    for (std::size_t j = 0; j < std::size(rising); ++j) {
      const Version b = parse_version(rising[j]).value();
      EXPECT_EQ(a.value() < b, i < j);
      EXPECT_EQ(a.value() == b, i == j);
      EXPECT_EQ(a.value() > b, i > j);
    }
  }
}

TEST(Version, OneTextForEachVersion) {
  for (const char* text : {"",       "1",       "1.2",    "1.2.3.4", "01.2.3",      "1.02.3",
                           "1.2.03", "1.2.",    ".1.2",   "1..2",    "v1.2.3",      "1.2.3-rc1",
                           "1.2.3 ", " 1.2.3",  "+1.2.3", "-1.2.3",  "1000000.0.0", "99999999999999999999.0.0",
                           "1,2,3",  "1.2.3\n", "00.0.0"}) {
    EXPECT_EQ(parse_version(text).error().code, ErrorCode::kMalformed) << text;
  }
}

TEST(Version, Glibc) {
  EXPECT_LT(parse_glibc_version("2.9").value(), parse_glibc_version("2.36").value());
  EXPECT_EQ(parse_glibc_version("2.36").value().text(), "2.36");
  EXPECT_FALSE(parse_glibc_version("2.36.1").ok());
  EXPECT_FALSE(parse_glibc_version("2").ok());
  EXPECT_GT(running_glibc(), (GlibcVersion{2, 17}));
  EXPECT_NE(running_architecture(), "");
}

}  // namespace
}  // namespace brainlock::update
