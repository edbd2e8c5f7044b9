// Polynomials for the functions of a graph, one after the other.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/approximate.hpp"
#include "brainlock/compiler/graph.hpp"
#include "polynomial_fit.hpp"

namespace brainlock::compiler {

/// The polynomials of one function, one for all elements or one a channel.
using Polynomials = std::vector<FittedPolynomial>;

/// How the degree of a polynomial is found: it is given, or the smallest of 2, 4 and 8 that keeps the function's own error, relative, below a tolerance.
struct DegreeChoice {
  int degree = 0;
  double tolerance = 0;
};

/// Takes inputs through a graph, as it is and with the polynomials found so far. The graph and the options must outlive it.
class FunctionFitter {
 public:
  FunctionFitter(const Graph& graph, const ApproximateOptions& options, std::size_t inputs, const DegreeChoice& choice);

  /// Fits all functions, in the order of the graph, to the first so many inputs. `progress(node)` is called after each node. kUnsupported names a function whose values are
  /// not finite.
  Result<std::vector<ApproximatedFunction>> run(const std::function<void(std::size_t node)>& progress);

  [[nodiscard]] const Polynomials& polynomials(std::size_t node) const { return polynomials_[node]; }
  /// What the graph answers with the polynomials. After run(); safe from many threads.
  [[nodiscard]] std::vector<float> answer(const std::vector<float>& input) const;

 private:
  using Tensor = std::vector<float>;
  /// One input's values on its way through the graph, with functions and with polynomials. The same until the first of these.
  struct Values {
    std::vector<Tensor> exact, fitted;   // per node; `fitted` is empty where it would be equal
    [[nodiscard]] const Tensor& with_polynomials(int node) const {
      const auto n = static_cast<std::size_t>(node);
      return fitted[n].empty() ? exact[n] : fitted[n];
    }
  };

  void step(Values& values, int node) const;
  [[nodiscard]] std::size_t plane(std::size_t node) const;
  [[nodiscard]] Tensor apply(std::size_t node, const Tensor& x) const;
  Result<ApproximatedFunction> fit(int node);
  Result<std::vector<FitSamples>> samples_of(int node, std::size_t channels, ApproximatedFunction& seen) const;
  [[nodiscard]] Polynomials choose(const std::vector<FitSamples>& samples, const ScalarFunction& f) const;
  double replace(std::size_t node);
  void drop(int node);

  const Graph& graph_;
  const ApproximateOptions& options_;
  DegreeChoice choice_;
  std::size_t inputs_;
  std::vector<int> last_use_;
  std::vector<Values> values_;
  std::vector<Polynomials> polynomials_;
};

/// The most numbers that the values of one input are at any time.
std::size_t most_values(const Graph& graph);

}  // namespace brainlock::compiler
