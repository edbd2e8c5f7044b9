// What a client makes of an input before it is encrypted, and of an answer when it is decrypted.
#pragma once

#include <span>
#include <string>

#include "brainlock/base/result.hpp"
#include "brainlock/package/value_range.hpp"

namespace brainlock::keyholder {

/// OK unless a value is not finite or beyond the package's input bound: there the encrypted run may overflow where the
/// clear one does not. kInvalidArgument: that, or another number of values than the model takes.
Status check_input_bound(const plan::TensorMap& input, std::span<const float> tensor);

/// Whether an input of this range may be encrypted. kInvalidArgument: the answer would wrap around, and `allow` is not
/// set. Beyond a limit the promised error no longer holds, but only an answer that wraps around is garbage: then OK,
/// and `warning` says so (empty otherwise).
Status admit(const package::ValueRange& range, bool allow, std::string& warning);

/// kMismatch where outputs are so large that they were decrypted under another key than the answer's.
Status check_plausible(const plan::TensorMap& output, std::span<const double> outputs);

struct Comparison {
  std::size_t encrypted_class = 0, clear_class = 0;
  double max_abs_error = 0;
  double relative_error = 0;  ///< rms of the difference over rms of the clear outputs
};
/// Of as many numbers each, at least one.
Comparison compare(std::span<const double> encrypted, std::span<const double> clear);

/// kMismatch where the answer is further from the clear one than the package promises: another input's, an old one, or
/// none. Such an answer to an input that was within its range is not the model's; to another input (`range.inside()` is
/// false) it may be.
Status check_answer(const Comparison& comparison, const package::ValueRange& range);

}  // namespace brainlock::keyholder
