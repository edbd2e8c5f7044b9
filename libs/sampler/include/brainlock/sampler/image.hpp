// Image: what a vision task takes as its input, before any encryption.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::sampler {

/// Largest number of values in one image that any reader or generator of this library makes (64 MiB of floats).
inline constexpr std::size_t kMaxImageValues = std::size_t{1} << 24;

/// A planar picture: `pixels[(c * height + y) * width + x]`, every value in [0, 1]. A plain value: copies are deep.
struct Image {
  int channels = 0;
  int height = 0;
  int width = 0;
  std::vector<float> pixels;

  [[nodiscard]] std::size_t size() const { return pixels.size(); }
  [[nodiscard]] float& at(int c, int y, int x) { return pixels[index(c, y, x)]; }
  [[nodiscard]] float at(int c, int y, int x) const { return pixels[index(c, y, x)]; }
  bool operator==(const Image&) const = default;

 private:
  [[nodiscard]] std::size_t index(int c, int y, int x) const {
    return (static_cast<std::size_t>(c) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) *
               static_cast<std::size_t>(width) +
           static_cast<std::size_t>(x);
  }
};

/// A black image. kInvalidArgument for a side below 1, kTooLarge above kMaxImageValues.
Result<Image> make_image(int channels, int height, int width);

/// Bytes of the same planar order, 255 -> 1.0. kMismatch if the count is not channels * height * width.
Result<Image> image_from_bytes(std::span<const std::uint8_t> planar, int channels, int height, int width);

/// The nearest bytes, planar; values outside [0, 1] are clamped, NaN becomes 0.
std::vector<std::uint8_t> image_to_bytes(const Image& image);

/// Box-filtered (down) or bilinear (up) copy with the given sides; channels stay. Errors as make_image.
Result<Image> resize(const Image& image, int height, int width);

/// One channel to three by repetition, three (or four: alpha dropped) to one by luma, or an equal copy.
/// kUnsupported for any other pair.
Result<Image> with_channels(const Image& image, int channels);

}  // namespace brainlock::sampler
