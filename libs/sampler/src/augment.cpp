#include "brainlock/sampler/augment.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace brainlock::sampler {
namespace {

Status check(const AugmentOptions& o) {
  const std::pair<const char*, double> bounds[] = {{"flip_probability", o.flip_probability},
                                                   {"rotation_degrees", o.rotation_degrees},
                                                   {"shift", o.shift},
                                                   {"zoom", o.zoom},
                                                   {"brightness", o.brightness},
                                                   {"contrast", o.contrast},
                                                   {"saturation", o.saturation}};
  for (const auto& [name, value] : bounds) {
    if (!std::isfinite(value) || value < 0.0) {
      return Error{ErrorCode::kInvalidArgument,
                   std::string(name) + ": expected at least 0, got " + std::to_string(value)};
    }
  }
  if (o.zoom >= 1.0) return Error{ErrorCode::kInvalidArgument, "zoom: expected below 1, got " + std::to_string(o.zoom)};
  return {};
}

/// Target point (x, y) comes from source point (xx x + xy y + x0, yx x + yy y + y0), in pixels.
struct Affine {
  double xx, xy, x0, yx, yy, y0;
};

Affine draw_affine(const Image& image, Random& random, const AugmentOptions& options) {
  const bool flip = random.chance(options.flip_probability);
  const double angle = random.uniform(-1.0, 1.0) * options.rotation_degrees * std::numbers::pi / 180.0;
  const double shift_x = random.uniform(-1.0, 1.0) * options.shift * image.width;
  const double shift_y = random.uniform(-1.0, 1.0) * options.shift * image.height;
  const double zoom = 1.0 + random.uniform(-1.0, 1.0) * options.zoom;
  const double c = std::cos(angle) / zoom;
  const double s = std::sin(angle) / zoom;
  const double mirror = flip ? -1.0 : 1.0;
  const double centre_x = (image.width - 1) / 2.0;
  const double centre_y = (image.height - 1) / 2.0;
  Affine map{mirror * c, mirror * s, 0.0, -s, c, 0.0};
  map.x0 = centre_x - map.xx * (centre_x + shift_x) - map.xy * (centre_y + shift_y);
  map.y0 = centre_y - map.yx * (centre_x + shift_x) - map.yy * (centre_y + shift_y);
  return map;
}

float bilinear(const Image& image, int channel, double x, double y) {
  const double cx = std::clamp(x, 0.0, static_cast<double>(image.width - 1));
  const double cy = std::clamp(y, 0.0, static_cast<double>(image.height - 1));
  const int x0 = static_cast<int>(cx);
  const int y0 = static_cast<int>(cy);
  const int x1 = std::min(x0 + 1, image.width - 1);
  const int y1 = std::min(y0 + 1, image.height - 1);
  const auto fx = static_cast<float>(cx - x0);
  const auto fy = static_cast<float>(cy - y0);
  const float top = image.at(channel, y0, x0) + fx * (image.at(channel, y0, x1) - image.at(channel, y0, x0));
  const float bottom = image.at(channel, y1, x0) + fx * (image.at(channel, y1, x1) - image.at(channel, y1, x0));
  return top + fy * (bottom - top);
}

void change_colours(Image& image, Random& random, const AugmentOptions& options) {
  const auto brightness = static_cast<float>(1.0 + random.uniform(-1.0, 1.0) * options.brightness);
  const auto contrast = static_cast<float>(1.0 + random.uniform(-1.0, 1.0) * options.contrast);
  const auto saturation = static_cast<float>(1.0 + random.uniform(-1.0, 1.0) * options.saturation);
  double sum = 0.0;
  for (float& value : image.pixels) {
    value *= brightness;
    sum += value;
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(image.size()));
  for (float& value : image.pixels) value = mean + contrast * (value - mean);
  if (image.channels != 3) return;
  const std::size_t plane = image.size() / 3;
  for (std::size_t i = 0; i < plane; ++i) {
    const float grey =
        0.299F * image.pixels[i] + 0.587F * image.pixels[plane + i] + 0.114F * image.pixels[2 * plane + i];
    for (std::size_t c = 0; c < 3; ++c) {
      float& value = image.pixels[c * plane + i];
      value = grey + saturation * (value - grey);
    }
  }
}

}  // namespace

Result<Image> augment(const Image& image, Random& random, const AugmentOptions& options) {
  BRAINLOCK_TRY(check(options));
  BRAINLOCK_ASSIGN(Image out, make_image(image.channels, image.height, image.width));
  const Affine map = draw_affine(image, random, options);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const double source_x = map.xx * x + map.xy * y + map.x0;
      const double source_y = map.yx * x + map.yy * y + map.y0;
      for (int c = 0; c < out.channels; ++c) out.at(c, y, x) = bilinear(image, c, source_x, source_y);
    }
  }
  change_colours(out, random, options);
  return image_from_bytes(image_to_bytes(out), out.channels, out.height, out.width);
}

}  // namespace brainlock::sampler
