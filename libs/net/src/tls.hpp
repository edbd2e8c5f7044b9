// Certificates, for the server and the client of this library.
#pragma once

#include <openssl/x509.h>

#include <optional>

#include "brainlock/net/tls.hpp"

namespace brainlock::net {

struct TlsClaim {
  TlsKeyHash key{};
  std::vector<std::uint8_t> proof;
};
/// What a certificate claims; nothing if it carries no proof of at most 1 KiB.
std::optional<TlsClaim> read_tls_claim(X509* certificate);

}  // namespace brainlock::net
