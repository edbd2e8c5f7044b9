#include "stage_polynomial.hpp"

#include <cmath>
#include <limits>

namespace brainlock::compiler {
namespace {

constexpr int kGrid = 16;        // points on each side of zero at which sizes are taken
constexpr double kRounding = 1e-13;
constexpr int kCandidates = 64;  // of the free parameter, on each side of zero

double coefficient(const Coefficients& p, std::size_t k) { return k < p.size() ? p[k] : 0.0; }

/// Mean square over [-1, 1].
double mean_square(const Coefficients& p) {
  double sum = 0;
  for (int i = -kGrid; i <= kGrid; ++i) sum += std::pow(evaluate(p, static_cast<double>(i) / kGrid), 2);
  return sum / (2 * kGrid + 1);
}

Coefficients scaled(Coefficients p, double factor) {
  for (double& c : p) c *= factor;
  return p;
}

struct Factors {
  Coefficients f, g;
  double constant = 0;
  double size = std::numeric_limits<double>::infinity();   // of f^2 g^2
};

void consider(Factors& best, Coefficients f, Coefficients g, double constant) {
  const double size = mean_square(f) * mean_square(g);
  if (!std::isfinite(size) || !(size < best.size)) return;
  best = {std::move(f), std::move(g), constant, size};
}

/// p = f g + constant on the unit interval, f and g of degree at most 2: one parameter is free, and is chosen so that
/// neither factor is large.
Factors factor(const Coefficients& p) {
  const double c0 = coefficient(p, 0), c1 = coefficient(p, 1), c2 = coefficient(p, 2), c3 = coefficient(p, 3), c4 = coefficient(p, 4);
  Factors best;
  if (c3 == 0 && c4 == 0) {
    consider(best, {1, 0, 0}, {0, c1, c2}, c0);
    return best;
  }
  for (int i = -kCandidates; i <= kCandidates; ++i) {
    const double s = 4.0 * i / kCandidates;
    if (c4 == 0) {   // (x + s)(g2 x^2 + g1 x + g0)
      const double g1 = c2 - s * c3, g0 = c1 - s * g1;
      consider(best, {s, 1, 0}, {g0, g1, c3}, c0 - s * g0);
      continue;
    }
    // (x^2 + s x + f0)(c4 x^2 + g1 x + g0)
    const double g1 = c3 - c4 * s, divisor = c3 - 2 * c4 * s, rest = c1 - s * (c2 - s * g1);
    const auto with = [&](double f0) {
      const double g0 = c2 - s * g1 - c4 * f0;
      consider(best, {f0, s, 1}, {g0, g1, c4}, c0 - f0 * g0);
    };
    if (divisor != 0) {
      with(rest / divisor);
    } else if (rest == 0) {   // any f0 will do
      for (int k = -kCandidates; k <= kCandidates; ++k) with(4.0 * k / kCandidates);
    }
  }
  // A polynomial that is a square but for its constant is left as one.
  if (c4 == 0) return best;
  const double alpha = c3 / (2 * c4), beta = (c2 / c4 - alpha * alpha) / 2, rest = c1 - 2 * c4 * alpha * beta;
  Factors square;
  consider(square, {beta, alpha, 1}, {c4 * beta, c4 * alpha, c4}, c0 - c4 * beta * beta);
  return std::fabs(rest) <= kRounding * (std::fabs(c1) + std::fabs(2 * c4 * alpha * beta)) && square.size < 4 * best.size ? square : best;
}

}  // namespace

double evaluate(const Coefficients& p, double x) {
  double sum = 0;
  for (std::size_t k = p.size(); k-- > 0;) sum = sum * x + p[k];
  return sum;
}

Coefficients substitute(const Coefficients& p, double s, double t) {
  Coefficients out{p.back()};
  for (std::size_t k = p.size() - 1; k-- > 0;) {  // out = out * (s x + t) + p[k]
    out.push_back(0);
    for (std::size_t j = out.size(); j-- > 1;) out[j] = out[j] * t + out[j - 1] * s;
    out[0] = out[0] * t + p[k];
  }
  return out;
}

SquareDifference split_quartic(const Coefficients& p, double range) {
  const Factors best = factor(substitute(p, range, 0));
  const double f = mean_square(best.f), g = mean_square(best.g);
  const double balance = f > 0 && g > 0 ? std::pow(g / f, 0.25) : 1.0;
  const Coefficients left = scaled(best.f, balance), right = scaled(best.g, 1 / balance);
  SquareDifference out{Coefficients(3, 0.0), Coefficients(3, 0.0), best.constant};
  for (std::size_t k = 0; k < 3; ++k) {
    const double unit = std::pow(range, -static_cast<double>(k));
    // What rounding leaves of a coefficient that cancels is none.
    const auto clean = [&](double sum) { return std::fabs(sum) > kRounding * (std::fabs(right[k]) + std::fabs(left[k])) ? sum / 2 * unit : 0.0; };
    out.first[k] = clean(right[k] + left[k]);
    out.second[k] = clean(right[k] - left[k]);
  }
  return out;
}

OcticSplit split_octic(const Coefficients& p, double range) {
  const Coefficients y = substitute(p, range, 0);
  const double largest = std::sqrt(mean_square(y));
  Coefficients best_q(5, 0.0), best_r(4, 0.0);
  double best_b = 0, best_size = std::numeric_limits<double>::infinity();
  // B by powers of the square root of 2 around what the polynomial itself amounts to.
  for (int i = -16; i <= 12; ++i) {
    const double b = std::exp2(i / 2.0) * (largest > 0 ? largest : 1);
    Coefficients s(9, 0.0);
    const double t4[] = {1, 0, -8, 0, 8};
    for (std::size_t k = 0; k < 9; ++k) s[k] = coefficient(y, k);
    for (std::size_t j = 0; j < 5; ++j)
      for (std::size_t k = 0; k < 5; ++k) s[j + k] += b * t4[j] * t4[k];
    if (!(s[8] > 0)) continue;
    Coefficients q(5, 0.0);
    q[4] = std::sqrt(s[8]);
    q[3] = s[7] / (2 * q[4]);
    q[2] = (s[6] - q[3] * q[3]) / (2 * q[4]);
    q[1] = (s[5] - 2 * q[3] * q[2]) / (2 * q[4]);
    q[0] = (s[4] - 2 * q[3] * q[1] - q[2] * q[2]) / (2 * q[4]);
    Coefficients r(4, 0.0);
    for (std::size_t k = 0; k < 4; ++k) {
      r[k] = s[k];
      for (std::size_t j = 0; j <= k; ++j) r[k] -= q[j] * q[k - j];
    }
    const double size = mean_square(q) + b + std::sqrt(mean_square(r));
    if (!(size < best_size)) continue;
    best_size = size;
    best_q = std::move(q);
    best_r = std::move(r);
    best_b = b;
  }
  const double m = std::sqrt(2 * std::sqrt(best_b));   // sqrt(b) T4 = (m T2)^2 - sqrt(b)
  OcticSplit best{split_quartic(best_q, 1), {-m, 0, 2 * m}, -std::sqrt(best_b), split_quartic(best_r, 1)};
  for (Coefficients* c : {&best.q.first, &best.q.second, &best.m, &best.r.first, &best.r.second}) *c = substitute(*c, 1 / range, 0);
  return best;
}

}  // namespace brainlock::compiler
