// What binds a TLS certificate to a hotkey: docs/protocol.md, "TLS".
#pragma once

#include <array>
#include <span>
#include <vector>

#include "brainlock/protocol/signer.hpp"

namespace brainlock::protocol {

/// Account (32 bytes) and signature (64) of "brainlock-tls-v1\n" and the certificate key's SHA-256 in hexadecimal. Errors: of the signer.
Result<std::vector<std::uint8_t>> make_tls_proof(const Signer& signer, const std::array<std::uint8_t, 32>& key_hash);

/// Whether the proof is `account`'s, for this key.
bool check_tls_proof(const AccountId& account, const std::array<std::uint8_t, 32>& key_hash, std::span<const std::uint8_t> proof);

}  // namespace brainlock::protocol
