#include "polynomial_fit.hpp"

#include <algorithm>
#include <cmath>

namespace brainlock::compiler {
namespace {

constexpr std::size_t kParts = 512;
// Rare values must not run away: a polynomial of degree 8 does so right behind its interval. What holds it there bends it elsewhere. Measured on a VGG9 with ReLUs
// (88.3 % of 1,000 images, polynomials of degree 8): with these weights 86.2 % stay right; with weights from 1e-6 on, raised until the error in the margin was below
// 0.5 of the largest value, 84.3 %, below 1, 85.2 %.
constexpr double kMargin = 0.35;          // of the interval, on each side; less where the function grows faster there
constexpr int kMarginSteps = 35;
constexpr double kMostGrowth = 1.0;       // of the function beyond the interval, of its variation inside: a ReLU's stays below, that of a reciprocal near its pole does not
constexpr double kEdgeWeights[] = {1e-4, 1e-3, 1e-2, 1e-1};   // all along the interval and its margin, tried in turn; samples weigh 1 together
constexpr double kEdgeError = 1.5;        // there, of the largest value that is wanted inside
constexpr std::size_t kEdgePoints = 96;
constexpr double kMaxShift = 12.0;
// Least reach, of the distance from zero: importers write polynomials as powers of x itself, of which 8 log2(distance / reach) bits cancel.
constexpr double kNarrowest = 1.0 / 16;
// Values of f beyond this, in units of its largest over the interval, are those of a pole.
constexpr double kPole = 4.0;

struct Row {
  double u = 0, wanted = 0, weight = 0;
};

/// T_0(u) .. T_degree(u).
void chebyshev(double u, std::size_t degree, std::vector<double>& out) {
  out.assign(degree + 1, 1.0);
  if (degree > 0) out[1] = u;
  for (std::size_t k = 2; k <= degree; ++k) out[k] = 2 * u * out[k - 1] - out[k - 2];
}

/// Coefficients of Chebyshev polynomials -> of powers.
std::vector<double> to_powers(const std::vector<double>& c) {
  std::vector<double> out(c.size(), 0.0), before{1.0}, here{0.0, 1.0};
  for (std::size_t k = 0; k < c.size(); ++k) {
    const std::vector<double>& t = k == 0 ? before : here;
    for (std::size_t j = 0; j < t.size(); ++j) out[j] += c[k] * t[j];
    if (k == 0) continue;
    std::vector<double> next(here.size() + 1, 0.0);
    for (std::size_t j = 0; j < here.size(); ++j) next[j + 1] = 2 * here[j];
    for (std::size_t j = 0; j < before.size(); ++j) next[j] -= before[j];
    before = std::move(here);
    here = std::move(next);
  }
  return out;
}

/// min over c of the sum of weight (basis(u) c - wanted)^2, by Cholesky; a trace of the identity keeps it solvable where samples are few.
template <typename Basis>
std::vector<double> least_squares(const std::vector<Row>& rows, std::size_t size, const Basis& basis) {
  std::vector<double> a(size * size, 0.0), y(size, 0.0), b;
  for (const Row& row : rows) {
    basis(row.u, b);
    for (std::size_t i = 0; i < size; ++i) {
      y[i] += row.weight * row.wanted * b[i];
      for (std::size_t j = 0; j <= i; ++j) a[i * size + j] += row.weight * b[i] * b[j];
    }
  }
  double trace = 0;
  for (std::size_t i = 0; i < size; ++i) trace += a[i * size + i];
  for (std::size_t i = 0; i < size; ++i) a[i * size + i] += 1e-13 * trace;
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = a[i * size + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * size + k] * a[j * size + k];
      a[i * size + j] = i == j ? std::sqrt(std::max(sum, 1e-300)) : sum / a[j * size + j];
    }
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < i; ++k) y[i] -= a[i * size + k] * y[k];
    y[i] /= a[i * size + i];
  }
  for (std::size_t i = size; i-- > 0;) {
    for (std::size_t k = i + 1; k < size; ++k) y[i] -= a[k * size + i] * y[k];
    y[i] /= a[i * size + i];
  }
  return y;
}

double squared_error(const std::vector<Row>& rows, const std::vector<double>& powers) {
  double sum = 0;
  for (const Row& row : rows) {
    double value = 0;
    for (std::size_t k = powers.size(); k-- > 0;) value = value * row.u + powers[k];
    sum += row.weight * (value - row.wanted) * (value - row.wanted);
  }
  return sum;
}

/// c + b (u + s u^2 / (2 kMaxShift)), s = 1 or -1: the quadratic nearest to `rows` among those that are as straight as they may be.
std::vector<double> straightest(const std::vector<Row>& rows) {
  std::vector<double> best;
  for (const double s : {1.0, -1.0}) {
    const double bend = s / (2 * kMaxShift);
    const auto c = least_squares(rows, 2, [&](double u, std::vector<double>& out) { out = {1.0, u + bend * u * u}; });
    std::vector<double> powers{c[0], c[1], c[1] * bend};
    if (best.empty() || squared_error(rows, powers) < squared_error(rows, best)) best = std::move(powers);
  }
  return best;
}

/// How far beyond `edge`, towards which `width` points, f is fitted too.
double margin_of(const ScalarFunction& f, double edge, double width, double variation) {
  double margin = 0;
  for (int k = 1; k <= kMarginSteps; ++k) {
    const double further = width * kMargin * k / kMarginSteps, growth = std::fabs(f(edge + further) - f(edge));
    if (!(growth <= kMostGrowth * variation)) break;   // also where f is not defined
    margin = std::fabs(further);
  }
  return margin;
}

/// Largest less least value of f.
double variation_of(const ScalarFunction& f, double low, double high) {
  double least = HUGE_VAL, largest = -HUGE_VAL;
  for (std::size_t k = 0; k < kEdgePoints; ++k) {
    const double value = f(low + (high - low) * static_cast<double>(k) / (kEdgePoints - 1));
    if (!std::isfinite(value)) continue;
    least = std::min(least, value);
    largest = std::max(largest, value);
  }
  return std::max(0.0, largest - least);
}

}  // namespace

double FittedPolynomial::operator()(double x) const {
  const double u = (x - centre) / reach;
  double value = 0;
  for (std::size_t k = coefficients.size(); k-- > 0;) value = value * u + coefficients[k];
  return value;
}

FitSamples::FitSamples(double low, double high) : low_(low), high_(high), parts_(kParts) {}

void FitSamples::add(double x, double wanted) {
  const double place = high_ > low_ ? (x - low_) / (high_ - low_) * static_cast<double>(kParts) : 0;
  Part& part = parts_[std::min(static_cast<std::size_t>(std::max(place, 0.0)), kParts - 1)];
  part.count += 1;
  part.x += x;
  part.wanted += wanted;
  total_ += 1;
}

void FitSamples::add(const FitSamples& other) {
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    parts_[k].count += other.parts_[k].count;
    parts_[k].x += other.parts_[k].x;
    parts_[k].wanted += other.parts_[k].wanted;
  }
  total_ += other.total_;
}

FitSamples::Error FitSamples::error(const FittedPolynomial& p) const {
  Error out;
  for (const Part& part : parts_) {
    if (part.count == 0) continue;
    const double wanted = part.wanted / part.count, difference = p(part.x / part.count) - wanted;
    out.difference += part.count * difference * difference;
    out.wanted += part.count * wanted * wanted;
  }
  return out;
}

FittedPolynomial FitSamples::fit(int degree, const ScalarFunction& f) const {
  FittedPolynomial out;
  const double variation = variation_of(f, low_, high_);
  const double low = low_ - margin_of(f, low_, low_ - high_, variation), high = high_ + margin_of(f, high_, high_ - low_, variation);
  out.centre = (low + high) / 2;
  // An interval of one point still has a neighbourhood.
  out.reach = std::max({(high - low) / 2, kNarrowest * std::fabs(out.centre), 1e-6});
  std::vector<Row> rows;
  double largest = 0;
  for (const Part& part : parts_) {
    if (part.count == 0) continue;
    rows.push_back({(part.x / part.count - out.centre) / out.reach, part.wanted / part.count, part.count / total_});
    largest = std::max(largest, std::fabs(rows.back().wanted));
  }
  const std::size_t seen = rows.size();
  for (std::size_t k = 0; k < kEdgePoints; ++k) {
    const double u = -1 + 2 * static_cast<double>(k) / (kEdgePoints - 1), wanted = f(out.centre + out.reach * u);
    if (std::isfinite(wanted) && (largest == 0 || std::fabs(wanted) <= kPole * largest)) rows.push_back({u, wanted, 0});
  }
  const std::size_t size = static_cast<std::size_t>(degree) + 1;
  for (const double weight : kEdgeWeights) {
    for (std::size_t k = seen; k < rows.size(); ++k) rows[k].weight = weight / kEdgePoints;
    out.coefficients = to_powers(least_squares(rows, size, [&](double u, std::vector<double>& b) { chebyshev(u, size - 1, b); }));
    if (std::all_of(rows.begin() + static_cast<std::ptrdiff_t>(seen), rows.end(),
                    [&](const Row& row) { return std::fabs(out(out.centre + out.reach * row.u) - row.wanted) <= kEdgeError * largest; }))
      break;
  }
  if (degree == 2 && std::fabs(out.coefficients[1]) > 2 * kMaxShift * std::fabs(out.coefficients[2])) out.coefficients = straightest(rows);
  return out;
}

}  // namespace brainlock::compiler
