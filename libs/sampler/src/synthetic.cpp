#include "brainlock/sampler/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "brainlock/sampler/random.hpp"
#include "scene.hpp"

namespace brainlock::sampler {
namespace {

constexpr int kMaxSide = 1024;

/// Per-image mean and deviation of the luminance, drawn like those of CIFAR-10 (measured on its test images:
/// mean 0.47 +- 0.12; deviation 0.11 / 0.20 / 0.31 at 5 / 50 / 95 per cent).
struct Exposure {
  double mean;
  double deviation;
};

Exposure draw_exposure(Random& random) {
  Exposure exposure{};
  exposure.mean = std::clamp(0.475 + 0.130 * random.normal(), 0.12, 0.88);
  exposure.deviation = std::clamp(0.228 + 0.066 * random.normal(), 0.06, 0.40);
  return exposure;
}

/// [1 2 1]/4 along one axis, mixed with the picture itself; borders repeat.
void blur_axis(std::vector<double>& plane, int height, int width, bool horizontal, double amount) {
  const std::vector<double> source = plane;
  const auto at = [&](int y, int x) {
    return source[static_cast<std::size_t>(std::clamp(y, 0, height - 1)) * static_cast<std::size_t>(width) +
                  static_cast<std::size_t>(std::clamp(x, 0, width - 1))];
  };
  const int dy = horizontal ? 0 : 1;
  const int dx = horizontal ? 1 : 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double soft = 0.25 * (at(y - dy, x - dx) + 2.0 * at(y, x) + at(y + dy, x + dx));
      plane[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)] =
          at(y, x) + amount * (soft - at(y, x));
    }
  }
}

/// Most that contrast is raised: a nearly flat picture stays fairly flat.
constexpr double kMostGain = 8.0;
/// Colourfulness, and the mean tint of daylight and skin over grey, as measured on CIFAR-10's test images.
constexpr double kColour = 0.56;
constexpr double kTint[3] = {0.018, 0.008, -0.026};

/// Scales the whole picture about its mean luminance to the drawn exposure; colour differences grow less than light.
void expose(std::vector<std::vector<double>>& planes, const Exposure& exposure) {
  const std::size_t count = planes[0].size();
  double sum = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double value = (planes[0][i] + planes[1][i] + planes[2][i]) / 3.0;
    sum += value;
    squares += value * value;
  }
  const double mean = sum / static_cast<double>(count);
  const double deviation = std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean * mean));
  const double gain = std::min(exposure.deviation / std::max(deviation, 1e-9), kMostGain);
  const double colour_gain = kColour * std::min(gain, 2.0);
  for (std::size_t i = 0; i < count; ++i) {
    const double luminance = (planes[0][i] + planes[1][i] + planes[2][i]) / 3.0;
    for (std::size_t c = 0; c < 3; ++c) {
      planes[c][i] = exposure.mean + kTint[c] + gain * (luminance - mean) + colour_gain * (planes[c][i] - luminance);
    }
  }
}

/// Mean distance of a value from the mean of the 3x3 pixels around it: how much of a picture is fine detail.
double fine_detail(const std::vector<std::vector<double>>& planes, int height, int width) {
  double sum = 0.0;
  for (const auto& plane : planes) {
    const auto at = [&](int y, int x) {
      return std::clamp(plane[static_cast<std::size_t>(std::clamp(y, 0, height - 1)) * static_cast<std::size_t>(width) +
                              static_cast<std::size_t>(std::clamp(x, 0, width - 1))],
                        0.0, 1.0);
    };
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        double around = 0.0;
        for (int dy = -1; dy <= 1; ++dy) {
          for (int dx = -1; dx <= 1; ++dx) around += at(y + dy, x + dx);
        }
        sum += std::abs(at(y, x) - around / 9.0);
      }
    }
  }
  return sum / static_cast<double>(3 * planes[0].size());
}

/// Most fine detail of a picture before grain. CIFAR-10's test images (grain in them) have 0.036 / 0.060 / 0.072 / 0.083 at 50 / 95 /
/// 99 / 99.9 per cent, and halved to 16 pixels 1.4 times that; a picture of nothing but fine stripes has 0.3, and no camera takes it.
double draw_most_detail(Random& random, int side) {
  return std::clamp(0.050 + 0.011 * random.normal(), 0.020, 0.074) * std::sqrt(32.0 / side);
}

/// Largest step of luminance between neighbours.
double hardest_edge(const std::vector<std::vector<double>>& planes, int height, int width) {
  const auto at = [&](int y, int x) {
    const std::size_t i = static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
    return (planes[0][i] + planes[1][i] + planes[2][i]) / 3.0;
  };
  double most = 0.0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (x > 0) most = std::max(most, std::abs(at(y, x) - at(y, x - 1)));
      if (y > 0) most = std::max(most, std::abs(at(y, x) - at(y - 1, x)));
    }
  }
  return most;
}

/// Hardest edge of a picture before grain. CIFAR-10's images (grain in them) have 0.47 / 0.65 / 0.73 / 0.80 at 50 / 95 / 99 / 99.9 per cent:
/// a pixel is the mean of what falls on it, and a lens is never quite sharp.
double draw_hardest_edge(Random& random) { return std::clamp(0.54 + 0.12 * random.normal(), 0.15, 0.80); }

/// Blurs until no more than `detail` is left, and no edge harder than `edge`.
void soften(std::vector<std::vector<double>>& planes, int height, int width, double detail, double edge) {
  constexpr int kPasses = 24;
  for (int pass = 0; pass < kPasses; ++pass) {
    if (fine_detail(planes, height, width) <= detail && hardest_edge(planes, height, width) <= edge) return;
    for (auto& plane : planes) {
      blur_axis(plane, height, width, true, 0.5);
      blur_axis(plane, height, width, false, 0.5);
    }
  }
}

/// A camera's tone curve: from the distance `knee` to mid grey on, light and dark fade into white and black instead of being cut off. Of
/// CIFAR-10's test images half have less than 0.4 per cent of values at either end, one in twenty more than 7.6, one in a hundred more than 22.
void fade_ends(std::vector<std::vector<double>>& planes, double knee) {
  const double room = 0.5 - knee;
  for (auto& plane : planes) {
    for (double& value : plane) {
      const double distance = std::abs(value - 0.5);
      if (distance <= knee) continue;
      const double faded = knee + room * (1.0 - std::exp(-(distance - knee) / room));
      value = 0.5 + std::copysign(faded, value - 0.5);
    }
  }
}

/// Differences from the luminance at half the resolution, as sensors see and files store them. Of photographs' fine detail hardly any is in
/// their colours: CIFAR-10's (re-encoded) have a seventh of the luminance's or less in 95 per cent of images.
void halve_colour(std::vector<std::vector<double>>& planes, int height, int width) {
  std::vector<double> luminance(planes[0].size());
  for (std::size_t i = 0; i < luminance.size(); ++i) luminance[i] = (planes[0][i] + planes[1][i] + planes[2][i]) / 3.0;
  for (auto& plane : planes) {
    for (std::size_t i = 0; i < luminance.size(); ++i) plane[i] -= luminance[i];
    for (int pass = 0; pass < 2; ++pass) {
      blur_axis(plane, height, width, true, 1.0);
      blur_axis(plane, height, width, false, 1.0);
    }
    for (std::size_t i = 0; i < luminance.size(); ++i) plane[i] += luminance[i];
  }
}

}  // namespace

Result<Image> synthetic_image(std::uint64_t seed, int channels, int height, int width) {
  if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return Error{ErrorCode::kInvalidArgument, "expected 1 or 3 channels and sides of 1.." + std::to_string(kMaxSide) +
                                                  ", got " + std::to_string(channels) + "x" + std::to_string(height) +
                                                  "x" + std::to_string(width)};
  }
  Random random(seed);
  const auto first = scene::Scene::draw(random);
  const bool mixture = random.chance(0.2);
  const auto second = scene::Scene::draw(random);
  const double share = mixture ? random.uniform(0.15, 0.5) : 0.0;
  const double blur = random.uniform(0.0, 0.3);
  const double grain = random.uniform(0.0, 0.03);
  const Exposure exposure = draw_exposure(random);
  const double softness = random.uniform(1.0, 2.4) / std::min(height, width);
  const double most_detail = draw_most_detail(random, std::min(height, width));
  const double hardest = draw_hardest_edge(random);
  const double knee = random.uniform(0.30, 0.49);
  const double light_u = 0.12 * random.normal();  // light falls from somewhere
  const double light_v = -0.05 + 0.12 * random.normal();

  const std::size_t count = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  std::vector<std::vector<double>> planes(3, std::vector<double>(count));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double u = (x + 0.5) / width;
      const double v = (y + 0.5) / height;
      auto colour = first.at(u, v, softness);
      if (mixture) {
        const auto other = second.at(u, v, softness);
        colour = {colour.r + share * (other.r - colour.r), colour.g + share * (other.g - colour.g),
                  colour.b + share * (other.b - colour.b)};
      }
      const std::size_t i = static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
      const double light = std::max(0.2, 1.0 + light_u * (2.0 * u - 1.0) + light_v * (2.0 * v - 1.0));
      planes[0][i] = light * colour.r;
      planes[1][i] = light * colour.g;
      planes[2][i] = light * colour.b;
    }
  }
  for (auto& plane : planes) {
    blur_axis(plane, height, width, true, blur);
    blur_axis(plane, height, width, false, blur);
  }
  expose(planes, exposure);
  fade_ends(planes, knee);
  soften(planes, height, width, most_detail, hardest);

  for (std::size_t i = 0; i < count; ++i) {
    const double common = grain * random.normal();  // sensor grain: mostly brightness, a little colour
    for (std::size_t c = 0; c < 3; ++c) planes[c][i] += common + 0.4 * grain * random.normal();
  }
  halve_colour(planes, height, width);

  BRAINLOCK_ASSIGN(Image colours, make_image(3, height, width));
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < count; ++i) colours.pixels[c * count + i] = static_cast<float>(std::clamp(planes[c][i], 0.0, 1.0));
  }
  BRAINLOCK_ASSIGN(Image shaped, with_channels(colours, channels));
  // Rounding to bytes makes the picture one that a file could hold, and hides last-bit differences of sin and cos.
  return image_from_bytes(image_to_bytes(shaped), channels, height, width);
}

}  // namespace brainlock::sampler
