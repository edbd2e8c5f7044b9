// TLS without certificate authorities: a certificate made at start carries a proof that its key belongs to whoever the peer expects.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::net {

/// SHA-256 of a certificate's public key (SubjectPublicKeyInfo, DER).
using TlsKeyHash = std::array<std::uint8_t, 32>;

/// What a server shows. The key is a secret, made for this process and kept nowhere else.
struct TlsIdentity {
  std::string certificate_pem;
  std::string key_pem;
};

/// Makes a P-256 key and a self-signed certificate whose extension 2.25.142374608968135739878143745011093315376 (OCTET STRING) holds
/// what `prove` returns for the key's hash. Errors: of `prove`; kInternal (OpenSSL).
Result<TlsIdentity> make_tls_identity(const std::function<Result<std::vector<std::uint8_t>>(const TlsKeyHash&)>& prove);

/// Judges a server: is this proof the expected one for this key? Called during the handshake.
using TlsPeerCheck = std::function<bool(const TlsKeyHash& key, std::span<const std::uint8_t> proof)>;

}  // namespace brainlock::net
