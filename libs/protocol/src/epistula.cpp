#include "brainlock/protocol/epistula.hpp"

#include <charconv>

#include "brainlock/crypto/random.hpp"

namespace brainlock::protocol {
namespace {

constexpr std::string_view kVersionHeader = "Epistula-Version";
constexpr std::string_view kTimestampHeader = "Epistula-Timestamp";
constexpr std::string_view kUuidHeader = "Epistula-Uuid";
constexpr std::string_view kSignedByHeader = "Epistula-Signed-By";
constexpr std::string_view kSignedForHeader = "Epistula-Signed-For";
constexpr std::string_view kSignatureHeader = "Epistula-Request-Signature";
constexpr std::string_view kBodyHeader = "Brainlock-Body-Sha256";
constexpr std::string_view kBoundHeader = "Brainlock-Signature";
constexpr std::string_view kAnswerHeader = "Brainlock-Answer-Signature";

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// "0x" and 128 lower-case digits, and nothing else.
bool read_signature(std::string_view text, crypto::Sr25519Signature& out) {
  if (text.size() != 130 || !text.starts_with("0x") || !is_lower_hex(text.substr(2))) return false;
  const auto bytes = crypto::hex_decode_array<64>(text);
  if (!bytes.ok()) return false;
  out = *bytes;
  return true;
}

bool read_body_hash(std::string_view text, BodyHash& out) {
  if (text.size() != 64 || !is_lower_hex(text)) return false;
  const auto bytes = crypto::hex_decode_array<32>(text);
  if (!bytes.ok()) return false;
  out = *bytes;
  return true;
}

/// Unix milliseconds, decimal, no sign, no leading zero; a number that any clock of this millennium shows.
bool read_timestamp(std::string_view text, std::int64_t& out) {
  if (text.empty() || text.size() > 15 || text.front() < '1' || text.front() > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string bound_message(std::string_view method, std::string_view target, const std::string& epistula) {
  std::string message = "brainlock-request-v1\n";
  message.append(method).append(" ").append(target).append("\n").append(epistula);
  return message;
}

std::string answer_message(int status, const BodyHash& request_body, const std::string& epistula) {
  return "brainlock-answer-v1\n" + std::to_string(status) + "\n" + crypto::hex_encode(request_body) + "\n" + epistula;
}

/// Signature over a text, as headers carry it.
Result<std::string> sign_text(const Signer& signer, const std::string& message) {
  BRAINLOCK_ASSIGN(const auto signature, signer.sign(crypto::as_bytes(message)));
  return crypto::hex_encode_0x(signature);
}

}  // namespace

std::string_view header_value(const Headers& headers, std::string_view name, int* count) {
  std::string_view found;
  int times = 0;
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    ++times;
    found = value;
  }
  if (count != nullptr) *count = times;
  return times == 1 ? found : std::string_view{};
}

std::string make_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  crypto::random_bytes(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text = crypto::hex_encode(bytes);
  for (const std::size_t at : {8, 13, 18, 23}) text.insert(at, 1, '-');
  return text;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_lower_hex(text.substr(i, 1))) return false;
  }
  return text[14] == '4' && std::string_view("89ab").find(text[19]) != std::string_view::npos;
}

std::string epistula_message(const BodyHash& body, std::string_view uuid, std::int64_t timestamp_ms,
                             std::string_view receiver_ss58) {
  std::string message = crypto::hex_encode(body);
  message.append(".").append(uuid).append(".").append(std::to_string(timestamp_ms)).append(".").append(receiver_ss58);
  return message;
}

Result<SignedRequest> sign_request(const Signer& sender, const AccountId& receiver, std::string_view method,
                                   std::string_view target, const BodyHash& body, std::int64_t now_ms) {
  SignedRequest request{make_uuid(), now_ms, receiver, body, {}};
  const std::string receiver_text = crypto::ss58_encode(receiver);
  const std::string message = epistula_message(body, request.uuid, now_ms, receiver_text);
  BRAINLOCK_ASSIGN(std::string signature, sign_text(sender, message));
  BRAINLOCK_ASSIGN(std::string bound, sign_text(sender, bound_message(method, target, message)));
  request.headers = {
      {std::string(kVersionHeader), "2"},
      {std::string(kTimestampHeader), std::to_string(now_ms)},
      {std::string(kUuidHeader), request.uuid},
      {std::string(kSignedByHeader), crypto::ss58_encode(sender.account)},
      {std::string(kSignedForHeader), receiver_text},
      {std::string(kSignatureHeader), std::move(signature)},
      {std::string(kBodyHeader), crypto::hex_encode(body)},
      {std::string(kBoundHeader), std::move(bound)},
  };
  return request;
}

HeadVerdict check_head(const HeadPolicy& policy, const Headers& headers, std::string_view method, std::string_view target,
                       std::int64_t now_ms) {
  HeadVerdict verdict;
  const auto refuse = [&verdict](Refusal refusal, std::string message) {
    verdict.refusal = refusal;
    verdict.message = std::move(message);
    return verdict;
  };

  for (const auto name : {kVersionHeader, kTimestampHeader, kUuidHeader, kSignedByHeader, kSignedForHeader,
                          kSignatureHeader, kBodyHeader, kBoundHeader}) {
    int count = 0;
    header_value(headers, name, &count);
    if (count > 1) return refuse(Refusal::kDuplicateHeader, std::string(name));
    if (count == 0 && (name != kBoundHeader || policy.require_bound)) return refuse(Refusal::kMissingHeader, std::string(name));
  }
  if (header_value(headers, kVersionHeader) != "2") return refuse(Refusal::kBadVersion, "");

  Head& head = verdict.head;
  if (!read_timestamp(header_value(headers, kTimestampHeader), head.timestamp_ms)) return refuse(Refusal::kBadTimestamp, "");
  if (head.timestamp_ms < now_ms - policy.window_ms) {
    return refuse(Refusal::kStale, "signed " + std::to_string(now_ms - head.timestamp_ms) + " ms ago, allowed are " +
                                       std::to_string(policy.window_ms));
  }
  if (head.timestamp_ms > now_ms + policy.window_ms) {
    return refuse(Refusal::kFromTheFuture, "signed " + std::to_string(head.timestamp_ms - now_ms) +
                                               " ms ahead, allowed are " + std::to_string(policy.window_ms));
  }
  head.uuid = header_value(headers, kUuidHeader);
  if (!is_uuid(head.uuid)) return refuse(Refusal::kBadUuid, "");
  const auto sender = crypto::ss58_decode(header_value(headers, kSignedByHeader));
  if (!sender.ok()) return refuse(Refusal::kBadSender, sender.error().message);
  head.sender = *sender;
  const std::string_view receiver_text = header_value(headers, kSignedForHeader);
  const auto receiver = crypto::ss58_decode(receiver_text);
  if (!receiver.ok() || *receiver != policy.self) {
    return refuse(Refusal::kWrongReceiver, "this server is " + crypto::ss58_encode(policy.self));
  }
  if (!read_body_hash(header_value(headers, kBodyHeader), head.body)) return refuse(Refusal::kBadBodyHash, "");

  const std::string message = epistula_message(head.body, head.uuid, head.timestamp_ms, receiver_text);
  crypto::Sr25519Signature signature{};
  if (!read_signature(header_value(headers, kSignatureHeader), signature) ||
      !crypto::sr25519_verify(head.sender, message, signature)) {
    return refuse(Refusal::kBadSignature, std::string(kSignatureHeader));
  }
  int bound_count = 0;
  const auto bound = header_value(headers, kBoundHeader, &bound_count);
  if (bound_count == 1 && (!read_signature(bound, signature) ||
                           !crypto::sr25519_verify(head.sender, bound_message(method, target, message), signature))) {
    return refuse(Refusal::kBadSignature, std::string(kBoundHeader));
  }
  return verdict;
}

Result<Headers> sign_answer(const Signer& self, const Head& head, int status, const BodyHash& body, std::int64_t now_ms) {
  const std::string receiver = crypto::ss58_encode(head.sender);
  const std::string message = epistula_message(body, head.uuid, now_ms, receiver);
  BRAINLOCK_ASSIGN(std::string signature, sign_text(self, answer_message(status, head.body, message)));
  return Headers{
      {std::string(kVersionHeader), "2"},
      {std::string(kTimestampHeader), std::to_string(now_ms)},
      {std::string(kUuidHeader), head.uuid},
      {std::string(kSignedByHeader), crypto::ss58_encode(self.account)},
      {std::string(kSignedForHeader), receiver},
      {std::string(kBodyHeader), crypto::hex_encode(body)},
      {std::string(kAnswerHeader), std::move(signature)},
  };
}

Status check_answer(const SignedRequest& request, const AccountId& self, int status, const Headers& headers,
                    const BodyHash& body, std::int64_t now_ms, std::int64_t window_ms) {
  const auto deny = [](std::string message) { return Status(ErrorCode::kDenied, "answer: " + std::move(message)); };
  for (const auto name : {kVersionHeader, kTimestampHeader, kUuidHeader, kSignedByHeader, kSignedForHeader, kBodyHeader,
                          kAnswerHeader}) {
    int count = 0;
    header_value(headers, name, &count);
    if (count != 1) return deny("needs exactly one header " + std::string(name));
  }
  if (header_value(headers, kVersionHeader) != "2") return deny("Epistula-Version is not 2");
  std::int64_t timestamp_ms = 0;
  if (!read_timestamp(header_value(headers, kTimestampHeader), timestamp_ms)) return deny("bad timestamp");
  if (timestamp_ms < now_ms - window_ms || timestamp_ms > now_ms + window_ms) return deny("signed outside the time window");
  if (header_value(headers, kUuidHeader) != request.uuid) return deny("belongs to another request");
  const auto signer = crypto::ss58_decode(header_value(headers, kSignedByHeader));
  if (!signer.ok() || *signer != request.receiver) return deny("signed by another key");
  const auto receiver_text = header_value(headers, kSignedForHeader);
  const auto receiver = crypto::ss58_decode(receiver_text);
  if (!receiver.ok() || *receiver != self) return deny("signed for another receiver");
  BodyHash stated{};
  if (!read_body_hash(header_value(headers, kBodyHeader), stated) || stated != body) return deny("body is not the signed one");
  const std::string message = epistula_message(body, request.uuid, timestamp_ms, receiver_text);
  crypto::Sr25519Signature signature{};
  if (!read_signature(header_value(headers, kAnswerHeader), signature) ||
      !crypto::sr25519_verify(request.receiver, answer_message(status, request.body, message), signature)) {
    return deny("the signature does not hold");
  }
  return {};
}

}  // namespace brainlock::protocol
