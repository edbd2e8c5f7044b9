// The client's half of a package: what it takes to make keys, encrypt inputs, decrypt answers and ask a miner, without
// weights and model. A file of its own (client.bin; client_codec.hpp), for browsers and phones, and the part of a whole
// package that key holders work with.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/objects.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/plan/client_fields.hpp"

namespace brainlock::package {

/// Immutable; share between threads. Of a whole Package, or read from a file by itself. Then nothing here shows whether
/// it is of the package that it names: whoever has the package can tell (its client_bytes() are the file), others trust
/// who gave it to them.
class ClientHalf {
 public:
  /// client.bin: decode_client() and its errors, then parameters (kInsecure below 128 bits; kInvalidArgument).
  static Result<std::shared_ptr<const ClientHalf>> from_bytes(std::span<const std::uint8_t> bytes);
  /// client.bin. kTooLarge: the package's maps are larger than such a file may be.
  [[nodiscard]] Result<std::vector<std::uint8_t>> client_bytes() const;

  ClientHalf(const ClientHalf&) = delete;
  ClientHalf& operator=(const ClientHalf&) = delete;

  [[nodiscard]] const plan::ClientFields& fields() const { return fields_; }
  [[nodiscard]] const plan::TensorMap& input() const { return fields_.input; }
  [[nodiscard]] const plan::TensorMap& output() const { return fields_.output; }
  [[nodiscard]] const std::shared_ptr<const ckks::Parameters>& parameters() const { return parameters_; }
  /// The package's name. Of a file by itself: the name that it states.
  [[nodiscard]] const std::array<std::uint8_t, 32>& hash() const { return hash_; }
  [[nodiscard]] std::string hash_hex() const;
  /// The evaluation keys that the package's program needs, as Galois elements.
  [[nodiscard]] std::vector<ckks::KeyRequest> key_requests() const;

 protected:
  /// Of fields that were checked.
  ClientHalf(plan::ClientFields fields, std::shared_ptr<const ckks::Parameters> parameters,
             const std::array<std::uint8_t, 32>& hash);

 private:
  plan::ClientFields fields_;
  std::shared_ptr<const ckks::Parameters> parameters_;
  std::array<std::uint8_t, 32> hash_;
};

/// Scheme parameters of a plan, checked.
Result<std::shared_ptr<const ckks::Parameters>> make_parameters(const plan::ParameterChoice& choice);

}  // namespace brainlock::package
