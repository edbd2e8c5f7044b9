#include "brainlock/base/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace brainlock {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("brainlock-file-test-" + std::to_string(::getpid()) + "-" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  std::filesystem::path folder_;
};

const std::vector<std::uint8_t> kBytes{1, 2, 3, 4, 5};

TEST_F(FileTest, WritesAndReadsBack) {
  const auto file = folder_ / "a";
  ASSERT_TRUE(write_file(file, kBytes).ok());
  const auto read = read_file(file, 5);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, kBytes);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, RefusesToOverwriteUnlessAsked) {
  const auto file = folder_ / "a";
  ASSERT_TRUE(write_file(file, kBytes).ok());
  const std::vector<std::uint8_t> other{9};
  const auto refused = write_file(file, other);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kDenied);
  EXPECT_EQ(*read_file(file, 100), kBytes);
  ASSERT_TRUE(write_file(file, other, {.overwrite = true}).ok());
  EXPECT_EQ(*read_file(file, 100), other);
}

TEST_F(FileTest, OfTwoWritersOneWins) {
  const auto file = folder_ / "a";
  auto first = AtomicFile::create(file), second = AtomicFile::create(file);
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE(first->write(kBytes).ok() && second->write(kBytes).ok());
  EXPECT_TRUE(first->commit().ok());
  const auto late = second->commit();
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::kDenied);
}

TEST_F(FileTest, NothingAppearsWithoutCommit) {
  const auto file = folder_ / "a";
  {
    auto out = AtomicFile::create(file);
    ASSERT_TRUE(out.ok());
    ASSERT_TRUE(out->write(kBytes).ok());
    EXPECT_FALSE(std::filesystem::exists(file));
    EXPECT_EQ(entries(), 1u);
  }
  EXPECT_EQ(entries(), 0u);
}

TEST_F(FileTest, HeaderMayBePatched) {
  const auto file = folder_ / "a";
  auto out = AtomicFile::create(file);
  ASSERT_TRUE(out.ok());
  ASSERT_TRUE(out->write(kBytes).ok());
  ASSERT_TRUE(out->write_at(1, std::vector<std::uint8_t>{7, 8}).ok());
  ASSERT_TRUE(out->write(kBytes).ok());
  ASSERT_TRUE(out->commit().ok());
  EXPECT_EQ(*read_file(file, 100), (std::vector<std::uint8_t>{1, 7, 8, 4, 5, 1, 2, 3, 4, 5}));
}

TEST_F(FileTest, ModeIsAsAsked) {
  const auto file = folder_ / "secret";
  ASSERT_TRUE(write_file(file, kBytes, {.overwrite = false, .mode = 0600}).ok());
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
}

TEST_F(FileTest, ReadingErrorsAreCoded) {
  EXPECT_EQ(read_file(folder_ / "absent", 10).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_file(folder_, 1u << 20).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(write_file(folder_ / "a", kBytes).ok());
  const auto large = read_file(folder_ / "a", 4);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, ErrorCode::kTooLarge);
  EXPECT_NE(large.error().message.find("5 bytes, expected at most 4"), std::string::npos);
  EXPECT_EQ(write_file(folder_ / "no" / "such" / "folder", kBytes).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace brainlock
