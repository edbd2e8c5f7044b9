// The paths of a miner's server, as typed values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/protocol/refusal.hpp"

namespace brainlock::protocol {

/// Name of a package or of a key file: BLAKE2b-256 of its bytes, 64 lower-case hexadecimal digits on the wire.
using ContentId = crypto::Hash256;
std::string content_id_text(const ContentId& id);
/// Strict: exactly 64 lower-case digits. kMalformed.
Result<ContentId> parse_content_id(std::string_view text);

enum class RouteKind {
  kStatus,      ///< GET  /v1/status                          who serves what; needs no signature
  kKeyState,    ///< GET  /v1/packages/P/keys/K               how much of a key is there
  kKeyPart,     ///< PUT  /v1/packages/P/keys/K/OFFSET/TOTAL  bytes from OFFSET on of a file of TOTAL bytes
  kInfer,       ///< POST /v1/packages/P/infer/K              ciphertexts in, ciphertexts out
  kProgress,    ///< GET  /v1/requests/UUID                   how far one's own request is
};

struct Route {
  RouteKind kind = RouteKind::kStatus;
  ContentId package{};
  ContentId key{};
  std::uint64_t offset = 0;
  std::uint64_t total = 0;
  std::string uuid;
};

std::string_view route_method(RouteKind kind);
std::string_view route_name(RouteKind kind);
/// The path of a route: the inverse of parse_route.
std::string route_target(const Route& route);

struct RouteVerdict {
  Refusal refusal = Refusal::kNone;  ///< kNoSuchRoute or kMethodNotAllowed
  Route route;
};
/// Each route has exactly one spelling: no query, no escapes, no leading zeros.
RouteVerdict parse_route(std::string_view method, std::string_view target);

}  // namespace brainlock::protocol
