#include "brainlock/sampler/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <set>

#include "brainlock/sampler/random.hpp"

namespace brainlock::sampler {
namespace {

TEST(Synthetic, SeedNamesOnePicture) {
  const Image a = synthetic_image(42, 3, 32, 32).value();
  EXPECT_EQ(a, synthetic_image(42, 3, 32, 32).value());
  EXPECT_EQ(a.channels, 3);
  EXPECT_EQ(a.size(), 3072U);
  EXPECT_NE(a, synthetic_image(43, 3, 32, 32).value());
}

// Recorded seeds are evidence: a release that draws another picture for the same seed breaks every stored verdict.
TEST(Synthetic, PicturesAreFrozen) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (std::uint8_t byte : image_to_bytes(synthetic_image(seed, 3, 32, 32).value())) {
      hash = (hash ^ byte) * 0x100000001b3ULL;
    }
  }
  EXPECT_EQ(hash, 10798427219111923950ULL);
}

TEST(Synthetic, ThousandSeedsGiveThousandPictures) {
  std::set<std::vector<float>> seen;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) seen.insert(synthetic_image(seed, 3, 8, 8).value().pixels);
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(Synthetic, ValuesAreBytesOver255) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Image image = synthetic_image(seed, 3, 32, 32).value();
    for (float value : image.pixels) {
      ASSERT_GE(value, 0.0F);
      ASSERT_LE(value, 1.0F);
      ASSERT_EQ(value, static_cast<float>(std::lround(value * 255.0F)) / 255.0F);
    }
  }
}

TEST(Synthetic, OtherShapesAndRefusals) {
  EXPECT_EQ(synthetic_image(1, 1, 28, 28).value().size(), 784U);
  EXPECT_EQ(synthetic_image(1, 3, 1, 1).value().size(), 3U);
  EXPECT_EQ(synthetic_image(1, 3, 20, 64).value().size(), 3840U);
  for (auto [c, h, w] : {std::array{2, 32, 32}, {0, 32, 32}, {3, 0, 32}, {3, 32, -1}, {3, 1025, 1}}) {
    EXPECT_EQ(synthetic_image(1, c, h, w).error().code, ErrorCode::kInvalidArgument);
  }
}

// Of CIFAR-10's test images one in a hundred has more fine detail than 0.072, one in a thousand more than 0.083. Pictures far beyond that make
// a network of squares run away.
TEST(Synthetic, FineDetailStaysThatOfPhotographs) {
  constexpr int kCount = 1500;
  std::vector<double> details;
  for (std::uint64_t seed = 0; seed < kCount; ++seed) {
    const Image image = synthetic_image(derive_seed(12, seed), 3, 32, 32).value();
    double sum = 0.0;
    for (int c = 0; c < 3; ++c) {
      for (int y = 1; y < 31; ++y) {
        for (int x = 1; x < 31; ++x) {
          double around = 0.0;
          for (int dy = -1; dy <= 1; ++dy) {
            for (int dx = -1; dx <= 1; ++dx) around += image.at(c, y + dy, x + dx);
          }
          sum += std::abs(image.at(c, y, x) - around / 9.0);
        }
      }
    }
    details.push_back(sum / (3 * 30 * 30));
  }
  std::sort(details.begin(), details.end());
  EXPECT_NEAR(details[kCount / 2], 0.030, 0.01);
  EXPECT_LT(details[kCount * 99 / 100], 0.072);
  EXPECT_LT(details.back(), 0.090);
}

double luminance(const Image& image, int y, int x) { return (image.at(0, y, x) + image.at(1, y, x) + image.at(2, y, x)) / 3.0; }

// CIFAR-10's images: hardest edge 0.47 / 0.65 / 0.73 / 0.80 at 50 / 95 / 99 / 99.9 per cent; of red minus luminance, which cameras and files
// keep at half the resolution, a step of 0.03 / 0.10 / 0.15 / 0.22 (Cr).
TEST(Synthetic, EdgesStayThoseOfPhotographsAndColoursAreSofterStill) {
  constexpr int kCount = 1500;
  std::vector<double> edges;
  std::vector<double> colour_edges;
  for (std::uint64_t seed = 0; seed < kCount; ++seed) {
    const Image image = synthetic_image(derive_seed(13, seed), 3, 32, 32).value();
    double edge = 0.0;
    double colour_edge = 0.0;
    const auto step = [&](int y, int x, int next_y, int next_x) {
      const double here = luminance(image, y, x);
      const double there = luminance(image, next_y, next_x);
      edge = std::max(edge, std::abs(here - there));
      colour_edge = std::max(colour_edge, std::abs((image.at(0, y, x) - here) - (image.at(0, next_y, next_x) - there)));
    };
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        if (x > 0) step(y, x, y, x - 1);
        if (y > 0) step(y, x, y - 1, x);
      }
    }
    edges.push_back(edge);
    colour_edges.push_back(colour_edge);
  }
  std::sort(edges.begin(), edges.end());
  std::sort(colour_edges.begin(), colour_edges.end());
  EXPECT_NEAR(edges[kCount / 2], 0.43, 0.05);
  EXPECT_LT(edges[kCount * 99 / 100], 0.73);
  EXPECT_LT(edges.back(), 0.88);
  EXPECT_NEAR(colour_edges[kCount / 2], 0.03, 0.015);
  EXPECT_LT(colour_edges[kCount * 99 / 100], 0.15);
}

// One regular pattern all over a picture is what no photograph has, and what drives a network's filters furthest. The largest share of a picture's
// variation (under a Hann window) in one frequency of three turns or more: CIFAR-10's images 0.025 / 0.091 / 0.153 at 50 / 99 / 100 per cent.
TEST(Synthetic, HardlyAnyPictureIsOneRegularPattern) {
  constexpr int kCount = 400;
  constexpr int kSide = 32;
  std::array<std::array<std::complex<double>, kSide>, kSide> turns{};
  for (int f = 0; f < kSide; ++f)
    for (int t = 0; t < kSide; ++t) turns[f][t] = std::polar(1.0, -2.0 * std::numbers::pi * f * t / kSide);
  std::vector<double> peaks;
  for (std::uint64_t seed = 0; seed < kCount; ++seed) {
    const Image image = synthetic_image(derive_seed(14, seed), 3, kSide, kSide).value();
    double mean = 0.0;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) mean += luminance(image, y, x) / (kSide * kSide);
    const auto window = [](int t) { return 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * t / kSide); };
    std::array<std::array<std::complex<double>, kSide>, kSide> rows{};
    for (int y = 0; y < kSide; ++y)
      for (int f = 0; f <= kSide / 2; ++f)
        for (int x = 0; x < kSide; ++x) rows[y][f] += window(y) * window(x) * (luminance(image, y, x) - mean) * turns[f][x];
    double total = 0.0;
    double peak = 0.0;
    for (int fy = 0; fy < kSide; ++fy) {
      for (int fx = 0; fx <= kSide / 2; ++fx) {
        std::complex<double> value = 0.0;
        for (int y = 0; y < kSide; ++y) value += rows[y][fx] * turns[fy][y];
        const int signed_fy = fy > kSide / 2 ? fy - kSide : fy;
        total += std::norm(value);
        if (signed_fy * signed_fy + fx * fx >= 9) peak = std::max(peak, std::norm(value));
      }
    }
    peaks.push_back(peak / total);
  }
  std::sort(peaks.begin(), peaks.end());
  EXPECT_NEAR(peaks[kCount / 2], 0.017, 0.008);
  EXPECT_LT(peaks[kCount * 98 / 100], 0.10);
  EXPECT_LT(peaks.back(), 0.40);
}

// Figures of CIFAR-10's test images beside each bound; the network's inputs must look alike to keep its ranges.
TEST(Synthetic, StatisticsResembleSmallPhotographs) {
  constexpr int kCount = 1500;
  double sum[3] = {};
  double squares[3] = {};
  double red_blue = 0.0;
  double lag_one = 0.0;
  double lag_eight = 0.0;
  std::vector<double> deviations;
  for (std::uint64_t seed = 0; seed < kCount; ++seed) {
    const Image image = synthetic_image(derive_seed(11, seed), 3, 32, 32).value();
    double mean = 0.0;
    double square = 0.0;
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        for (int c = 0; c < 3; ++c) {
          sum[c] += image.at(c, y, x);
          squares[c] += static_cast<double>(image.at(c, y, x)) * image.at(c, y, x);
        }
        red_blue += static_cast<double>(image.at(0, y, x)) * image.at(2, y, x);
        mean += image.at(1, y, x);
        square += static_cast<double>(image.at(1, y, x)) * image.at(1, y, x);
      }
    }
    mean /= 1024.0;
    const double variance = std::max(square / 1024.0 - mean * mean, 1e-9);
    deviations.push_back(std::sqrt(variance));
    double one = 0.0;
    double eight = 0.0;
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x + 1 < 32; ++x) one += (image.at(1, y, x) - mean) * (image.at(1, y, x + 1) - mean);
      for (int x = 0; x + 8 < 32; ++x) eight += (image.at(1, y, x) - mean) * (image.at(1, y, x + 8) - mean);
    }
    lag_one += one / (31 * 32) / variance;
    lag_eight += eight / (24 * 32) / variance;
  }
  const double n = 1024.0 * kCount;
  const double mean[3] = {sum[0] / n, sum[1] / n, sum[2] / n};
  const auto deviation = [&](int c) { return std::sqrt(squares[c] / n - mean[c] * mean[c]); };
  EXPECT_NEAR(mean[0], 0.496, 0.03);
  EXPECT_NEAR(mean[1], 0.485, 0.03);
  EXPECT_NEAR(mean[2], 0.451, 0.03);
  EXPECT_NEAR(deviation(0), 0.244, 0.03);
  EXPECT_NEAR(deviation(1), 0.242, 0.03);
  EXPECT_NEAR(deviation(2), 0.260, 0.03);
  EXPECT_NEAR((red_blue / n - mean[0] * mean[2]) / (deviation(0) * deviation(2)), 0.807, 0.08);
  EXPECT_NEAR(lag_one / kCount, 0.89, 0.05);
  EXPECT_NEAR(lag_eight / kCount, 0.32, 0.12);
  std::nth_element(deviations.begin(), deviations.begin() + kCount / 2, deviations.end());
  EXPECT_NEAR(deviations[kCount / 2], 0.195, 0.03);
}

}  // namespace
}  // namespace brainlock::sampler
