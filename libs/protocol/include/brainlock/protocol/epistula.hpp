// Epistula v2: who sends, to whom, when and what, signed by the sender's hotkey in HTTP headers.
//
//   Epistula-Request-Signature  signs  <sha256 of body, hex>.<uuid>.<unix ms>.<receiver ss58>
//
// and, between our own peers, three headers more, so that a server can judge before it reads a body, and a signature holds for
// one method and path only, and answers are proved as well:
//
//   Brainlock-Body-Sha256       the hash that the signature is about
//   Brainlock-Signature         signs  "brainlock-request-v1\n<METHOD> <target>\n" + the line above
//   Brainlock-Answer-Signature  signs  "brainlock-answer-v1\n<status>\n<request body hash>\n" + the line for the answer
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "brainlock/protocol/body_hash.hpp"
#include "brainlock/protocol/refusal.hpp"
#include "brainlock/protocol/signer.hpp"

namespace brainlock::protocol {

/// (name, value), names compared without regard to case.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// The protocol's figure: how far a timestamp may lie from the receiver's clock, both ways.
inline constexpr std::int64_t kTimeWindowMs = 8000;

/// The one value of a header; empty if it is absent or stands there twice (`count` says which).
std::string_view header_value(const Headers& headers, std::string_view name, int* count = nullptr);

/// Random version-4 UUID, lower case.
std::string make_uuid();
/// Whether a text is a lower-case version-4 UUID.
bool is_uuid(std::string_view text);

/// What the Epistula signature is about, byte for byte.
std::string epistula_message(const BodyHash& body, std::string_view uuid, std::int64_t timestamp_ms,
                             std::string_view receiver_ss58);

/// A request that was signed: what its answer must refer to.
struct SignedRequest {
  std::string uuid;
  std::int64_t timestamp_ms = 0;
  AccountId receiver{};
  BodyHash body{};
  Headers headers;
};

/// Signs a request. Every attempt needs a new one: a uuid is good for one use. Errors are the signer's.
Result<SignedRequest> sign_request(const Signer& sender, const AccountId& receiver, std::string_view method,
                                   std::string_view target, const BodyHash& body, std::int64_t now_ms);

/// What a server demands.
struct HeadPolicy {
  AccountId self{};
  std::int64_t window_ms = kTimeWindowMs;
  bool require_bound = true;   ///< the Brainlock-Signature; without it a plain Epistula v2 client is let in
};

/// A proven head. The body is still to be compared with `body`.
struct Head {
  AccountId sender{};
  std::string uuid;
  std::int64_t timestamp_ms = 0;
  BodyHash body{};
};

struct HeadVerdict {
  Refusal refusal = Refusal::kNone;
  std::string message;         ///< which header, what was expected
  Head head;                   ///< valid if not refused
};

/// Judges the headers of a request: cheap questions first, signatures last. Replay is judged by the nonce memory after
/// access is known, so that strangers cannot fill it. Cost: up to two signature verifications (0.1 ms each).
HeadVerdict check_head(const HeadPolicy& policy, const Headers& headers, std::string_view method, std::string_view target,
                       std::int64_t now_ms);

/// Headers that prove an answer of `self` to the request of `head`.
Result<Headers> sign_answer(const Signer& self, const Head& head, int status, const BodyHash& body, std::int64_t now_ms);

/// Judges the headers of an answer against the request it must belong to. kDenied says what is wrong.
Status check_answer(const SignedRequest& request, const AccountId& self, int status, const Headers& headers,
                    const BodyHash& body, std::int64_t now_ms, std::int64_t window_ms = kTimeWindowMs);

}  // namespace brainlock::protocol
