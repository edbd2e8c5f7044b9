// The parts that synthetic pictures are made of: fields of numbers over the unit square, and soft-edged shapes.
#pragma once

#include <cstdint>
#include <vector>

#include "brainlock/sampler/random.hpp"

namespace brainlock::sampler::scene {

/// Smooth noise in [0, 1]: octaves of a hashed lattice, interpolated. Its spectrum falls like that of photographs.
class Noise {
 public:
  Noise(std::uint64_t seed, double frequency, int octaves, double persistence)
      : seed_(seed), frequency_(frequency), octaves_(octaves), persistence_(persistence) {}
  [[nodiscard]] double at(double u, double v) const;

 private:
  std::uint64_t seed_;
  double frequency_;  // lattice cells across the picture in the first octave
  int octaves_;
  double persistence_;  // amplitude of each octave as a part of the one before
};

/// One texture: a number in [0, 1] for every point.
class Field {
 public:
  /// Draws a kind (gradient, glow, noise, stripes, checks, rings) and its constants.
  static Field draw(Random& random);
  [[nodiscard]] double at(double u, double v) const;

 private:
  enum class Kind { kGradient, kGlow, kNoise, kStripes, kChecks, kRings };
  Field(Kind kind, Noise noise) : kind_(kind), noise_(noise) {}
  Kind kind_;
  Noise noise_;
  double warp_ = 0.0;   // how far noise bends the coordinates
  double chirp_ = 0.0;  // how much a pattern's period changes across the picture, as on a surface that leans away
  double fade_ = 0.0;   // how much a pattern comes and goes: no thing in a photograph is covered by one as evenly as a test card
  double cos_ = 1.0, sin_ = 0.0, frequency_ = 1.0, phase_ = 0.0, centre_u_ = 0.5, centre_v_ = 0.5, mix_ = 0.0;
};

struct Colour {
  double r = 0.0, g = 0.0, b = 0.0;
};

/// A colour field: a texture that runs between two colours of like hue.
struct Paint {
  Field field;
  Colour from, to;
  static Paint draw(Random& random);
  [[nodiscard]] Colour at(double u, double v) const;
};

/// A closed outline, its paint and the light on it.
class Shape {
 public:
  static Shape draw(Random& random);
  /// How much of the point the shape covers, 0..1; `softness` is the width of the edge in picture widths.
  [[nodiscard]] double coverage(double u, double v, double softness) const;
  [[nodiscard]] Colour colour(double u, double v) const;

 private:
  enum class Kind { kEllipse, kBox, kBlob };
  explicit Shape(Paint paint) : paint_(paint) {}
  [[nodiscard]] double distance(double u, double v) const;
  Kind kind_ = Kind::kEllipse;
  Paint paint_;
  double centre_u_ = 0.5, centre_v_ = 0.5, radius_u_ = 0.2, radius_v_ = 0.2, cos_ = 1.0, sin_ = 0.0;
  double wave_[3] = {0, 0, 0}, wave_phase_[3] = {0, 0, 0};
  double light_u_ = 0.0, light_v_ = 0.0;
};

/// A background and the shapes before it, the last in front.
struct Scene {
  Paint background;
  std::vector<Shape> shapes;
  static Scene draw(Random& random);
  [[nodiscard]] Colour at(double u, double v, double softness) const;
};

}  // namespace brainlock::sampler::scene
