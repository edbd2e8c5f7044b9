// Why a server of the protocol refuses a request.
#pragma once

#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"

namespace brainlock::protocol {

/// Closed list; the names travel in JSON bodies. Each has a test that produces it.
enum class Refusal {
  kNone,
  // authentication, in the order of judgement
  kMissingHeader,
  kDuplicateHeader,
  kBadVersion,
  kBadTimestamp,
  kStale,
  kFromTheFuture,
  kBadUuid,
  kBadSender,
  kWrongReceiver,
  kBadBodyHash,
  kBadSignature,
  kNotRegistered,
  kNoPermit,
  kStakeTooLow,
  kAccessUnknown,     ///< the ledger cannot be read: fail closed
  kStarting,          ///< signed when an earlier run of the server may have taken it
  kReplayed,
  kNonceMemoryFull,
  // request
  kNoSuchRoute,
  kMethodNotAllowed,
  kLengthRequired,
  kTooLarge,
  kRateLimited,
  kBodyMismatch,      ///< the body is not the one that was signed
  kUnknownPackage,
  kUnknownKey,
  kWrongOffset,       ///< of an upload: the message says where to go on
  kQuotaExceeded,
  kMalformed,
  kMismatch,          ///< well-formed, but of other parameters or another package
  kQueueFull,
  kTimedOut,
  kCancelled,
  kShuttingDown,
  kOutOfResources,
  kInternal,
};
inline constexpr int kRefusalCount = static_cast<int>(Refusal::kInternal) + 1;

/// Stable snake_case name.
std::string_view refusal_name(Refusal refusal);
/// kInternal for an unknown name.
Refusal refusal_from_name(std::string_view name);
/// One sentence for people, without numbers.
std::string_view refusal_sentence(Refusal refusal);
/// The HTTP status that carries it.
int refusal_http_status(Refusal refusal);
/// Whether the same request (signed anew) may succeed a little later.
bool refusal_is_temporary(Refusal refusal);
/// The refusal that stands for an error of a library behind the server.
Refusal refusal_of(ErrorCode code);

/// `{"error": name, "message": text}`; the text is cut at 500 bytes and cleaned of what is not printable ASCII.
std::string refusal_body(Refusal refusal, std::string_view message);

}  // namespace brainlock::protocol
