// The two files of a key pair: the secret key, which stays, and the evaluation keys, which go to servers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>

#include "brainlock/base/file.hpp"
#include "brainlock/base/result.hpp"
#include "brainlock/ckks_client/client.hpp"
#include "brainlock/package/client_half.hpp"

namespace brainlock::keyholder {

/// Their names in the folder of a key pair.
inline constexpr const char* kSecretKeyFile = "secret.key";
inline constexpr const char* kEvaluationKeysFile = "evaluation.keys";

/// Largest file of evaluation keys that is read.
inline constexpr std::uint64_t kMaxEvaluationKeysBytes = 8ULL << 30;

/// Called with (keys made, of how many), from the thread that asked for them.
using KeyProgress = std::function<void(std::size_t, std::size_t)>;

struct KeyFileOptions {
  unsigned threads = 1;
  bool overwrite = false;  ///< replace a pair that is there: what it encrypted is lost
};

struct KeyFiles {
  std::filesystem::path secret, evaluation;
  std::size_t keys = 0;  ///< in the evaluation file
  std::uint64_t evaluation_bytes = 0;
};

/// Makes a pair in `directory` (made where it is missing): the secret key with mode 0600, the evaluation keys seeded.
/// Both appear under their names when all is there; a run that was stopped or failed leaves none, and an old pair
/// whole. kDenied: keys are there and `overwrite` is not set; kCancelled: stopped between two keys. Cost: seconds to
/// minutes; memory: a key a thread.
Result<KeyFiles> make_key_files(const package::ClientHalf& client, const std::filesystem::path& directory,
                                const KeyFileOptions& options, const KeyProgress& progress = {},
                                const std::stop_token& stop = {});

/// The evaluation keys alone, for a secret key that is there.
Status write_evaluation_keys(const std::filesystem::path& file, const package::ClientHalf& client,
                             const ckks_client::SecretKey& secret, unsigned threads, AtomicFileOptions options,
                             const KeyProgress& progress = {}, const std::stop_token& stop = {});

/// Whether the file has a beginning and a length as this package's evaluation keys have. Whose they are, and whether
/// all bytes are right, shows when somebody reads all of it. kNotFound, kTruncated, kMalformed, kMismatch, kCorrupted,
/// kTooLarge. Cost: a few KB are read.
Status check_evaluation_keys(const std::filesystem::path& file, const package::ClientHalf& client);

}  // namespace brainlock::keyholder
