// A secret under a password: Argon2id makes the key, XChaCha20 with Poly1305 closes the box.
#pragma once

#include <string_view>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/secret.hpp"

namespace brainlock::crypto {

/// What trying a password costs.
enum class PasswordCost {
  kInteractive,  ///< 64 MB, a tenth of a second
  kModerate,     ///< 256 MB, half a second to one
};

/// magic, cost, salt, nonce, box: a closed box of any secret up to 1 MB. kTooLarge; kResource if there is no memory.
[[nodiscard]] Result<Bytes> close_password_box(ByteView secret, std::string_view password,
                                               PasswordCost cost = PasswordCost::kModerate);
/// kMalformed, kUnsupported (another version or cost), kResource; kDenied for a wrong password or a changed box.
[[nodiscard]] Result<SecretBuffer> open_password_box(ByteView box, std::string_view password);

}  // namespace brainlock::crypto
