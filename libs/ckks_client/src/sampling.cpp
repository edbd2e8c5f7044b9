#include "sampling.hpp"

#include <array>
#include <cmath>

namespace brainlock::ckks_client {
namespace {

/// thresholds[k - 1] = 2^63 P(|x| < k): a uniform 63-bit r has magnitude >= k exactly when r >= that.
using Thresholds = std::array<std::uint64_t, kErrorBound>;

const Thresholds& thresholds() {
  static const Thresholds table = [] {
    const auto weight = [](int k) {
      const auto x = static_cast<long double>(k) / static_cast<long double>(kErrorSigma);
      return std::exp(-x * x / 2) * (k == 0 ? 1 : 2);
    };
    // From the tail inwards, so that the small terms are summed exactly.
    std::array<long double, kErrorBound + 1> tail{};  // tail[k] = weight of magnitudes >= k
    long double sum = 0;
    for (int k = 2 * kErrorBound; k >= 0; --k) {
      sum += weight(k);
      if (k <= kErrorBound) tail[static_cast<std::size_t>(k)] = sum;
    }
    Thresholds out{};
    for (std::size_t k = 1; k <= kErrorBound; ++k) {
      const auto beyond = static_cast<std::uint64_t>(std::round(tail[k] / sum * 0x1p63L));
      out[k - 1] = (std::uint64_t{1} << 63) - beyond;
    }
    return out;
  }();
  return table;
}

}  // namespace

void sample_ternary(crypto::SecureRandom& random, std::span<std::int8_t> out) {
  for (auto& x : out) {
    __extension__ const auto scaled = static_cast<unsigned __int128>(random.next_u64()) * 3;
    x = static_cast<std::int8_t>(static_cast<int>(scaled >> 64) - 1);
  }
}

void sample_gaussian(crypto::SecureRandom& random, std::span<std::int8_t> out) {
  const Thresholds& table = thresholds();
  for (auto& x : out) {
    const std::uint64_t word = random.next_u64();
    const std::uint64_t r = word >> 1;
    int magnitude = 0;
    // Both are below 2^63 + 1: the sign of the difference is the comparison.
    for (const std::uint64_t threshold : table) magnitude += 1 - static_cast<int>((r - threshold) >> 63);
    const int sign = -static_cast<int>(word & 1);
    x = static_cast<std::int8_t>((magnitude ^ sign) - sign);
  }
}

}  // namespace brainlock::ckks_client
