// What JavaScript holds by number.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/crypto/blake2b.hpp"
#include "brainlock/keyholder/cipher.hpp"
#include "brainlock/keyholder/judgement.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/package/value_range.hpp"
#include "brainlock/wire/evaluation_keys.hpp"

namespace brainlock::client_wasm {

/// A package or its client's half alone, and what it takes to run a whole one in the clear, made when it is first
/// needed.
class PackageObject {
 public:
  explicit PackageObject(std::shared_ptr<const package::Package> package)
      : client_(package), package_(std::move(package)) {}
  explicit PackageObject(std::shared_ptr<const package::ClientHalf> client) : client_(std::move(client)) {}
  PackageObject(const PackageObject&) = delete;
  PackageObject& operator=(const PackageObject&) = delete;
  ~PackageObject() { forget(); }

  [[nodiscard]] const std::shared_ptr<const package::ClientHalf>& client() const { return client_; }
  [[nodiscard]] std::size_t input_count() const { return keyholder::size_of(client_->input()); }
  /// kInvalidArgument: of another size than the model's input, or a value that is not finite.
  [[nodiscard]] Status check_values(std::span<const float> values) const;
  /// What a page wants to know of it, as JSON.
  [[nodiscard]] std::string info() const;

  struct Judged {
    package::ValueRange range;
    bool inside_bound = true;  ///< no input value is beyond the package's
    [[nodiscard]] bool inside() const { return inside_bound && range.inside(); }
  };
  /// Three runs in the clear; the first time, all weights are rounded besides. The last input's judgement is kept.
  /// kUnsupported: there is the client's half alone.
  Result<Judged> judge(std::span<const float> values);
  /// With weights as they are encoded, and no errors. kUnsupported as above.
  Result<std::vector<double>> run_clear(std::span<const float> values);

 private:
  Status prepare();
  void forget();  ///< the last input, which is nobody else's business
  std::shared_ptr<const package::ClientHalf> client_;
  std::shared_ptr<const package::Package> package_;  ///< the same, whole; null: there is the half alone
  std::shared_ptr<const package::Simulator> simulator_;
  std::optional<package::RangeChecker> checker_;
  std::vector<float> judged_input_;
  Judged judged_;
};

/// JSON of a range.
std::string range_report(const PackageObject::Judged& judged);

/// A secret key, and its evaluation keys while they are made one after the other.
class KeyObject {
 public:
  KeyObject(std::shared_ptr<PackageObject> package, ckks_client::SecretKey key);

  [[nodiscard]] PackageObject& package() const { return *package_; }
  [[nodiscard]] const keyholder::Cipher& cipher() const { return cipher_; }

  /// Begins a file of evaluation keys (as `brainlock keygen` writes one), whose seeds and errors are new each time.
  Status begin_evaluation_keys();
  /// Its next bytes: what comes before the first key, or one key; none after the last.
  Result<std::vector<std::uint8_t>> next_evaluation_key();
  /// The file's name for miners, once all of it was given: BLAKE2b-256 of its bytes.
  [[nodiscard]] Result<crypto::Digest256> evaluation_keys_id() const;

 private:
  std::shared_ptr<PackageObject> package_;
  keyholder::Cipher cipher_;
  std::vector<ckks::KeyRequest> requests_;
  std::vector<std::uint8_t> written_;
  std::optional<wire::EvaluationKeyWriter> writer_;
  crypto::Blake2b256 hash_;
  std::optional<crypto::Digest256> id_;
  std::size_t made_ = 0;
};

/// Objects by numbers that are never used twice, so that a closed one is found out.
template <typename Object>
class Registry {
 public:
  std::uint32_t add(std::shared_ptr<Object> object) {
    objects_.emplace(++last_, std::move(object));
    return last_;
  }
  std::shared_ptr<Object> find(std::uint32_t handle) const {
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  bool remove(std::uint32_t handle) { return objects_.erase(handle) == 1; }

 private:
  std::map<std::uint32_t, std::shared_ptr<Object>> objects_;
  std::uint32_t last_ = 0;
};

}  // namespace brainlock::client_wasm
