// One package as its user sees it: keys, questions, answers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/keyholder/cipher.hpp"
#include "brainlock/keyholder/key_files.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/protocol/routes.hpp"

namespace brainlock::client {

/// Encrypts questions and decrypts answers for one package under one secret key. encrypt() and decrypt() are safe from
/// many threads.
class TaskClient {
 public:
  virtual ~TaskClient() = default;
  [[nodiscard]] virtual const protocol::ContentId& package() const = 0;
  /// Hash of the evaluation key file: what the miner knows the key by.
  [[nodiscard]] virtual const protocol::ContentId& key_id() const = 0;
  [[nodiscard]] virtual const std::filesystem::path& key_file() const = 0;
  /// Largest answer that an honest miner can give.
  [[nodiscard]] virtual std::uint64_t max_answer_bytes() const = 0;
  /// Channels, height, width of the input; encrypt() takes that many values in this order.
  struct Shape {
    std::uint32_t channels = 0, height = 0, width = 0;
    [[nodiscard]] std::size_t size() const { return std::size_t{channels} * height * width; }
  };
  [[nodiscard]] virtual Shape input_shape() const = 0;

  /// kInvalidArgument for a tensor of another size or a value that is not finite or beyond the package's bound.
  [[nodiscard]] virtual Result<std::vector<std::uint8_t>> encrypt(std::span<const float> tensor) const = 0;
  /// The model's outputs. kMalformed, kTruncated, kCorrupted, kTooLarge, kUnsupported: not ciphertexts; kMismatch: of other
  /// parameters, count, level or scale; kInsecure: a ciphertext that hides nothing (its second half is zero).
  [[nodiscard]] virtual Result<std::vector<double>> decrypt(std::span<const std::uint8_t> answer) const = 0;
};

using keyholder::kSecretKeyFile;
using keyholder::KeyProgress;

/// A TaskClient of keys that are there. Errors: of the key file, which is read for its name.
Result<std::unique_ptr<TaskClient>> make_task_client(std::shared_ptr<const keyholder::Cipher> cipher, const std::filesystem::path& key_file);

/// A TaskClient over the package's scheme. `directory` (made with mode 0700) holds secret.key (0600) and
/// evaluation.keys; what is missing is made: seconds to minutes, `threads` at once. Errors: of the files; kMismatch if they
/// belong to other parameters; kCancelled: stopped between two keys, and no half file is left.
Result<std::unique_ptr<TaskClient>> open_task_client(std::shared_ptr<const package::Package> package,
                                                     const std::filesystem::path& directory, unsigned threads,
                                                     const KeyProgress& progress = {}, const std::stop_token& stop = {});

/// Name of a file's content (BLAKE2b-256). kNotFound, kIo.
Result<protocol::ContentId> content_id_of_file(const std::filesystem::path& file);

}  // namespace brainlock::client
