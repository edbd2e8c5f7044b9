#include "brainlock/sampler/sampler.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "brainlock/sampler/cifar10.hpp"
#include "brainlock/sampler/png.hpp"
#include "brainlock/sampler/synthetic.hpp"

namespace brainlock::sampler {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::path(testing::TempDir()) /
            ("sampler_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  void TearDown() override { fs::remove_all(path_); }
  void put_png(const fs::path& name, std::uint64_t seed, int channels = 3, int side = 32) {
    fs::create_directories((path_ / name).parent_path());
    ASSERT_TRUE(write_png(synthetic_image(seed, channels, side, side).value(), path_ / name).ok());
  }
  fs::path path_;
};

AugmentOptions nothing() { return {0, 0, 0, 0, 0, 0, 0}; }

TEST(Augment, NothingChangesNothing) {
  const Image image = synthetic_image(3, 3, 32, 32).value();
  Random random(1);
  EXPECT_EQ(augment(image, random, nothing()).value(), image);
}

TEST(Augment, FlipMirrorsEachRow) {
  const Image image = synthetic_image(3, 3, 16, 20).value();
  AugmentOptions only_flip = nothing();
  only_flip.flip_probability = 1.0;
  Random random(1);
  const Image flipped = augment(image, random, only_flip).value();
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 16; ++y) {
      for (int x = 0; x < 20; ++x) ASSERT_EQ(flipped.at(c, y, x), image.at(c, y, 19 - x));
    }
  }
}

TEST(Augment, RotationByAQuarterTurnMovesPixelsExactly) {
  const Image image = synthetic_image(8, 1, 9, 9).value();
  AugmentOptions turn = nothing();
  turn.rotation_degrees = 90.0;
  // Draw until the angle is close to its bound; the picture must then resemble one of the two quarter turns.
  double best = 1e9;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const Image turned = augment(image, random, turn).value();
    double left = 0;
    double right = 0;
    for (int y = 0; y < 9; ++y) {
      for (int x = 0; x < 9; ++x) {
        left += std::abs(turned.at(0, y, x) - image.at(0, x, 8 - y));
        right += std::abs(turned.at(0, y, x) - image.at(0, 8 - x, y));
      }
    }
    best = std::min({best, left / 81, right / 81});
  }
  EXPECT_LT(best, 0.02);
}

TEST(Augment, SmallChangesStaySmallAndInRange) {
  double largest_mean = 0.0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Image image = synthetic_image(seed, 3, 32, 32).value();
    Random random(seed);
    AugmentOptions options;
    options.flip_probability = 0.0;
    const Image changed = augment(image, random, options).value();
    EXPECT_NE(changed, image);
    double difference = 0.0;
    for (std::size_t i = 0; i < image.size(); ++i) {
      ASSERT_GE(changed.pixels[i], 0.0F);
      ASSERT_LE(changed.pixels[i], 1.0F);
      difference += std::abs(changed.pixels[i] - image.pixels[i]);
    }
    largest_mean = std::max(largest_mean, difference / static_cast<double>(image.size()));
  }
  EXPECT_LT(largest_mean, 0.25);
}

// The first code jittered pictures already normalised to [-1, 1] and so cut off their dark half.
TEST(Augment, DarkPixelsStayDistinct) {
  Image dark = make_image(3, 8, 8).value();
  for (std::size_t i = 0; i < dark.size(); ++i) dark.pixels[i] = static_cast<float>(i % 64) / 255.0F;
  AugmentOptions colour = nothing();
  colour.brightness = colour.contrast = colour.saturation = 0.1;
  Random random(5);
  const Image changed = augment(dark, random, colour).value();
  EXPECT_GT(std::set<float>(changed.pixels.begin(), changed.pixels.end()).size(), 45U);
}

TEST(Augment, RefusesImpossibleOptions) {
  const Image image = synthetic_image(3, 3, 8, 8).value();
  Random random(1);
  for (double bad : {-0.1, std::nan(""), std::numeric_limits<double>::infinity()}) {
    AugmentOptions options;
    options.shift = bad;
    EXPECT_EQ(augment(image, random, options).error().code, ErrorCode::kInvalidArgument);
  }
  AugmentOptions zoom;
  zoom.zoom = 1.0;
  EXPECT_EQ(augment(image, random, zoom).error().code, ErrorCode::kInvalidArgument);
}

TEST(Png, SurvivesTheRoundTrip) {
  for (int channels : {1, 3}) {
    const Image image = synthetic_image(9, channels, 17, 23).value();
    EXPECT_EQ(decode_png(encode_png(image).value()).value(), image);
  }
  EXPECT_EQ(encode_png(make_image(2, 4, 4).value()).error().code, ErrorCode::kUnsupported);
}

TEST(Png, RefusesEveryTruncationAndNoise) {
  const auto bytes = encode_png(synthetic_image(9, 3, 8, 8).value()).value();
  EXPECT_EQ(decode_png({}).error().code, ErrorCode::kTruncated);
  // The last 12 bytes are the closing chunk, which libpng does not miss once the pixels are there.
  for (std::size_t length = 1; length + 16 < bytes.size(); ++length) {
    EXPECT_FALSE(decode_png(std::span(bytes).first(length)).ok()) << length;
  }
  std::vector<std::uint8_t> noise(1000, 0x42);
  EXPECT_EQ(decode_png(noise).error().code, ErrorCode::kMalformed);
  for (std::size_t i = 0; i < bytes.size(); ++i) {  // no garbled byte may crash; most are noticed
    auto garbled = bytes;
    garbled[i] ^= 0x55;
    (void)decode_png(garbled);
  }
}

TEST(Png, RefusesABombBeforeAllocating) {
  auto bytes = encode_png(synthetic_image(9, 1, 8, 8).value()).value();
  // Width and height stand at 16 and 20 in the header chunk; its checksum is at 29.
  const std::uint8_t huge[8] = {0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff};
  std::copy(std::begin(huge), std::end(huge), bytes.begin() + 16);
  std::uint32_t crc = 0xffffffffU;
  for (std::size_t i = 12; i < 29; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  crc = ~crc;
  for (std::size_t i = 0; i < 4; ++i) bytes[29 + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
  EXPECT_EQ(decode_png(bytes).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(decode_png(std::vector<std::uint8_t>(kMaxPngBytes + 1)).error().code, ErrorCode::kTooLarge);
}

TEST_F(Folder, ImageFolderHasClassesInNameOrder) {
  put_png("zebra/1.png", 1);
  put_png("ant/b.png", 2);
  put_png("ant/a.PNG", 3);
  std::ofstream(path_ / "ant/notes.txt") << "not a picture";
  fs::create_directories(path_ / "empty");
  const auto source = open_image_folder(path_).value();
  ASSERT_EQ(source->size(), 3U);
  EXPECT_EQ(source->label(0), 0);
  EXPECT_EQ(source->class_name(0), "ant");
  EXPECT_EQ(source->class_name(1), "zebra");
  EXPECT_EQ(source->class_name(7), "unknown");
  EXPECT_EQ(source->image(0).value(), synthetic_image(3, 3, 32, 32).value());
  EXPECT_EQ(source->image(2).value(), synthetic_image(1, 3, 32, 32).value());
  EXPECT_EQ(source->image(3).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Folder, SourcesAreRecognised) {
  EXPECT_EQ(open_image_source(path_ / "absent").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open_image_source(path_).error().code, ErrorCode::kNotFound);
  fs::create_directories(path_ / "hf" / "data");
  std::ofstream(path_ / "hf" / "data" / "train-00000.parquet") << "PAR1";
  EXPECT_EQ(open_image_source(path_ / "hf").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(open_image_source(path_ / "hf" / "data" / "train-00000.parquet").error().code, ErrorCode::kUnsupported);
  const auto refused = open_image_source(path_ / "hf" / "data" / "train-00000.parquet").error();
  EXPECT_EQ(refused.message, (path_ / "hf" / "data" / "train-00000.parquet").string() +
                                 ": parquet files are not read (Debian 12 has no parquet library for C++); convert the data set to CIFAR-10 binary batches "
                                 "or to a folder of PNG files, CLASS/NAME.png: docs/operation.md shows how");
  std::ofstream(path_ / "renamed.bin") << "PAR1 and more";  // by its first bytes
  EXPECT_EQ(open_image_source(path_ / "renamed.bin").error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(refuse_parquet(path_ / "absent").ok());
  put_png("flat/1.png", 1);
  const auto flat = open_image_source(path_ / "flat").value();
  EXPECT_EQ(flat->size(), 1U);
  EXPECT_EQ(flat->label(0), -1);
  std::vector<char> record(kCifar10RecordBytes, 7);
  fs::create_directories(path_ / "cifar");
  std::ofstream(path_ / "cifar" / "test_batch.bin", std::ios::binary)
      .write(record.data(), static_cast<std::streamsize>(record.size()));
  const auto cifar = open_image_source(path_ / "cifar").value();
  EXPECT_EQ(cifar->size(), 1U);
  EXPECT_EQ(cifar->class_name(cifar->label(0)), "horse");
  EXPECT_EQ(open_image_source(path_ / "cifar" / "test_batch.bin").value()->size(), 1U);
  std::ofstream(path_ / "cifar" / "test_batch.bin", std::ios::binary).write(record.data(), 100);
  EXPECT_EQ(open_image_source(path_ / "cifar").error().code, ErrorCode::kTruncated);
}

TEST_F(Folder, SamplesFollowFromTheirSeeds) {
  put_png("a/1.png", 1);
  put_png("b/2.png", 2, 1, 48);  // grey and larger: brought to the task's shape
  const auto source = open_image_source(path_).value();
  SamplerOptions options;
  options.synthetic_share = 0.25;
  const auto sampler = Sampler::make(options, source).value();
  int synthetic = 0;
  std::set<std::vector<float>> distinct;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Sample sample = sampler.draw(seed).value();
    EXPECT_EQ(sample.image.size(), 3072U);
    EXPECT_EQ(sample.image, sampler.draw(seed).value().image);
    EXPECT_EQ(sample.kind == "synthetic", !sample.source_index.has_value());
    if (sample.kind == "synthetic") {
      ++synthetic;
    } else {
      EXPECT_EQ(sample.label, static_cast<int>(*sample.source_index));
    }
    distinct.insert(sample.image.pixels);
  }
  EXPECT_NEAR(synthetic, 100, 35);
  EXPECT_EQ(distinct.size(), 400U) << "augmentation makes every one new";
}

TEST(Sampler, WithoutASourceEverythingIsSynthetic) {
  const auto sampler = Sampler::make({}, nullptr).value();
  for (std::uint64_t seed = 0; seed < 20; ++seed) EXPECT_EQ(sampler.draw(seed).value().kind, "synthetic");
  EXPECT_EQ(sampler.describe(), "synthetic images");
}

TEST(Sampler, RefusesImpossibleOptions) {
  SamplerOptions options;
  options.channels = 2;
  EXPECT_EQ(Sampler::make(options, nullptr).error().code, ErrorCode::kInvalidArgument);
  options = {};
  options.synthetic_share = 1.5;
  EXPECT_EQ(Sampler::make(options, nullptr).error().code, ErrorCode::kInvalidArgument);
  options = {};
  options.augmentation.zoom = 2.0;
  EXPECT_EQ(Sampler::make(options, nullptr).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::sampler
