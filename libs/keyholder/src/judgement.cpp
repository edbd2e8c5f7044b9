#include "brainlock/keyholder/judgement.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "brainlock/keyholder/cipher.hpp"

namespace brainlock::keyholder {
namespace {

/// Under a key that is not the answer's every slot is like a random number with a standard deviation of sqrt(N / 12)
/// moduli: tens of times the largest output expected, which half the modulus holds with room. That factor of all
/// outputs together is passed by no answer whose input is anything like the model's.
constexpr double kForeignKeyFactor = 8;

}  // namespace

Status check_input_bound(const plan::TensorMap& input, std::span<const float> tensor) {
  if (tensor.size() != size_of(input)) {
    return {ErrorCode::kInvalidArgument,
            "the model takes " + std::to_string(size_of(input)) + " values, got " + std::to_string(tensor.size())};
  }
  const double bound = input.bound > 0 ? input.bound * 1.0001 : HUGE_VAL;
  for (const float value : tensor) {
    if (!(std::fabs(value) <= bound) || !std::isfinite(value)) {
      return {ErrorCode::kInvalidArgument, "an input value is outside +-" + std::to_string(input.bound)};
    }
  }
  return {};
}

Status admit(const package::ValueRange& range, bool allow, std::string& warning) {
  warning.clear();
  const Status status = range.status();
  if (status.ok()) return {};
  const Error& error = status.error();
  if (range.wraps() && !allow) return {error.code, error.message + "; the encrypted answer would be wrong"};
  warning = error.message + "; the encrypted answer may be " + (range.wraps() ? "wrong" : "less exact than promised");
  return {};
}

Status check_plausible(const plan::TensorMap& output, std::span<const double> outputs) {
  double largest = 0;
  for (const double value : outputs) largest = std::max(largest, std::isnan(value) ? HUGE_VAL : std::fabs(value));
  if (output.bound <= 0 || largest <= kForeignKeyFactor * output.bound) return {};
  char text[240];
  std::snprintf(
      text, sizeof text,
      "decrypts to numbers up to %.3g, the model's outputs are about %.3g at most: these keys did not encrypt "
      "the input, other evaluation keys computed on it, or the input was far out of the model's range",
      largest, output.bound);
  return {ErrorCode::kMismatch, text};
}

Comparison compare(std::span<const double> encrypted, std::span<const double> clear) {
  Comparison c;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < clear.size(); ++i) {
    const double error = std::fabs(encrypted[i] - clear[i]);
    c.max_abs_error = std::max(c.max_abs_error, std::isnan(error) ? HUGE_VAL : error);
    difference += error * error;
    norm += clear[i] * clear[i];
    if (encrypted[i] > encrypted[c.encrypted_class]) c.encrypted_class = i;
    if (clear[i] > clear[c.clear_class]) c.clear_class = i;
  }
  c.relative_error = std::sqrt(difference / norm);
  return c;
}

Status check_answer(const Comparison& comparison, const package::ValueRange& range) {
  if (range.error_bound <= 0 || comparison.max_abs_error <= range.error_bound) return {};
  char text[240];
  std::snprintf(text, sizeof text,
                "the answer is not the model's: outputs differ by up to %.3g from the same model run here, the package "
                "promises %.3g",
                comparison.max_abs_error, range.error_bound);
  return {ErrorCode::kMismatch, text};
}

}  // namespace brainlock::keyholder
