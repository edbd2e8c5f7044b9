#include "brainlock/sampler/cifar10.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace brainlock::sampler {
namespace {

namespace fs = std::filesystem;

/// `count` records; record i has label i % 10 and pixel p = (i + p) mod 256.
std::vector<std::uint8_t> make_records(std::size_t count) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(i % 10));
    for (std::size_t p = 0; p < kCifar10PixelBytes; ++p) bytes.push_back(static_cast<std::uint8_t>(i + p));
  }
  return bytes;
}

void write(const fs::path& path, const std::vector<std::uint8_t>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

class Cifar10Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("cifar10_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST(Cifar10, ReadsLabelsAndPlanes) {
  const auto data = Cifar10::parse(make_records(3)).value();
  ASSERT_EQ(data.size(), 3U);
  EXPECT_EQ(data.label(2), 2);
  const Image image = data.image(2);
  EXPECT_EQ(image.channels, 3);
  EXPECT_FLOAT_EQ(image.at(0, 0, 0), 2.0F / 255.0F);
  EXPECT_FLOAT_EQ(image.at(0, 1, 3), (2.0F + 35.0F) / 255.0F);
  EXPECT_FLOAT_EQ(image.at(2, 31, 31), static_cast<float>((2 + 3071) % 256) / 255.0F);
}

TEST(Cifar10, RefusesBytesThatAreNotRecords) {
  const auto bytes = make_records(2);
  EXPECT_EQ(Cifar10::parse({}).error().code, ErrorCode::kInvalidArgument);
  for (std::size_t length : {std::size_t{1}, std::size_t{3072}, std::size_t{3074}, bytes.size() - 1}) {
    EXPECT_EQ(Cifar10::parse(std::span(bytes).first(length)).error().code, ErrorCode::kTruncated) << length;
  }
  auto bad_label = bytes;
  bad_label[kCifar10RecordBytes] = 10;
  const auto refused = Cifar10::parse(bad_label);
  EXPECT_EQ(refused.error().code, ErrorCode::kMalformed);
  EXPECT_EQ(refused.error().message, "record 1: expected a label 0..9, got 10");
}

TEST_F(Cifar10Files, ReadsTheTestBatchOrTheTrainingBatches) {
  const auto nested = folder_ / "cifar-10-batches-bin";
  fs::create_directories(nested);
  write(nested / "data_batch_1.bin", make_records(2));
  write(nested / "data_batch_3.bin", make_records(4));
  EXPECT_EQ(Cifar10::read_directory(folder_).error().code, ErrorCode::kNotFound);
  write(nested / "test_batch.bin", make_records(5));
  EXPECT_EQ(Cifar10::read_directory(folder_).value().size(), 5U);
  EXPECT_EQ(Cifar10::read_directory(nested).value().size(), 5U);
  EXPECT_EQ(Cifar10::read_directory(folder_, true).value().size(), 6U);
}

TEST_F(Cifar10Files, NamesTheFileInItsErrors) {
  EXPECT_EQ(Cifar10::read_file(folder_ / "absent.bin").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Cifar10::read_file(folder_).error().code, ErrorCode::kNotFound);
  write(folder_ / "test_batch.bin", {1, 2, 3});
  const auto refused = Cifar10::read_directory(folder_);
  EXPECT_EQ(refused.error().code, ErrorCode::kTruncated);
  EXPECT_NE(refused.error().message.find("test_batch.bin"), std::string::npos);
}

TEST_F(Cifar10Files, RefusesAHugeFileBeforeReadingIt) {
  const auto path = folder_ / "huge.bin";
  write(path, {0});
  fs::resize_file(path, 40ULL << 30);  // sparse: takes no disk
  EXPECT_EQ(Cifar10::read_file(path).error().code, ErrorCode::kTooLarge);
}

TEST(Cifar10, ParseRefusesTooManyRecords) {
  std::vector<std::uint8_t> bytes((kCifar10MaxRecords + 1) * kCifar10RecordBytes);
  EXPECT_EQ(Cifar10::parse(bytes).error().code, ErrorCode::kTooLarge);
}

TEST(Cifar10, NamesClasses) {
  EXPECT_EQ(cifar10_class_name(0), "airplane");
  EXPECT_EQ(cifar10_class_name(9), "truck");
  EXPECT_EQ(cifar10_class_name(10), "unknown");
  EXPECT_EQ(cifar10_class_name(-1), "unknown");
}

}  // namespace
}  // namespace brainlock::sampler
