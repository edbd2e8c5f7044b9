// Files as sources and sinks of wire objects.
#pragma once

#include <filesystem>
#include <memory>

#include "brainlock/base/file.hpp"
#include "brainlock/ckks/objects.hpp"
#include "brainlock/wire/evaluation_keys.hpp"

namespace brainlock::wire {

/// Reads a file from its start, buffered. kNotFound, kIo, kInvalidArgument (not a regular file), kTooLarge.
Result<ByteSource> open_source(const std::filesystem::path& file, std::uint64_t max_bytes);

/// Calls `consume` with each key of the file as it is read, after `accept` has seen the manifest (and may refuse it).
/// The file must end with the last key.
Status read_evaluation_keys_file(const std::filesystem::path& file, std::shared_ptr<const ckks::Parameters> parameters,
                                 std::uint64_t max_bytes,
                                 const std::function<Status(std::span<const ckks::KeyRequest>)>& accept,
                                 const std::function<Status(ckks::EvaluationKey&&)>& consume);

/// A key file that appears whole or not at all: `produce` is given the function to hand each key of the manifest to,
/// in order.
Status write_evaluation_keys_file(const std::filesystem::path& file, std::shared_ptr<const ckks::Parameters> parameters,
                                  std::vector<ckks::KeyRequest> manifest, AtomicFileOptions options,
                                  const std::function<Status(const std::function<Status(ckks::EvaluationKey&&)>&)>& produce);

}  // namespace brainlock::wire
