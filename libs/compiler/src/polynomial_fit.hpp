// The polynomial nearest to what a function has to give, in the mean square over values that were seen.
#pragma once

#include <cstddef>
#include <vector>

#include "brainlock/compiler/scalar_function.hpp"

namespace brainlock::compiler {

/// sum over k of coefficients[k] u^k with u = (x - centre) / reach.
struct FittedPolynomial {
  double centre = 0, reach = 1;
  std::vector<double> coefficients;
  [[nodiscard]] double operator()(double x) const;
};

/// Pairs of a value and what is wanted there, kept as sums over equal parts of an interval.
class FitSamples {
 public:
  FitSamples() = default;
  FitSamples(double low, double high);

  void add(double x, double wanted);
  void add(const FitSamples& other);   ///< of the same interval
  [[nodiscard]] double count() const { return total_; }

  /// The polynomial of a degree from 1 to 16 nearest to the samples, and, with a small weight all along the interval and somewhat beyond it, to `f` itself: rare
  /// values must not meet a polynomial that was only bent to suit the others. A quadratic keeps |b / 2a| below 12 (in u): one that is nearly a straight line would
  /// have its square completed with a large constant, which costs precision. Without samples: the best for f alone.
  [[nodiscard]] FittedPolynomial fit(int degree, const ScalarFunction& f) const;

  /// How far `p` is from what is wanted: the sum of squares of the difference, and of what is wanted, over all samples, each for the mean of its part of the interval.
  struct Error {
    double difference = 0, wanted = 0;
  };
  [[nodiscard]] Error error(const FittedPolynomial& p) const;

 private:
  struct Part {
    double count = 0, x = 0, wanted = 0;
  };
  double low_ = 0, high_ = 0, total_ = 0;
  std::vector<Part> parts_;
};

}  // namespace brainlock::compiler
