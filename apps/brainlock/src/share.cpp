#include "share.hpp"

#include <cmath>
#include <cstdio>

namespace brainlock::app {
namespace {

struct Interval {
  double low, high;
};

// Wilson's score interval at 95 %.
Interval wilson(std::size_t hits, std::size_t n) {
  if (n == 0) return {0, 1};
  constexpr double z = 1.959964;
  const double p = static_cast<double>(hits) / static_cast<double>(n), m = static_cast<double>(n);
  const double centre = (p + z * z / (2 * m)) / (1 + z * z / m);
  const double half = z * std::sqrt(p * (1 - p) / m + z * z / (4 * m * m)) / (1 + z * z / m);
  return {centre - half, centre + half};
}

}  // namespace

nlohmann::json share_json(std::size_t hits, std::size_t n) {
  const Interval i = wilson(hits, n);
  return {{"hits", hits}, {"of", n}, {"share", n == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(n)}, {"low95", i.low}, {"high95", i.high}};
}

void print_share(const char* what, std::size_t hits, std::size_t n) {
  if (n == 0) return;
  const Interval i = wilson(hits, n);
  std::printf("  %-34s %5zu of %5zu = %6.2f %%  (95 %%: %.2f to %.2f)\n", what, hits, n,
              100.0 * static_cast<double>(hits) / static_cast<double>(n), 100 * i.low, 100 * i.high);
}

}  // namespace brainlock::app
