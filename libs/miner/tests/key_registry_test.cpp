#include "brainlock/miner/key_registry.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::miner {
namespace {

namespace fs = std::filesystem;
using protocol::Refusal;

struct KeyRegistryTest : testing::Test {
  fs::path root = fs::temp_directory_path() / ("brainlock-keys-" + std::to_string(::getpid()) + "-" + testing::UnitTest::GetInstance()->current_test_info()->name());
  KeyQuota quota{.keys_per_owner = 2, .total_bytes = 1000, .ordinary_bytes = 300, .protected_ms = 100, .expiry_ms = 10'000};
  std::unique_ptr<KeyRegistry> registry;

  void SetUp() override { reopen(); }
  void TearDown() override {
    registry.reset();
    fs::remove_all(root);
  }
  void reopen(std::int64_t now_ms = 0, const KeyRegistry::IsValidator& is_validator = {}) {
    registry.reset();
    registry = std::move(KeyRegistry::open(root, quota, now_ms, is_validator)).value();
  }
  static crypto::Bytes bytes(std::size_t size, std::uint8_t seed) { return crypto::Bytes(size, seed); }
  static KeyName name(std::uint8_t owner, const crypto::Bytes& content) { return {{owner}, {9}, crypto::blake2b_256(content)}; }

  Refusal put(const KeyName& name, std::uint64_t offset, std::span<const std::uint8_t> part, std::uint64_t total, std::int64_t now_ms = 0, bool commit = true,
              bool validator = true) {
    KeyRegistry::Refused refused;
    const auto writer = registry->begin_part(name, validator, offset, part.size(), total, now_ms, refused);
    if (!writer) return refused.refusal;
    EXPECT_TRUE(writer->write(part).ok());
    if (commit) { EXPECT_TRUE(writer->commit(now_ms).ok()); }
    return Refusal::kNone;
  }
  Status finish(const KeyName& name, std::int64_t now_ms = 0) {
    return registry->finish(name, [](const fs::path&) { return Status{}; }, now_ms);
  }
  void store(std::uint8_t owner, std::size_t size, std::uint8_t seed, std::int64_t now_ms) {
    const auto content = bytes(size, seed);
    ASSERT_EQ(put(name(owner, content), 0, content, size, now_ms), Refusal::kNone);
    ASSERT_TRUE(finish(name(owner, content), now_ms).ok());
  }
};

TEST_F(KeyRegistryTest, PartsArriveInOrderAndTheWholeIsChecked) {
  const auto content = bytes(300, 1);
  const KeyName key = name(1, content);
  EXPECT_EQ(put(key, 0, std::span(content).first(100), 300), Refusal::kNone);
  EXPECT_EQ(registry->state(key).received_bytes, 100u);
  EXPECT_EQ(put(key, 0, std::span(content).first(100), 300), Refusal::kWrongOffset) << "the same part again";
  EXPECT_EQ(put(key, 200, std::span(content).first(100), 300), Refusal::kWrongOffset) << "a hole";
  EXPECT_EQ(put(key, 100, std::span(content).first(100), 400), Refusal::kWrongOffset) << "another total";
  EXPECT_EQ(put(key, 100, bytes(201, 1), 300), Refusal::kMalformed) << "beyond the total";
  EXPECT_FALSE(finish(key).ok()) << "not whole yet";
  EXPECT_FALSE(registry->use(key, true, 0).ok());
  EXPECT_EQ(put(key, 100, std::span(content).subspan(100), 300), Refusal::kNone);
  EXPECT_FALSE(registry->state(key).complete) << "not checked yet";
  ASSERT_TRUE(finish(key).ok());
  EXPECT_TRUE(registry->state(key).complete);
  const auto file = registry->use(key, true, 0);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(fs::file_size(*file), 300u);
  EXPECT_EQ(fs::status(*file).permissions() & fs::perms::others_read, fs::perms::none);
  EXPECT_EQ(put(key, 0, std::span(content).first(100), 300), Refusal::kWrongOffset) << "nothing can be written over a key";
}

TEST_F(KeyRegistryTest, KeysBelongToTheirOwner) {
  store(1, 100, 7, 0);
  EXPECT_TRUE(registry->use(name(1, bytes(100, 7)), true, 0).ok());
  EXPECT_FALSE(registry->use(name(2, bytes(100, 7)), true, 0).ok());
  EXPECT_EQ(registry->state(name(2, bytes(100, 7))).received_bytes, 0u);
}

TEST_F(KeyRegistryTest, BytesThatWereNotConfirmedDoNotCount) {
  const auto content = bytes(300, 1);
  const KeyName key = name(1, content);
  EXPECT_EQ(put(key, 0, bytes(100, 66), 300, 0, /*commit=*/false), Refusal::kNone);
  EXPECT_EQ(registry->state(key).received_bytes, 0u);
  reopen();
  EXPECT_EQ(registry->state(key).received_bytes, 0u);
  EXPECT_EQ(put(key, 0, content, 300), Refusal::kNone);
  EXPECT_TRUE(finish(key).ok());
}

TEST_F(KeyRegistryTest, WrongHashOrFailedCheckRemovesTheUpload) {
  const auto content = bytes(300, 1);
  const KeyName key = name(1, content);
  ASSERT_EQ(put(key, 0, bytes(300, 2), 300), Refusal::kNone);
  EXPECT_EQ(finish(key).error().code, ErrorCode::kCorrupted);
  EXPECT_EQ(registry->state(key).received_bytes, 0u);
  ASSERT_EQ(put(key, 0, content, 300), Refusal::kNone);
  EXPECT_EQ(registry->finish(key, [](const fs::path&) { return Status(ErrorCode::kMismatch, "x"); }, 0).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(registry->totals().bytes, 0u);
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(root), {}), 0) << "neither file nor folder";
}

TEST_F(KeyRegistryTest, AnUploadThatThisMachineCannotCheckIsKept) {
  const auto content = bytes(300, 1);
  const KeyName key = name(1, content);
  ASSERT_EQ(put(key, 0, content, 300), Refusal::kNone);
  for (const auto code : {ErrorCode::kResource, ErrorCode::kUnavailable, ErrorCode::kIo, ErrorCode::kInternal}) {
    EXPECT_EQ(registry->finish(key, [code](const fs::path&) { return Status(code, "not now"); }, 0).error().code, code);
    EXPECT_EQ(registry->state(key).received_bytes, 300u);
  }
  reopen();
  EXPECT_TRUE(finish(key).ok());
  EXPECT_TRUE(registry->state(key).complete);
}

TEST_F(KeyRegistryTest, AnUploadWhoseFileWasRemovedBeginsAgain) {
  const auto content = bytes(300, 1);
  const KeyName key = name(1, content);
  ASSERT_EQ(put(key, 0, content, 300), Refusal::kNone);
  fs::remove_all(root);
  EXPECT_EQ(finish(key).error().code, ErrorCode::kNotFound);
  ASSERT_EQ(put(key, 0, content, 300), Refusal::kNone);
  EXPECT_TRUE(finish(key).ok());
}

// Any number of accounts cost nothing, and a disk has so many folders.
TEST_F(KeyRegistryTest, OfAccountsWhoseKeysWentNothingStays) {
  store(1, 100, 1, 0);
  for (int i = 0; i < 200; ++i) {
    KeyName key = name(2, bytes(100, 2));
    key.owner[1] = static_cast<std::uint8_t>(i);
    ASSERT_EQ(put(key, 0, bytes(1, 2), 100, 1000 + 200 * i, true, /*validator=*/false), Refusal::kNone);
  }
  EXPECT_EQ(registry->totals().arriving, 3u);
  EXPECT_EQ(std::distance(fs::directory_iterator(root), {}), 4);
  registry->expire(1'000'000);
  EXPECT_EQ(std::distance(fs::directory_iterator(root), {}), 0);
  const auto content = bytes(100, 1);
  ASSERT_EQ(put(name(1, content), 0, content, 100, 1'000'000), Refusal::kNone) << "and the folders are made again";
}

// Where the replay fence cannot be written nobody is served: keys must not fill the disk, whatever the quota says.
TEST_F(KeyRegistryTest, KeysLeaveTheDiskRoomForOthers) {
  constexpr std::uint64_t kDisk = 1000;
  std::uint64_t others = 0;
  quota.keys_per_owner = 10;
  quota.total_bytes = quota.ordinary_bytes = 100'000;
  quota.keep_free_bytes = 100;
  quota.free_bytes = [&](const fs::path& folder) -> std::optional<std::uint64_t> {
    std::uint64_t used = others;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) used += entry.is_regular_file() ? entry.file_size() : 0;
    return kDisk - std::min(kDisk, used);
  };
  reopen();
  const auto announce = [&](std::uint8_t owner, std::size_t total, std::int64_t now_ms, bool validator) {
    const auto content = bytes(total, owner);
    return put(name(owner, content), 0, std::span(content).first(1), total, now_ms, true, validator);
  };
  store(1, 300, 1, 0);
  EXPECT_EQ(announce(2, 400, 1, false), Refusal::kNone) << "what is still to come of it counts";
  EXPECT_EQ(announce(3, 300, 2, false), Refusal::kOutOfResources);
  EXPECT_EQ(announce(4, 201, 2, false), Refusal::kOutOfResources);
  EXPECT_EQ(announce(4, 200, 2, false), Refusal::kNone);
  // For a validator ordinary users make room, as few as will do.
  EXPECT_EQ(announce(5, 350, 3, true), Refusal::kNone);
  EXPECT_EQ(registry->state(name(2, bytes(400, 2))).received_bytes, 0u);
  EXPECT_EQ(registry->state(name(4, bytes(200, 4))).received_bytes, 1u);
  // Where that is not enough nobody loses anything.
  others = 600;
  EXPECT_EQ(announce(6, 300, 4, true), Refusal::kOutOfResources);
  EXPECT_EQ(registry->state(name(4, bytes(200, 4))).received_bytes, 1u);
  EXPECT_TRUE(registry->state(name(1, bytes(300, 1))).complete);
  EXPECT_EQ(announce(6, 300, 4 + quota.protected_ms, true), Refusal::kNone) << "the key that was not used for long is in its place";
  EXPECT_FALSE(registry->state(name(1, bytes(300, 1))).complete);
}

TEST_F(KeyRegistryTest, SurvivesRestart) {
  store(1, 100, 7, 0);
  const auto half = bytes(300, 1);
  ASSERT_EQ(put(name(1, half), 0, std::span(half).first(120), 300), Refusal::kNone);
  reopen();
  EXPECT_TRUE(registry->state(name(1, bytes(100, 7))).complete);
  EXPECT_EQ(registry->state(name(1, half)).received_bytes, 120u);
  ASSERT_EQ(put(name(1, half), 120, std::span(half).subspan(120), 300), Refusal::kNone);
  EXPECT_TRUE(finish(name(1, half)).ok());
}

TEST_F(KeyRegistryTest, ARestartMakesNoValidatorsOfOrdinaryUsers) {
  store(1, 300, 1, 0);
  store(2, 300, 2, 0);
  reopen(0, [](const protocol::AccountId& owner) { return owner[0] == 1; });
  const auto content = bytes(200, 3);
  EXPECT_EQ(put(name(3, content), 0, content, 200, 0, true, /*validator=*/false), Refusal::kQuotaExceeded) << "ordinary users have their share already";
  store(4, 500, 4, 0);   // a validator's, that of the ordinary user makes room for it however new
  EXPECT_TRUE(registry->state(name(1, bytes(300, 1))).complete);
  EXPECT_FALSE(registry->state(name(2, bytes(300, 2))).complete);
}

TEST_F(KeyRegistryTest, OwnersOldestKeyMakesRoomForANewOne) {
  store(1, 10, 1, 0);
  store(1, 10, 2, 1);
  EXPECT_TRUE(registry->use(name(1, bytes(10, 1)), true, 2).ok());  // now 2 is the oldest
  store(1, 10, 3, 3);
  EXPECT_TRUE(registry->state(name(1, bytes(10, 1))).complete);
  EXPECT_FALSE(registry->state(name(1, bytes(10, 2))).complete);
  EXPECT_EQ(registry->totals().evicted, 1u);
}

// A key for each package must not push out those of the others, renewed ones included.
TEST_F(KeyRegistryTest, AnOwnerHasRoomForTwoKeysOfEveryPackage) {
  EXPECT_EQ(quota_for(1).keys_per_owner, 4u);
  quota.keys_per_owner = quota_for(5).keys_per_owner;
  reopen();
  for (std::uint8_t i = 0; i < 10; ++i) {
    const auto content = bytes(10, i);
    const KeyName key{{1}, {static_cast<std::uint8_t>(i % 5)}, crypto::blake2b_256(content)};
    ASSERT_EQ(put(key, 0, content, 10, i), Refusal::kNone);
    ASSERT_TRUE(finish(key, i).ok());
  }
  EXPECT_EQ(registry->totals().keys, 10u);
  store(1, 10, 11, 11);
  EXPECT_EQ(registry->totals().keys, 10u);
}

TEST_F(KeyRegistryTest, OneOwnerCannotPushOutKeysInUse) {
  store(1, 600, 1, 0);
  EXPECT_EQ(put(name(2, bytes(600, 2)), 0, bytes(600, 2), 600, 50), Refusal::kQuotaExceeded) << "used just now";
  EXPECT_EQ(put(name(2, bytes(600, 2)), 0, bytes(600, 2), 600, 200), Refusal::kNone) << "unused for long enough";
  EXPECT_FALSE(registry->state(name(1, bytes(600, 1))).complete);
  EXPECT_EQ(put(name(3, bytes(1, 1)), 0, bytes(1, 1), 1001, 300), Refusal::kQuotaExceeded) << "larger than everything";
}

// An account costs an ordinary user nothing, so a thousand of them are worth no more than one.
TEST_F(KeyRegistryTest, OrdinaryUsersPushOutEachOtherAndNeverAValidator) {
  store(1, 600, 1, 0);
  const auto announce = [&](std::uint8_t owner, std::size_t total, std::int64_t now_ms) {
    const auto content = bytes(total, owner);
    return put(name(owner, content), 0, std::span(content).first(1), total, now_ms, true, /*validator=*/false);
  };
  EXPECT_EQ(announce(10, 301, 5000), Refusal::kQuotaExceeded) << "more than their share";
  EXPECT_EQ(announce(11, 150, 5000), Refusal::kNone);
  EXPECT_EQ(announce(12, 150, 5001), Refusal::kNone);
  EXPECT_EQ(announce(13, 150, 5002), Refusal::kQuotaExceeded) << "the others came just now; the validator's key is long unused and not theirs to take";
  EXPECT_EQ(announce(13, 150, 5101), Refusal::kNone);
  EXPECT_EQ(registry->state(name(11, bytes(150, 11))).received_bytes, 0u);
  EXPECT_TRUE(registry->state(name(1, bytes(600, 1))).complete);
  // A validator needs room: theirs goes first, protected or not, and the other validator's stays.
  store(2, 300, 2, 5102);
  EXPECT_EQ(registry->totals().arriving, 0u);
  EXPECT_TRUE(registry->state(name(1, bytes(600, 1))).complete);
  // Who has lost the permit is an ordinary user at the next use.
  EXPECT_TRUE(registry->use(name(2, bytes(300, 2)), false, 5200).ok());
  store(3, 300, 3, 5201);
  EXPECT_FALSE(registry->state(name(2, bytes(300, 2))).complete);
}

TEST_F(KeyRegistryTest, HundredUploadsLeaveTheQuotaStanding) {
  for (int i = 0; i < 100; ++i) {
    crypto::Bytes content(10);
    content[0] = static_cast<std::uint8_t>(i);
    content[1] = static_cast<std::uint8_t>(i >> 8);
    ASSERT_EQ(put(name(1, content), 0, content, 10, i), Refusal::kNone);
    ASSERT_TRUE(finish(name(1, content), i).ok());
  }
  EXPECT_EQ(registry->totals().keys, 2u);
  EXPECT_EQ(registry->totals().bytes, 20u);
}

TEST_F(KeyRegistryTest, UnusedKeysExpire) {
  store(1, 10, 1, 0);
  store(1, 10, 2, 9'000);
  registry->expire(10'001);
  EXPECT_FALSE(registry->state(name(1, bytes(10, 1))).complete);
  EXPECT_TRUE(registry->state(name(1, bytes(10, 2))).complete);
}

TEST_F(KeyRegistryTest, StrangeFilesAreLeftAlone) {
  fs::create_directories(root / "notes");
  std::ofstream(root / "notes" / "readme.txt") << "mine";
  std::ofstream(root / "x.keys") << "mine too";
  reopen();
  EXPECT_EQ(registry->totals().keys, 0u);
  registry->expire(1'000'000);
  EXPECT_TRUE(fs::exists(root / "notes" / "readme.txt"));
}

TEST_F(KeyRegistryTest, AClockThatIsSetBackChangesNoOrder) {
  constexpr std::int64_t kDayMs = 24 * 3'600'000;
  for (const std::uint8_t seed : {std::uint8_t{1}, std::uint8_t{2}}) store(1, 100, seed, kDayMs + seed);
  const auto there = [this](std::uint8_t seed) { return registry->state(name(1, bytes(100, seed))).complete; };
  store(1, 100, 3, 1'000);
  EXPECT_TRUE(!there(1) && there(2) && there(3));
  store(1, 100, 4, 1'010);
  EXPECT_TRUE(!there(2) && there(3) && there(4)) << "the newest went for it";
}

TEST_F(KeyRegistryTest, AClockThatIsSetBackProtectsNothingForLonger) {
  constexpr std::int64_t kDayMs = 24 * 3'600'000;
  store(1, 600, 1, kDayMs);
  const auto other = bytes(600, 2);
  EXPECT_EQ(put(name(2, other), 0, other, 600, 1'000), Refusal::kQuotaExceeded) << "it was used just now, as far as is known";
  EXPECT_EQ(put(name(2, other), 0, other, 600, 1'101), Refusal::kNone);
  // Nor does it keep what nobody uses.
  registry->expire(1'101 + quota.expiry_ms + 1);
  EXPECT_EQ(registry->totals().bytes, 0u);
}

}  // namespace
}  // namespace brainlock::miner
