// What a SecretKey holds. Private to the library.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "brainlock/ckks_client/client.hpp"
#include "brainlock/crypto/secret.hpp"

namespace brainlock::ckks_client {

struct SecretKey::Impl {
  explicit Impl(std::shared_ptr<const ckks::Parameters> checked);
  /// Fills `evaluation` from `coefficients`.
  void transform();
  /// Evaluation-domain words of the secret at modulus index m.
  std::span<const std::uint32_t> limb(std::uint32_t m) const {
    const std::size_t n = parameters->ring_degree();
    return evaluation.values().subspan(m * n, n);
  }

  std::shared_ptr<const ckks::Parameters> parameters;
  crypto::Secret<std::int8_t> coefficients;   // N of -1, 0, 1
  crypto::Secret<std::uint32_t> evaluation;   // modulus_count * N
};

namespace detail {
/// c0 + c1 s over the first `used` limbs. Time does not depend on the secret.
crypto::Secret<std::uint32_t> plaintext_of(const SecretKey::Impl& secret, const ckks::Ciphertext& ciphertext,
                                           std::uint32_t used);
}  // namespace detail

}  // namespace brainlock::ckks_client
