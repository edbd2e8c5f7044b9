// What an honest answer to one input looks like, foretold without keys: where it lies, and how far the scheme's errors take it from there.
//
// A package's error bound holds for all inputs and outputs, so it is many times what errors usually are, and whoever is held to it alone may
// answer with another, cheaper model. For one input the errors are nearly Gaussian (each is small where it arises, and the network nearly linear
// around the values of that input), and a few simulated runs tell their size.
#pragma once

#include <span>
#include <vector>

#include "brainlock/package/simulator.hpp"

namespace brainlock::package {

struct Foretold {
  std::vector<std::vector<double>> runs;   ///< simulated answers
  std::vector<double> mean;   ///< of the outputs
  double deviation = 0;       ///< rms difference of an honest answer's outputs from `mean`, as far as the runs can tell
  double independent_outputs = 0;   ///< as many that err independently scatter like these, whose errors may have causes in common; 0: not known

  /// rms difference of `answer` from the mean, over `deviation`: for honest answers around 0.9, less where the error estimate is high. HUGE_VAL for another number of outputs or NaNs.
  [[nodiscard]] double ratio(std::span<const double> answer) const;
};

/// Runs that tell the deviation of so many independent outputs to about a fifth: 6 for five or more, 25 for one.
unsigned foretelling_draws(double independent_outputs);

/// From `least` (at least 1) runs of the simulator, and more where outputs err together: for one input in some dozens of a small network two causes make most of the
/// error, and six runs may then tell half of it. As many as foretelling_draws() says of the independent outputs that the runs show, 25 at most. Few runs say little of their own
/// scatter: the package's error estimate weighs as much as one of them. Cost: the runs.
Foretold foretell(const Simulator& simulator, double error_estimate, std::span<const float> input, unsigned least);

}  // namespace brainlock::package
