// A polynomial as a sum of signed squares of polynomials of half its degree, and so on down to degree 2.
//
// Squares are the only products of ciphertexts that a plan has. For degree 3 and 4 the polynomial, but for its constant,
// is a product of two factors of degree at most 2, and f g = ((f + g) / 2)^2 - ((f - g) / 2)^2. For degree 5 to 8,
//
//     p + B M^2 = Q^2 + r,    p = Q^2 - B M^2 + r,    Q of degree 4, M = T4 (Chebyshev), r of degree 3,
//
// with B large enough that the root Q is tame; Q is a sum of two squares by the first rule, M = 2 T2^2 - 1 of one.
#pragma once

#include <cstddef>
#include <vector>

namespace brainlock::compiler {

inline constexpr int kMaxActivationDegree = 8;

using Coefficients = std::vector<double>;   // constant first

/// p = first^2 - second^2 + constant.
struct SquareDifference {
  Coefficients first, second;   ///< of degree at most 2 (three coefficients each)
  double constant = 0;
};
/// For a polynomial of degree at most 4, chosen to keep the squares small for |x| <= range (> 0).
SquareDifference split_quartic(const Coefficients& p, double range);

/// p = (q1^2 - q2^2 + q_constant)^2 - (m^2 + m_constant)^2 + r1^2 - r2^2 + constant.
struct OcticSplit {
  SquareDifference q;           ///< the root of degree 4
  Coefficients m;               ///< of degree 2
  double m_constant = 0;
  SquareDifference r;           ///< the rest of degree 3; its constant is that of the whole
};
/// For a polynomial of degree at most 8.
OcticSplit split_octic(const Coefficients& p, double range);

/// p at x.
double evaluate(const Coefficients& p, double x);
/// Coefficients of p(s x + t).
Coefficients substitute(const Coefficients& p, double s, double t);

}  // namespace brainlock::compiler
