// Messages of any number of slots, for tests.
#pragma once

#include <complex>
#include <cstdint>
#include <random>
#include <vector>

namespace brainlock {

using Slots = std::vector<std::complex<double>>;

/// Both parts of each slot of variance 1. The same for the same seed.
inline Slots random_slots(std::uint32_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Slots out(n);
  for (auto& z : out) z = {normal(random), normal(random)};
  return out;
}

}  // namespace brainlock
