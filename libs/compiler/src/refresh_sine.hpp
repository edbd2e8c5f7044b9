// What takes multiples of the first prime away from a raised ciphertext: a sine, as a chain of squares.
//
// A coefficient of a raised message, over q[0], is x = I + e with an integer I that only the key knows and the
// message's |e| << 1. It becomes sin(2 pi x) = sin(2 pi e) ~ 2 pi e as cos(2 pi (x - 1/4)): the cosine of a small angle
// by a polynomial that is a chain of squares, too, and then the angle doubled by 2 c^2 - 1 until it is the whole one
// (Han and Ki, "Better Bootstrapping for Approximate Homomorphic Encryption", 2020).
#pragma once

#include <cstdint>
#include <vector>

namespace brainlock::compiler {

/// One step: the square of what came before, times `factor`, plus `constant`.
struct SineStep {
  double factor = 0, constant = 0;
  double noise_gain = 0;  ///< rms over all I of d(sine) / d(this step's result)
};

struct SineChain {
  double turn = 0;        ///< the first step squares v = turn (x - 1/4), which is at most 1
  double input_gain = 0;  ///< rms over all I of d(sine) / d(v)
  double error = 0;       ///< rms of the chain's own error, of the sine
  std::vector<SineStep> steps;
};

/// Largest |I| that is provided for, and its standard deviation, in a ring of degree N with a uniform ternary secret. A
/// larger one comes up in one refresh of 2^40, and spoils it.
double largest_multiple(std::uint32_t ring_degree);
double multiple_deviation(std::uint32_t ring_degree);

SineChain make_sine_chain(std::uint32_t ring_degree);

}  // namespace brainlock::compiler
