#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "brainlock/base/file.hpp"
#include "client_parameters.hpp"
#include "secret_key_impl.hpp"

namespace brainlock::ckks_client {
namespace {

using ::testing::HasSubstr;

class SecretKeyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("brainlock-secret-test-" + std::to_string(::getpid()) + "-" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    file_ = folder_ / "secret.key";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Without the flush to disk of write_file(), which a thousand variants cannot afford.
  void put(const std::vector<std::uint8_t>& bytes) {
    std::ofstream(file_, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::filesystem::permissions(file_, std::filesystem::perms(0600));
  }

  void expect_refused(const std::vector<std::uint8_t>& bytes, ErrorCode code, const char* text) {
    put(bytes);
    const auto loaded = SecretKey::load(file_, parameters_);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, code) << loaded.error().to_string();
    EXPECT_THAT(loaded.error().message, HasSubstr(text));
  }

  std::shared_ptr<const ckks::Parameters> parameters_ = testing::make_toy(64, 3, 1, 1);
  std::filesystem::path folder_, file_;
};

TEST_F(SecretKeyFile, SaveAndLoadGiveTheSameKey) {
  const auto key = SecretKey::generate(parameters_);
  ASSERT_TRUE(key->save(file_).ok());
  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
  const auto loaded = SecretKey::load(file_, parameters_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  const auto a = key->impl().evaluation.values(), b = loaded->impl().evaluation.values();
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  const auto x = key->impl().coefficients.values(), y = loaded->impl().coefficients.values();
  EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end()));
}

TEST_F(SecretKeyFile, NeverOverwritten) {
  const auto key = SecretKey::generate(parameters_);
  ASSERT_TRUE(key->save(file_).ok());
  const auto again = key->save(file_);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kDenied);
}

TEST_F(SecretKeyFile, ReadableByOthersIsRefused) {
  const auto key = SecretKey::generate(parameters_);
  ASSERT_TRUE(key->save(file_).ok());
  std::filesystem::permissions(file_, std::filesystem::perms(0640));
  const auto loaded = SecretKey::load(file_, parameters_);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kDenied);
  EXPECT_THAT(loaded.error().message, HasSubstr("mode 0640, expected 0600"));
}

TEST_F(SecretKeyFile, ForeignParametersAreRefused) {
  const auto key = SecretKey::generate(testing::make_toy(64, 4, 1, 1));
  ASSERT_TRUE(key->save(file_).ok());
  EXPECT_EQ(SecretKey::load(file_, parameters_).error().code, ErrorCode::kMismatch);
  const auto larger = SecretKey::generate(testing::make_toy(128, 3, 1, 1));
  ASSERT_TRUE(larger->save(folder_ / "other").ok());
  EXPECT_EQ(SecretKey::load(folder_ / "other", parameters_).error().code, ErrorCode::kMismatch);
}

TEST_F(SecretKeyFile, AbsentFileAndFolder) {
  EXPECT_EQ(SecretKey::load(file_, parameters_).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(SecretKey::load(folder_, parameters_).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(SecretKeyFile, EveryTruncationAndBitFlipIsRefused) {
  const auto key = SecretKey::generate(parameters_);
  ASSERT_TRUE(key->save(file_).ok());
  const auto good = *read_file(file_, 1u << 20);
  // On the bytes: a thousand files would take seconds.
  const auto decode = [&](std::span<const std::uint8_t> bytes) { return SecretKey::parse(bytes, parameters_); };
  ASSERT_TRUE(decode(good).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto cut = decode(std::span(good).first(size));
    ASSERT_FALSE(cut.ok());
    ASSERT_EQ(cut.error().code, ErrorCode::kTruncated) << size;
  }
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1u << (bit % 8)));
    ASSERT_FALSE(decode(bad).ok()) << "bit " << bit;
  }
  expect_refused({good.begin(), good.end() - 1}, ErrorCode::kTruncated, "bytes, expected");
  auto bad = good;
  bad[0] = 'X';
  expect_refused(bad, ErrorCode::kMalformed, "not a secret key file");
  bad = good;
  bad[4] = 2;
  expect_refused(bad, ErrorCode::kUnsupported, "version 2, expected 1");
  bad = good;
  bad[50] ^= 1;
  expect_refused(bad, ErrorCode::kCorrupted, "checksum");
  bad = good;
  bad.push_back(0);
  expect_refused(bad, ErrorCode::kMalformed, "expected");
  expect_refused(std::vector<std::uint8_t>(1u << 17), ErrorCode::kTooLarge, "expected at most");
}

}  // namespace
}  // namespace brainlock::ckks_client
