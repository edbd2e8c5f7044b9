// Evaluation keys on the wire: a manifest, then one self-checked record per key, so that both sides handle one key at
// a time and nobody reads a file of hundreds of megabytes twice.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "brainlock/ckks/objects.hpp"
#include "brainlock/wire/header.hpp"

namespace brainlock::wire {

inline constexpr std::uint32_t kMaxEvaluationKeys = 4096;

/// Exact size of a file of these keys, header included: what to announce before the first key exists.
std::uint64_t evaluation_keys_bytes(std::span<const ckks::KeyRequest> manifest, const ckks::Parameters& parameters);

/// Every key that `needed` asks for is in `manifest` with at least as many limbs. kMismatch names those that are not.
Status check_manifest(std::span<const ckks::KeyRequest> manifest, std::span<const ckks::KeyRequest> needed);

/// Writes header and manifest at once, then the keys in the manifest's order. One thread at a time. Memory: one record.
class EvaluationKeyWriter {
 public:
  /// kInvalidArgument: an empty or too long manifest, an element twice, limbs or elements out of range.
  static Result<EvaluationKeyWriter> begin(ByteSink sink, std::shared_ptr<const ckks::Parameters> parameters,
                                           std::vector<ckks::KeyRequest> manifest);
  /// The next key of the manifest, seeded. kInvalidArgument: another element or limb count than the manifest says, no
  /// seed, wrong sizes, a word that is not reduced.
  Status add(const ckks::EvaluationKey& key);
  /// kInvalidArgument if keys are missing.
  Status finish();

 private:
  EvaluationKeyWriter() = default;
  ByteSink sink_;
  std::shared_ptr<const ckks::Parameters> parameters_;
  std::vector<ckks::KeyRequest> manifest_;
  std::array<std::uint8_t, 32> head_checksum_{};
  std::size_t written_ = 0;
  Bytes record_;
};

/// Reads what the writer wrote. One thread at a time. Memory: one record and one key.
class EvaluationKeyReader {
 public:
  /// Reads header and manifest. `max_bytes` bounds the whole object (kTooLarge before anything is allocated).
  /// kTruncated, kMalformed, kUnsupported, kCorrupted, kMismatch.
  static Result<EvaluationKeyReader> begin(ByteSource source, std::shared_ptr<const ckks::Parameters> parameters,
                                           std::uint64_t max_bytes);
  const std::vector<ckks::KeyRequest>& manifest() const { return manifest_; }
  /// Size of the whole object, header included.
  std::uint64_t total_bytes() const { return total_bytes_; }
  /// The next key, `a` not expanded; nothing after the last. Errors as begin(); after one the reader is spent.
  Result<std::optional<ckks::EvaluationKey>> next();

 private:
  EvaluationKeyReader() = default;
  ByteSource source_;
  std::shared_ptr<const ckks::Parameters> parameters_;
  std::vector<ckks::KeyRequest> manifest_;
  std::array<std::uint8_t, 32> head_checksum_{};
  std::uint64_t total_bytes_ = 0;
  std::size_t read_ = 0;
  Bytes record_;
};

/// All keys of a buffer. As the reader; trailing bytes are kMalformed.
Result<ckks::EvaluationKeySet> parse_evaluation_keys(ByteView bytes, std::shared_ptr<const ckks::Parameters> parameters);
/// All keys into a buffer.
Result<Bytes> serialize_evaluation_keys(const ckks::EvaluationKeySet& keys, std::shared_ptr<const ckks::Parameters> parameters);

}  // namespace brainlock::wire
