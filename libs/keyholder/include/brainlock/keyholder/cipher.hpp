// Tensors to ciphertexts and back, for one package (or its client's half alone) under one secret key.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks_client/client.hpp"
#include "brainlock/package/client_half.hpp"

namespace brainlock::keyholder {

/// Number of values of a tensor.
std::size_t size_of(const plan::TensorMap& map);

/// Encrypts a tensor (C, H, W order; its size is the caller's promise) as the package's input ciphertexts.
Result<std::vector<ckks::Ciphertext>> encrypt_tensor(const package::ClientHalf& client,
                                                     const ckks_client::SecretKey& key, const ckks::Encoder& encoder,
                                                     std::span<const float> values);
/// Decrypts the package's output ciphertexts. kMismatch: another number of them.
Result<std::vector<double>> decrypt_tensor(const package::ClientHalf& client, const ckks_client::SecretKey& key,
                                           const ckks::Encoder& encoder, std::span<const ckks::Ciphertext> outputs);

/// Owns the secret key. Safe from many threads.
class Cipher {
 public:
  Cipher(std::shared_ptr<const package::ClientHalf> client, ckks_client::SecretKey secret);

  [[nodiscard]] const package::ClientHalf& client() const { return *client_; }
  /// For making evaluation keys.
  [[nodiscard]] const ckks_client::SecretKey& secret() const { return secret_; }
  /// Bytes of a question and of an honest answer.
  [[nodiscard]] std::uint64_t question_bytes() const;
  [[nodiscard]] std::uint64_t answer_bytes() const;

  /// A question, for a server. kInvalidArgument: of another size than the model's input, a value that is not finite, or
  /// so large that its encoding does not fit the modulus. Whether the model has room for it is another matter:
  /// judgement.hpp.
  [[nodiscard]] Result<std::vector<std::uint8_t>> encrypt(std::span<const float> tensor) const;
  /// The model's outputs. kMalformed, kTruncated, kCorrupted, kTooLarge, kUnsupported: not ciphertexts; kMismatch: of
  /// other parameters, count, level or scale; kInsecure: a ciphertext that hides nothing (its second half is zero).
  [[nodiscard]] Result<std::vector<double>> decrypt(std::span<const std::uint8_t> answer) const;

 private:
  std::shared_ptr<const package::ClientHalf> client_;
  ckks_client::SecretKey secret_;
  ckks::Encoder encoder_;
};

}  // namespace brainlock::keyholder
