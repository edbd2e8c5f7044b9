// From a normalised graph to a program for ciphertexts.
//
//   graph --stages--> linear layers and squares --layout, lowering--> instructions on slots
//         --levels--> modulus chain, scales --cost--> the cheapest candidate wins
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// A parameter profile: the ring and the precision that is aimed at.
struct Profile {
  std::string name;
  std::uint32_t ring_degree = 0;
  double target_error = 0;     ///< wanted rms error of the logits relative to their rms; the cheapest chain that
                               ///< meets it is taken, or the most precise one if none does
  double max_log_qp = 0;       ///< bits of all primes; 0: as many as are secure. For tests on toy rings: whoever loads such a program refuses it
};

/// "precise" (N = 2^15), "fast" (N = 2^14) and "deep" (N = 2^16, for some twenty layers, more than a hundred with refreshes).
const std::vector<Profile>& profiles();
/// One of them by its name; kInvalidArgument lists them.
Result<Profile> find_profile(const std::string& name);

struct CompileOptions {
  Profile profile;
  /// Sample inputs (C, H, W order) from which value ranges are taken. At least one; more are better.
  std::vector<std::vector<float>> calibration;
  /// More of them, from which only the ranges of the layers' values are taken. They matter where there are polynomials of degree 3 and more: these grow fast beyond what they
  /// were made for, so that a hundred and more are better. May be empty; costs an inference in the clear for each.
  std::vector<std::vector<float>> range_inputs;
  /// Called with a short text as stages finish; may be empty.
  std::function<void(const std::string&)> progress;
  unsigned threads = 0;   ///< 0: one a processor; the program does not depend on it
  /// Whether values may be refreshed on the way (bootstrapping). Where needed: if no plain chain of primes holds the network, as exactly as the profile asks for and with
  /// weights that a server can hold. Always: plain chains are not looked for, though a network may be so small that it needs no refresh on the other kind either.
  enum class Refreshes : std::uint8_t { kWhereNeeded, kNever, kAlways };
  Refreshes refreshes = Refreshes::kWhereNeeded;
};

/// One layout that was tried.
struct Candidate {
  std::string layout;
  double predicted_ms = 0;     ///< one core of the reference machine
  double predicted_error = 0;  ///< relative rms error of the logits
  double key_bytes = 0;
  bool chosen = false;
  std::string refusal;         ///< why it could not be used, if so
};

struct CompileReport {
  std::vector<Candidate> candidates;
  std::vector<std::string> notes;   ///< things the user should know (approximated activations, ...)
  double predicted_ms = 0;
};

/// Compiles a normalised graph. kUnsupported lists every layer that cannot be packed and why; kInsecure / kResource
/// when no modulus chain of the profile's ring holds the depth. Deterministic for equal inputs.
Result<plan::Program> compile(const Graph& graph, const CompileOptions& options, CompileReport* report = nullptr);

}  // namespace brainlock::compiler
