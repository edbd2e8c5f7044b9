#include "brainlock/protocol/refusal.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace brainlock::protocol {
namespace {

struct Entry {
  std::string_view name;
  int status;
  bool temporary;
  std::string_view sentence;
};

constexpr std::array<Entry, kRefusalCount> kEntries{{
    {"none", 200, false, "Nothing is wrong."},
    {"missing_header", 401, false, "A header of the signature is missing."},
    {"duplicate_header", 400, false, "A header of the signature stands there twice."},
    {"bad_version", 400, false, "Epistula-Version is not 2."},
    {"bad_timestamp", 400, false, "Epistula-Timestamp is not a number of milliseconds."},
    {"stale", 401, true, "The request is older than the time window; check the sender's clock."},
    {"from_the_future", 401, true, "The request is dated in the future; check the sender's clock."},
    {"bad_uuid", 400, false, "Epistula-Uuid is not a version-4 UUID in lower case."},
    {"bad_sender", 400, false, "Epistula-Signed-By is not an address of the network."},
    {"wrong_receiver", 401, false, "Epistula-Signed-For is not this server's hotkey."},
    {"bad_body_hash", 400, false, "Brainlock-Body-Sha256 is not 64 lower-case hexadecimal digits."},
    {"bad_signature", 401, false, "A signature does not hold."},
    {"not_registered", 403, false, "The sender is not registered on the subnet."},
    {"no_permit", 403, false, "The sender has no validator permit."},
    {"stake_too_low", 403, false, "The sender's stake is below the threshold."},
    {"access_unknown", 503, true, "The ledger cannot be read now, so nobody is let in."},
    {"starting", 503, true, "The server was started a moment ago and may have taken the request before that; sign it anew a little later."},
    {"replayed", 401, false, "A request with this uuid was seen before; sign every attempt anew."},
    {"nonce_memory_full", 429, true, "Too many requests within the time window."},
    {"no_such_route", 404, false, "No such path."},
    {"method_not_allowed", 405, false, "The path does not take this method."},
    {"length_required", 411, false, "A body needs Content-Length; chunked bodies are not taken."},
    {"too_large", 413, false, "The body is larger than the path takes."},
    {"rate_limited", 429, true, "Too many requests; wait a little."},
    {"body_mismatch", 401, false, "The body is not the one that was signed."},
    {"unknown_package", 404, false, "This miner does not serve the package."},
    {"unknown_key", 404, false, "No such key of this sender; upload it first."},
    {"wrong_offset", 409, true, "The upload goes on at another offset."},
    {"quota_exceeded", 429, true, "The quota for keys is used up."},
    {"malformed", 400, false, "The body is not what the path takes."},
    {"mismatch", 422, false, "The object belongs to other parameters or another package."},
    {"queue_full", 503, true, "The queue is full."},
    {"timed_out", 504, true, "The work took too long."},
    {"cancelled", 499, true, "The work was given up."},
    {"shutting_down", 503, true, "The server is going down; another will take over."},
    {"out_of_resources", 507, true, "Memory or disk would be exceeded."},
    {"internal", 500, true, "The server failed."},
}};

const Entry& entry(Refusal refusal) { return kEntries[static_cast<std::size_t>(refusal)]; }

}  // namespace

std::string_view refusal_name(Refusal refusal) { return entry(refusal).name; }
std::string_view refusal_sentence(Refusal refusal) { return entry(refusal).sentence; }
int refusal_http_status(Refusal refusal) { return entry(refusal).status; }
bool refusal_is_temporary(Refusal refusal) { return entry(refusal).temporary; }

Refusal refusal_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kEntries.size(); ++i) {
    if (kEntries[i].name == name) return static_cast<Refusal>(i);
  }
  return Refusal::kInternal;
}

Refusal refusal_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kMalformed:
    case ErrorCode::kTruncated:
    case ErrorCode::kCorrupted:
    case ErrorCode::kInsecure:
    case ErrorCode::kUnsupported: return Refusal::kMalformed;
    case ErrorCode::kTooLarge: return Refusal::kTooLarge;
    case ErrorCode::kMismatch: return Refusal::kMismatch;
    case ErrorCode::kNotFound: return Refusal::kUnknownKey;
    case ErrorCode::kDenied: return Refusal::kBadSignature;
    case ErrorCode::kTimeout: return Refusal::kTimedOut;
    case ErrorCode::kCancelled: return Refusal::kCancelled;
    case ErrorCode::kResource: return Refusal::kOutOfResources;
    case ErrorCode::kIo:
    case ErrorCode::kUnavailable:
    case ErrorCode::kInternal: return Refusal::kInternal;
  }
  return Refusal::kInternal;
}

std::string refusal_body(Refusal refusal, std::string_view message) {
  std::string text(message.empty() ? refusal_sentence(refusal) : message.substr(0, 500));
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  const nlohmann::json body = {{"error", refusal_name(refusal)}, {"message", text}};
  return body.dump();
}

}  // namespace brainlock::protocol
