#include "brainlock/sampler/image.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace brainlock::sampler {
namespace {

TEST(Image, RefusesImpossibleSidesBeforeAllocating) {
  EXPECT_EQ(make_image(0, 1, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(make_image(1, -1, 1).error().code, ErrorCode::kInvalidArgument);
  const int huge = std::numeric_limits<int>::max();
  EXPECT_EQ(make_image(huge, huge, huge).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(make_image(3, 1 << 14, 1 << 14).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(make_image(1, 1 << 12, 1 << 12).value().size(), kMaxImageValues);
}

TEST(Image, BytesSurviveTheRoundTrip) {
  std::array<std::uint8_t, 256> bytes{};
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const Image image = image_from_bytes(bytes, 1, 16, 16).value();
  const auto back = image_to_bytes(image);
  EXPECT_TRUE(std::equal(back.begin(), back.end(), bytes.begin()));
  EXPECT_EQ(image_from_bytes(bytes, 1, 16, 15).error().code, ErrorCode::kMismatch);
}

TEST(Image, ClampsWhatBytesCannotHold) {
  Image image = make_image(1, 1, 4).value();
  image.pixels = {-1.0F, 2.0F, std::numeric_limits<float>::quiet_NaN(), 0.5F};
  EXPECT_EQ(image_to_bytes(image), (std::vector<std::uint8_t>{0, 255, 0, 128}));
}

TEST(Image, ResizeKeepsTheMeanWhenShrinkingAndConstantsAlways) {
  Image image = make_image(1, 6, 9).value();
  double mean = 0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    image.pixels[i] = static_cast<float>(i % 7) / 7.0F;
    mean += image.pixels[i] / static_cast<double>(image.size());
  }
  const Image small = resize(image, 2, 3).value();
  double small_mean = 0;
  for (float value : small.pixels) small_mean += value / 6.0;
  EXPECT_NEAR(small_mean, mean, 1e-6);
  Image flat = make_image(3, 5, 5).value();
  std::fill(flat.pixels.begin(), flat.pixels.end(), 0.25F);
  for (auto [h, w] : {std::array{32, 32}, {3, 4}, {1, 1}, {5, 7}}) {
    const Image other = resize(flat, h, w).value();
    for (float value : other.pixels) ASSERT_NEAR(value, 0.25F, 1e-6F);
  }
}

TEST(Image, ChannelsChangeByKnownRulesOnly) {
  Image colour = make_image(3, 1, 1).value();
  colour.pixels = {1.0F, 0.5F, 0.0F};
  EXPECT_NEAR(with_channels(colour, 1).value().pixels[0], 0.299F + 0.2935F, 1e-6F);
  Image grey = make_image(1, 1, 2).value();
  grey.pixels = {0.25F, 0.75F};
  EXPECT_EQ(with_channels(grey, 3).value().pixels, (std::vector<float>{0.25F, 0.75F, 0.25F, 0.75F, 0.25F, 0.75F}));
  EXPECT_EQ(with_channels(grey, 2).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace brainlock::sampler
