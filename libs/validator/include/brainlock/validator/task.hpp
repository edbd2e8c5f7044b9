// An approved package, ready to ask about.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/client/task_client.hpp"
#include "brainlock/package/value_range.hpp"

namespace brainlock::validator {

/// Simulated runs that tell how large an honest answer's errors are, at least (package::foretell).
inline constexpr unsigned kForetellingDraws = 6;

/// Everything const and safe from many threads; a Validator replaces `client` between rounds.
struct Task {
  std::string name;                                  ///< of the model, for people
  protocol::ContentId package{};                     ///< hash
  std::shared_ptr<const client::TaskClient> client;  ///< keys, encryption, decryption
  /// The model's outputs for an input, in the clear.
  std::function<Result<std::vector<double>>(std::span<const float> input)> baseline;
  /// Whether an input keeps the values that the package's parameters were chosen for, and an honest answer to it the bound below; and
  /// what that answer looks like. Empty: every input is taken, and judged by the baseline alone. Cost: kForetellingDraws runs of the program in
  /// the clear and another, and one of the model.
  std::function<Result<package::ValueRange>(std::span<const float> input)> range;
  /// Makes other keys in the place of the client's, which goes on working but for its key file, and a client with them. Empty:
  /// these keys serve for ever. Cost: seconds, and every miner is sent an evaluation key anew.
  std::function<Result<std::shared_ptr<const client::TaskClient>>()> renew;
  std::int64_t keys_made_ms = 0;   ///< Unix time of the secret key file
  double error_bound = 0;          ///< largest allowed |decrypted - clear| of any output
  bool judged_by_cosine = false;   ///< for tasks whose outputs are embeddings: similarity instead of the bound
  double least_similarity = 0.999;
};

/// Opens a package whose hash is among `approved` (kDenied otherwise: a validator never takes a task that it was not told to),
/// makes or loads the validator's keys in `key_directory`, and reads the model for the baseline.
Result<Task> open_task(const std::filesystem::path& package_directory, std::span<const protocol::ContentId> approved,
                       const std::filesystem::path& key_directory, unsigned threads, const client::KeyProgress& progress = {});

}  // namespace brainlock::validator
