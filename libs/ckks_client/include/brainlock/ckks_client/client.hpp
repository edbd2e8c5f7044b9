// The owner's side: secret key, key generation, encryption, decryption. Servers do not link this library.
#pragma once

#include <complex>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks/objects.hpp"
#include "brainlock/crypto/secret.hpp"

namespace brainlock::ckks_client {

/// Uniform ternary secret, kept in locked, wiped memory (libsodium), in evaluation domain for every modulus.
/// Move-only. Loading and saving are its own (files 0600, checksummed, bound to the parameters' id).
class SecretKey {
 public:
  static Result<SecretKey> generate(std::shared_ptr<const ckks::Parameters> parameters);
  static Result<SecretKey> load(const std::filesystem::path& file, std::shared_ptr<const ckks::Parameters> parameters);
  Status save(const std::filesystem::path& file) const;
  /// The contents of such a file, for owners who keep it elsewhere. parse() reads them: kTruncated, kMalformed,
  /// kUnsupported, kCorrupted, kMismatch (of other parameters).
  crypto::SecretBuffer serialize() const;
  static Result<SecretKey> parse(std::span<const std::uint8_t> bytes, std::shared_ptr<const ckks::Parameters> parameters);
  static constexpr std::size_t kMaxBytes = 44 + (1U << 17) / 4 + 32;  ///< of the largest ring

  SecretKey(SecretKey&&) noexcept;
  SecretKey& operator=(SecretKey&&) noexcept;
  ~SecretKey();

  const ckks::Parameters& parameters() const;
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit SecretKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Called with (done, total) after each key.
using Progress = std::function<void(std::size_t, std::size_t)>;

/// Seeded evaluation keys for the requests (a part not expanded). Errors: kInvalidArgument for a request whose limb
/// count or element is out of range. Cost: digits * (limbs + p) forward NTTs each. `threads` >= 1.
Result<ckks::EvaluationKeySet> generate_keys(const SecretKey& key, std::span<const ckks::KeyRequest> requests,
                                             unsigned threads, const Progress& progress = {});
/// The same, one key at a time in the order of the requests, so that a file of keys never stands in memory whole:
/// at most `threads` keys exist at once. Stops at the first error of the sink and returns it.
using KeySink = std::function<Status(ckks::EvaluationKey&&)>;
Status generate_keys_into(const SecretKey& key, std::span<const ckks::KeyRequest> requests, unsigned threads,
                          const KeySink& sink);
Result<ckks::PublicKey> generate_public_key(const SecretKey& key);

/// Symmetric, seeded encryption of `slots` (period dividing N/2) at `limbs` and `scale`.
Result<ckks::Ciphertext> encrypt(const SecretKey& key, const ckks::Encoder& encoder,
                                 std::span<const std::complex<double>> slots, ckks::Scale scale, std::uint32_t limbs);
/// Public-key encryption (no secret needed).
Result<ckks::Ciphertext> encrypt_public(const ckks::Parameters& parameters, const ckks::PublicKey& key,
                                        const ckks::Encoder& encoder, std::span<const std::complex<double>> slots,
                                        ckks::Scale scale, std::uint32_t limbs);
/// N/2 slots. All of them together tell the secret key to whoever has the ciphertext, too: see DecryptedSlots. (A model's few outputs tell a little of it.)
Result<std::vector<std::complex<double>>> decrypt(const SecretKey& key, const ckks::Encoder& encoder,
                                                  const ckks::Ciphertext& ciphertext);

/// What several ciphertexts decrypted to; wiped when it goes.
class DecryptedSlots {
 public:
  DecryptedSlots() = default;
  DecryptedSlots(const DecryptedSlots&) = delete;
  DecryptedSlots& operator=(const DecryptedSlots&) = delete;
  ~DecryptedSlots();
  void add(std::vector<std::complex<double>>&& slots) { slots_.push_back(std::move(slots)); }
  [[nodiscard]] const std::vector<std::vector<std::complex<double>>>& slots() const { return slots_; }

 private:
  std::vector<std::vector<std::complex<double>>> slots_;
};

}  // namespace brainlock::ckks_client
