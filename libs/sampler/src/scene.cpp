#include "scene.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace brainlock::sampler::scene {
namespace {

constexpr double kTurn = 2.0 * std::numbers::pi;

double smooth(double t) { return t * t * (3.0 - 2.0 * t); }
double mix(double a, double b, double t) { return a + (b - a) * t; }
Colour mix(const Colour& a, const Colour& b, double t) {
  return {mix(a.r, b.r, t), mix(a.g, b.g, t), mix(a.b, b.b, t)};
}

/// Uniform in [0, 1) from a lattice point.
double lattice(std::uint64_t seed, std::int64_t x, std::int64_t y) {
  std::uint64_t h = seed ^ (static_cast<std::uint64_t>(x) * 0x9e3779b97f4a7c15ULL) ^
                    (static_cast<std::uint64_t>(y) * 0xc2b2ae3d27d4eb4fULL);
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<double>((h ^ (h >> 31)) >> 11) * 0x1.0p-53;
}

}  // namespace

double Noise::at(double u, double v) const {
  double sum = 0.0;
  double amplitude = 1.0;
  double total = 0.0;
  double frequency = frequency_;
  for (int octave = 0; octave < octaves_; ++octave) {
    const std::uint64_t seed = seed_ + static_cast<std::uint64_t>(octave) * 0x632be59bd9b4e019ULL;
    const double x = u * frequency;
    const double y = v * frequency;
    const double fx = std::floor(x);
    const double fy = std::floor(y);
    const auto ix = static_cast<std::int64_t>(fx);
    const auto iy = static_cast<std::int64_t>(fy);
    const double tx = smooth(x - fx);
    const double ty = smooth(y - fy);
    const double top = mix(lattice(seed, ix, iy), lattice(seed, ix + 1, iy), tx);
    const double bottom = mix(lattice(seed, ix, iy + 1), lattice(seed, ix + 1, iy + 1), tx);
    sum += amplitude * mix(top, bottom, ty);
    total += amplitude;
    amplitude *= persistence_;
    frequency *= 2.0;
  }
  return sum / total;
}

Field Field::draw(Random& random) {
  // Photographs are mostly smooth or noisy; regular patterns are the exception.
  const double choice = random.uniform();
  const Kind kind = choice < 0.22   ? Kind::kGradient
                    : choice < 0.34 ? Kind::kGlow
                    : choice < 0.80 ? Kind::kNoise
                    : choice < 0.91 ? Kind::kStripes
                    : choice < 0.95 ? Kind::kChecks
                                    : Kind::kRings;
  const double frequency = random.uniform(2.5, 9.0);
  const double persistence = random.uniform(0.65, 1.1);
  Field field(kind, Noise(random.next(), frequency, 5, persistence));
  const double angle = random.uniform(0.0, kTurn);
  field.cos_ = std::cos(angle);
  field.sin_ = std::sin(angle);
  field.frequency_ = random.uniform(1.5, 9.0);
  field.phase_ = random.uniform(0.0, kTurn);
  field.centre_u_ = random.uniform(-0.2, 1.2);
  field.centre_v_ = random.uniform(-0.2, 1.2);
  field.warp_ = random.chance(0.6) ? random.uniform(0.0, 0.35) : 0.0;
  const bool pattern = kind == Kind::kStripes || kind == Kind::kChecks || kind == Kind::kRings;
  field.mix_ = pattern ? random.uniform(0.3, 0.7) : random.uniform(0.2, 0.8);
  field.chirp_ = random.uniform(-0.7, 0.7);
  field.fade_ = random.uniform(1.5, 3.5);
  return field;
}

double Field::at(double u, double v) const {
  const double grain = noise_.at(u, v);
  if (kind_ == Kind::kNoise) return grain;
  const double bent_u = u + warp_ * (grain - 0.5);
  const double bent_v = v + warp_ * (noise_.at(v + 7.3, u - 3.1) - 0.5);
  const double straight = (bent_u - 0.5) * cos_ + (bent_v - 0.5) * sin_;
  const double along = straight * (1.0 + chirp_ * straight);
  const double across = (bent_v - 0.5) * cos_ - (bent_u - 0.5) * sin_;
  const double away =
      std::sqrt((bent_u - centre_u_) * (bent_u - centre_u_) + (bent_v - centre_v_) * (bent_v - centre_v_));
  double value = 0.5;
  switch (kind_) {
    case Kind::kGradient:
      value = std::clamp(along + 0.5, 0.0, 1.0);
      break;
    case Kind::kGlow:
      value = 1.0 / (1.0 + 4.0 * away * away);
      break;
    case Kind::kStripes:
      value = 0.5 + 0.5 * std::sin(kTurn * frequency_ * along + phase_);
      break;
    case Kind::kChecks: {
      const auto cells = static_cast<std::int64_t>(std::floor(along * frequency_)) +
                         static_cast<std::int64_t>(std::floor(across * frequency_));
      value = (cells & 1) != 0 ? 0.85 : 0.15;
      break;
    }
    case Kind::kRings:
      value = 0.5 + 0.5 * std::sin(kTurn * frequency_ * away + phase_);
      break;
    case Kind::kNoise:
      break;  // answered above
  }
  if (kind_ == Kind::kStripes || kind_ == Kind::kChecks || kind_ == Kind::kRings) {
    const double here = noise_.at(0.4 * u + 11.7, 0.4 * v - 5.9);
    value = 0.5 + (value - 0.5) * std::clamp(0.5 + fade_ * (here - 0.5), 0.0, 1.0);
  }
  return mix(value, grain, mix_);
}

Paint Paint::draw(Random& random) {
  // Luminance spreads widely, hue little: in photographs the three channels move together.
  const double luminance = random.uniform(0.05, 0.95);
  const double warmth = 0.085 * random.normal();
  const double green = 0.060 * random.normal();
  const double vivid = random.chance(0.2) ? 2.2 : 1.0;
  const Colour base = {luminance + vivid * warmth, luminance + vivid * green, luminance - vivid * warmth};
  const double step = random.uniform(-0.8, 0.8);
  const double drift = 0.05 * random.normal();
  const Field field = Field::draw(random);
  return Paint{field, base, {base.r + step + drift, base.g + step, base.b + step - drift}};
}

Colour Paint::at(double u, double v) const { return mix(from, to, field.at(u, v)); }

Shape Shape::draw(Random& random) {
  Shape shape(Paint::draw(random));
  const double choice = random.uniform();
  shape.kind_ = choice < 0.35 ? Kind::kEllipse : choice < 0.6 ? Kind::kBox : Kind::kBlob;
  shape.centre_u_ = std::clamp(0.5 + 0.2 * random.normal(), -0.1, 1.1);  // things stand near the middle
  shape.centre_v_ = std::clamp(0.55 + 0.18 * random.normal(), -0.1, 1.1);
  const double size = random.uniform(0.06, 0.32);
  const double aspect = random.uniform(0.45, 1.6);
  shape.radius_u_ = size * aspect;
  shape.radius_v_ = size;
  const double angle = random.uniform(0.0, kTurn);
  shape.cos_ = std::cos(angle);
  shape.sin_ = std::sin(angle);
  for (int k = 0; k < 3; ++k) {
    shape.wave_[k] = random.uniform(0.0, 0.28);
    shape.wave_phase_[k] = random.uniform(0.0, kTurn);
  }
  shape.light_u_ = 0.25 * random.normal();
  shape.light_v_ = -0.2 + 0.2 * random.normal();  // light mostly falls from above
  return shape;
}

double Shape::distance(double u, double v) const {
  const double x = ((u - centre_u_) * cos_ + (v - centre_v_) * sin_) / radius_u_;
  const double y = ((v - centre_v_) * cos_ - (u - centre_u_) * sin_) / radius_v_;
  const double scale = std::min(radius_u_, radius_v_);
  if (kind_ == Kind::kBox) return (std::max(std::abs(x), std::abs(y)) - 1.0) * scale;
  const double radius = std::sqrt(x * x + y * y);
  double edge = 1.0;
  if (kind_ == Kind::kBlob) {
    const double angle = std::atan2(y, x);
    for (int k = 0; k < 3; ++k) edge += wave_[k] * std::cos((k + 2) * angle + wave_phase_[k]);
  }
  return (radius - edge) * scale;
}

double Shape::coverage(double u, double v, double softness) const {
  return smooth(std::clamp(0.5 - distance(u, v) / softness, 0.0, 1.0));
}

Colour Shape::colour(double u, double v) const {
  const double light = 1.0 + light_u_ * (u - centre_u_) / radius_u_ + light_v_ * (v - centre_v_) / radius_v_;
  const double factor = std::clamp(light, 0.3, 1.7);
  const Colour paint = paint_.at(u, v);
  return {paint.r * factor, paint.g * factor, paint.b * factor};
}

Scene Scene::draw(Random& random) {
  Scene scene{Paint::draw(random), {}};
  const auto count = random.below(11);
  scene.shapes.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) scene.shapes.push_back(Shape::draw(random));
  return scene;
}

Colour Scene::at(double u, double v, double softness) const {
  Colour colour = background.at(u, v);
  for (const Shape& shape : shapes) {
    const double covered = shape.coverage(u, v, softness);
    if (covered > 0.0) colour = mix(colour, shape.colour(u, v), covered);
  }
  return colour;
}

}  // namespace brainlock::sampler::scene
