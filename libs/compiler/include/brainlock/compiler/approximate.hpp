// From a trained model with any activations to one that can be run encrypted: polynomials in place of what is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

struct ApproximateOptions {
  int degree = 0;                          ///< of every polynomial, 2 to 8; 0: for each function the smallest of 2, 4 and 8 (one, two and three levels) that will do
  double max_drop = 0.01;                  ///< share of the held-out inputs whose largest output may become another; decides what will do
  std::vector<std::vector<float>> inputs;    ///< C, H, W order; what the polynomials are fitted to. Hundreds, of the kind that the model will meet
  std::vector<std::vector<float>> held_out;  ///< others of that kind, for judging the outcome
  unsigned threads = 1;
  std::size_t max_working_bytes = std::size_t{2} << 30;   ///< for the values of all inputs between two layers; fewer inputs are used where more would be needed
  /// Called on the calling thread as layers are done: so many of so many, and what for.
  std::function<void(std::size_t done, std::size_t total, const std::string& what)> progress;
};

/// One function that became a polynomial.
struct ApproximatedFunction {
  std::string node;        ///< the last of the operators that it stands for
  int degree = 0;
  std::size_t polynomials = 1;   ///< one for all elements, or one a channel
  double low = 0, high = 0;      ///< the values that it met
  double error = 0;        ///< rms of what it gives less what the model as it was gives there, of the rms of that: its own error and those before it
};

/// How near the new model comes to the old one, on the held-out inputs.
struct Agreement {
  std::size_t inputs = 0, same_class = 0;
  double relative_error = 0;   ///< rms of the outputs' difference, of the rms of the outputs
  std::size_t ran_away = 0;    ///< inputs with an output (in size) beyond four times the largest of the model as it was: polynomials grow fast where no sample was. Neither in same_class nor in relative_error
  std::vector<std::size_t> classes_before, classes_after;   ///< the largest output of each input; of one that ran away the number of outputs, which is none of them
};

struct Approximation {
  std::vector<std::byte> onnx;
  std::vector<ApproximatedFunction> functions;   ///< in the order of the model
  Agreement agreement;
  std::size_t inputs_used = 0;
  std::vector<std::string> notes;
};

/// The graph of a model with its functions as kFunction nodes: what approximate_onnx() begins with. Elementwise operators that make up a function of one tensor are one
/// node. Errors as import_onnx(), for what has no polynomial in its place either (a maximum, a recurrent layer).
Result<Graph> import_with_functions(std::span<const std::byte> onnx);

/// Replaces every function by the polynomial nearest to it over the values that the inputs bring, layer by layer: each is fitted to what the exact model has at
/// this place, given what the polynomials before it made of the inputs, so that errors are taken back as far as one number at a time allows. One polynomial a channel
/// where the model can say so. No training; the weights stay as they are. All else in the file stays too. Without a degree given, first each function has the smallest
/// that leaves it an error of 30 %, then of less and less, until the held-out inputs keep their classes.
///
/// Errors: those of import_with_functions(); kInvalidArgument where there is nothing to replace, a degree is out of range, no inputs are given or an input has another
/// length; kUnsupported where values grow beyond all bounds. The same bytes for equal inputs, on any number of threads.
/// Cost: two inferences in the clear of every input for each choice of degrees that is tried, at most five. Thread safe.
Result<Approximation> approximate_onnx(std::span<const std::byte> onnx, const ApproximateOptions& options);

}  // namespace brainlock::compiler
