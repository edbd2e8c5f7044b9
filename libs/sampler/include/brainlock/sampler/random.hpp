// A small seeded generator for synthetic pictures. NOT for secrets: keys and nonces come from libs/crypto.
#pragma once

#include <array>
#include <cstdint>

namespace brainlock::sampler {

/// xoshiro256** seeded through splitmix64 (Blackman and Vigna, 2018). The same seed gives the same numbers on every
/// machine and in every release: recorded seeds must stay replayable. One object per thread.
class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t next();
  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Uniform in [0, bound) without modulo bias; 0 if bound is 0.
  std::uint64_t below(std::uint64_t bound);
  /// Normal with mean 0 and deviation 1 (sum of 12 uniforms less 6: exact arithmetic, tails end at 6).
  double normal();
  bool chance(double probability) { return uniform() < probability; }

 private:
  std::array<std::uint64_t, 4> state_;
};

/// Mixes a stream number into a seed, so that streams of one seed are independent.
std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream);

}  // namespace brainlock::sampler
