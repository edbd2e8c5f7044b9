#include "brainlock/update/publish.hpp"

#include <gtest/gtest.h>

#include "brainlock/update/signatures.hpp"
#include "samples.hpp"

namespace brainlock::update {
namespace {

namespace fs = std::filesystem;

crypto::Ed25519KeyPair key_of(std::uint8_t number) {
  return crypto::Ed25519KeyPair::from_seed(crypto::Bytes(32, number)).value();
}

struct PublishTest : testing::Test {
  TemporaryFolder folder;
  const fs::path site = folder.path / "site", program = folder.path / "brainlock", page = folder.path / "page";
  const std::vector<crypto::Ed25519PublicKey> keys = {key_of(1).public_key(), key_of(2).public_key()};
  void SetUp() override {
    put(program, "a program", true);
    put(page, "a page");
  }
  Result<Release> draft(Version version, std::int64_t created_s = kNow) {
    Release release = sample_release();
    release.files.clear();
    release.version = version;
    release.created_s = created_s;
    release.expires_s = created_s + kDay;
    return draft_release(site, release, {{"x86_64", "bin/brainlock", program}, {"x86_64", "share/page", page}});
  }
  fs::path manifest(const std::string& version) const { return site / "releases" / version / "release.json"; }
  ErrorCode live(Version version, std::size_t threshold = 2) {
    const Status status = go_live(site, version, keys, threshold);
    return status.ok() ? ErrorCode::kInternal : status.error().code;
  }
  static constexpr ErrorCode kLive = ErrorCode::kInternal;
};

TEST_F(PublishTest, FromFilesToANewestRelease) {
  ASSERT_TRUE(draft({0, 2, 0}).ok());
  EXPECT_FALSE(fs::exists(site / "release.json"));  // a draft is nobody's release
  EXPECT_EQ(live({0, 2, 0}), ErrorCode::kNotFound);
  ASSERT_TRUE(sign_release(manifest("0.2.0"), key_of(1)).ok());
  EXPECT_EQ(live({0, 2, 0}), ErrorCode::kDenied);
  ASSERT_TRUE(sign_release(manifest("0.2.0"), key_of(2)).ok());
  ASSERT_TRUE(sign_release(manifest("0.2.0"), key_of(2)).ok());  // twice is once
  EXPECT_EQ(parse_signatures(get(manifest("0.2.0").string() + ".sig")).value().size(), 2U);
  EXPECT_EQ(live({0, 2, 0}), kLive);
  const auto release = parse_release(get(site / "release.json"));
  ASSERT_TRUE(release.ok());
  const auto& files = release.value().files.at("x86_64");
  EXPECT_TRUE(files[0].executable);
  EXPECT_FALSE(files[1].executable);
  EXPECT_EQ(get(site / "files" / crypto::hex_encode(files[0].sha256)), "a program");
  EXPECT_EQ(get(site / "release.json.sig"), get(manifest("0.2.0").string() + ".sig"));
}

TEST_F(PublishTest, WhatOperatorsWouldRefuseDoesNotGoLive) {
  const auto signed_draft = [&](Version version, std::int64_t created_s) {
    ASSERT_TRUE(draft(version, created_s).ok());
    for (std::uint8_t key = 1; key <= 2; ++key) ASSERT_TRUE(sign_release(manifest(version.text()), key_of(key)).ok());
  };
  signed_draft({0, 2, 0}, kNow);
  EXPECT_EQ(live({0, 2, 0}), kLive);
  signed_draft({0, 1, 9}, kNow + 1);
  EXPECT_EQ(live({0, 1, 9}), ErrorCode::kInvalidArgument);
  signed_draft({0, 2, 1}, kNow - 1);
  EXPECT_EQ(live({0, 2, 1}), ErrorCode::kInvalidArgument);
  signed_draft({0, 2, 1}, kNow + 1);
  const auto files = parse_release(get(manifest("0.2.1"))).value().files.at("x86_64");
  put(site / "files" / crypto::hex_encode(files[0].sha256), "tampered with");
  EXPECT_EQ(live({0, 2, 1}), ErrorCode::kCorrupted);
  EXPECT_EQ(parse_release(get(site / "release.json")).value().version, (Version{0, 2, 0}));
}

TEST_F(PublishTest, ADraftAnewLosesItsSignatures) {
  ASSERT_TRUE(draft({0, 2, 0}).ok());
  ASSERT_TRUE(sign_release(manifest("0.2.0"), key_of(1)).ok());
  ASSERT_TRUE(draft({0, 2, 0}, kNow + 5).ok());
  EXPECT_FALSE(fs::exists(manifest("0.2.0").string() + ".sig"));
  // And signatures of other bytes do not stay beside new ones.
  put(manifest("0.2.0").string() + ".sig", signature_line(sign_manifest(key_of(1), "other bytes")));
  ASSERT_TRUE(sign_release(manifest("0.2.0"), key_of(2)).ok());
  EXPECT_EQ(parse_signatures(get(manifest("0.2.0").string() + ".sig")).value().size(), 1U);
}

TEST_F(PublishTest, WhatIsNoReleaseIsNotWrittenAndNotSigned) {
  EXPECT_EQ(draft_release(site, sample_release(), {{"x86_64", "bin/brainlock", folder.path / "nowhere"}}).error().code,
            ErrorCode::kNotFound);
  Release release = sample_release();
  release.files.clear();
  EXPECT_EQ(draft_release(site, release, {{"x86_64", "../brainlock", program}}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(draft_release(site, release, {{"x86_64", "share/page", page}}).error().code, ErrorCode::kMalformed);
  put(folder.path / "text", "{}");
  EXPECT_EQ(sign_release(folder.path / "text", key_of(1)).error().code, ErrorCode::kMalformed);
}

TEST(Rollout, Steps) {
  const auto steps = parse_rollout("10,50@2d,100@120h", 1000);
  ASSERT_TRUE(steps.ok());
  EXPECT_EQ(steps.value(), (std::vector<RolloutStep>{{1000, 10}, {1000 + 2 * kDay, 50}, {1000 + 5 * kDay, 100}}));
  EXPECT_EQ(parse_rollout("5@30s,6@2m", 0).value(), (std::vector<RolloutStep>{{30, 5}, {120, 6}}));
  EXPECT_TRUE(parse_rollout("", 0).value().empty());
  for (const char* text : {"101", "x", "10@", "10@2", "10@2w", "10@d", "10@-2d", "50,10", "10@2d,50@1d", "10,,20", ",",
                           "-1", "10@2dd", "1,2,3,4,5,6,7,8,9"}) {
    EXPECT_EQ(parse_rollout(text, 0).error().code, ErrorCode::kMalformed) << text;
  }
}

}  // namespace
}  // namespace brainlock::update
