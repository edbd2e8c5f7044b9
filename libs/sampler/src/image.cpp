#include "brainlock/sampler/image.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace brainlock::sampler {

Result<Image> make_image(int channels, int height, int width) {
  if (channels < 1 || height < 1 || width < 1) {
    return Error{ErrorCode::kInvalidArgument, "expected sides of at least 1, got " + std::to_string(channels) + "x" +
                                                  std::to_string(height) + "x" + std::to_string(width)};
  }
  // Divide rather than multiply: the product of three ints can pass any integer type.
  const auto area_limit = kMaxImageValues / static_cast<std::size_t>(channels);
  if (static_cast<std::size_t>(height) > area_limit ||
      static_cast<std::size_t>(width) > area_limit / static_cast<std::size_t>(height)) {
    return Error{ErrorCode::kTooLarge, "an image of " + std::to_string(channels) + "x" + std::to_string(height) + "x" +
                                           std::to_string(width) + " is above " + std::to_string(kMaxImageValues) +
                                           " values"};
  }
  Image image{channels, height, width, {}};
  image.pixels.resize(static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
                      static_cast<std::size_t>(width));
  return image;
}

Result<Image> image_from_bytes(std::span<const std::uint8_t> planar, int channels, int height, int width) {
  BRAINLOCK_ASSIGN(Image image, make_image(channels, height, width));
  if (planar.size() != image.size()) {
    return Error{ErrorCode::kMismatch, "expected " + std::to_string(image.size()) + " bytes for the image, got " +
                                           std::to_string(planar.size())};
  }
  std::transform(planar.begin(), planar.end(), image.pixels.begin(),
                 [](std::uint8_t byte) { return static_cast<float>(byte) / 255.0F; });
  return image;
}

std::vector<std::uint8_t> image_to_bytes(const Image& image) {
  std::vector<std::uint8_t> bytes(image.size());
  std::transform(image.pixels.begin(), image.pixels.end(), bytes.begin(), [](float value) {
    if (!(value > 0.0F)) return std::uint8_t{0};  // also NaN
    return static_cast<std::uint8_t>(std::lround(std::min(value, 1.0F) * 255.0F));
  });
  return bytes;
}

namespace {

/// Weights of source cells for one target cell along one axis: overlap when shrinking, linear between centres
/// otherwise.
struct Tap {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Tap> make_taps(int source, int target) {
  std::vector<Tap> taps(static_cast<std::size_t>(target));
  const double ratio = static_cast<double>(source) / target;
  for (int i = 0; i < target; ++i) {
    Tap& tap = taps[static_cast<std::size_t>(i)];
    if (ratio >= 1.0) {
      const double begin = i * ratio;
      const double end = std::min<double>(begin + ratio, source);
      tap.first = std::min(static_cast<int>(begin), source - 1);
      for (int s = tap.first; s < source && s < end; ++s) {
        const double overlap = std::min<double>(end, s + 1) - std::max<double>(begin, s);
        tap.weights.push_back(static_cast<float>(overlap / (end - begin)));
      }
    } else {
      const double centre = std::clamp((i + 0.5) * ratio - 0.5, 0.0, static_cast<double>(source - 1));
      tap.first = static_cast<int>(centre);
      const auto fraction = static_cast<float>(centre - tap.first);
      tap.weights = {1.0F - fraction};
      if (tap.first + 1 < source) tap.weights.push_back(fraction);
    }
  }
  return taps;
}

}  // namespace

Result<Image> resize(const Image& image, int height, int width) {
  BRAINLOCK_ASSIGN(Image out, make_image(image.channels, height, width));
  if (image.height == height && image.width == width) return image;
  BRAINLOCK_ASSIGN(Image rows, make_image(image.channels, image.height, width));
  const auto across = make_taps(image.width, width);
  const auto down = make_taps(image.height, height);
  for (int c = 0; c < image.channels; ++c) {
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < width; ++x) {
        const Tap& tap = across[static_cast<std::size_t>(x)];
        float sum = 0.0F;
        for (std::size_t k = 0; k < tap.weights.size(); ++k) {
          sum += tap.weights[k] * image.at(c, y, tap.first + static_cast<int>(k));
        }
        rows.at(c, y, x) = sum;
      }
    }
    for (int y = 0; y < height; ++y) {
      const Tap& tap = down[static_cast<std::size_t>(y)];
      for (int x = 0; x < width; ++x) {
        float sum = 0.0F;
        for (std::size_t k = 0; k < tap.weights.size(); ++k) {
          sum += tap.weights[k] * rows.at(c, tap.first + static_cast<int>(k), x);
        }
        out.at(c, y, x) = std::clamp(sum, 0.0F, 1.0F);
      }
    }
  }
  return out;
}

Result<Image> with_channels(const Image& image, int channels) {
  if (image.channels == channels) return image;
  BRAINLOCK_ASSIGN(Image out, make_image(channels, image.height, image.width));
  const auto plane = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  if (image.channels == 1 && channels == 3) {
    for (std::size_t c = 0; c < 3; ++c)
      std::copy(image.pixels.begin(), image.pixels.end(), out.pixels.begin() + static_cast<std::ptrdiff_t>(c * plane));
    return out;
  }
  if (image.channels == 4 && channels == 3) {
    std::copy_n(image.pixels.begin(), 3 * plane, out.pixels.begin());
    return out;
  }
  if ((image.channels == 3 || image.channels == 4) && channels == 1) {
    for (std::size_t i = 0; i < plane; ++i) {
      out.pixels[i] =
          0.299F * image.pixels[i] + 0.587F * image.pixels[plane + i] + 0.114F * image.pixels[2 * plane + i];
    }
    return out;
  }
  return Error{ErrorCode::kUnsupported,
               "no rule to turn " + std::to_string(image.channels) + " channels into " + std::to_string(channels)};
}

}  // namespace brainlock::sampler
