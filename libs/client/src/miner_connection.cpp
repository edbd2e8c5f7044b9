#include "brainlock/client/miner_connection.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

namespace brainlock::client {

using protocol::Reason;
using protocol::Refusal;

namespace {

using Clock = std::chrono::steady_clock;

/// A miner that was killed takes nothing that was signed before its fence: for its lead as a rule, for a time window and the lead at most.
constexpr std::chrono::seconds kStartingPatience(12);
constexpr std::chrono::milliseconds kStartingPause(250);
/// Of one upload, for a miner that is restarted meanwhile. Longer than an upgrade takes, shorter than what a slow upload is allowed.
constexpr std::chrono::seconds kRestartPatience(60);
constexpr std::uint64_t kLeastPart = 64 << 10, kMostPart = 64 << 20, kUsualPart = 16 << 20;   // of a key file
constexpr std::int64_t kPartTimeoutMs = 600'000;

Reason reason_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kTimeout: return Reason::kTimeout;
    case ErrorCode::kTooLarge: return Reason::kAnswerTooLarge;
    case ErrorCode::kMalformed: return Reason::kMalformedAnswer;
    case ErrorCode::kDenied: return Reason::kUnsignedAnswer;  // of another server than the miner's
    case ErrorCode::kCancelled:
    case ErrorCode::kInternal: return Reason::kValidatorError;
    default: return Reason::kUnreachable;
  }
}

Error error_of(const Call& call) {
  ErrorCode code = ErrorCode::kUnavailable;
  if (call.reason == Reason::kTimeout) code = ErrorCode::kTimeout;
  if (call.reason == Reason::kUnsignedAnswer) code = ErrorCode::kDenied;
  if (call.reason == Reason::kMalformedAnswer || call.reason == Reason::kAnswerTooLarge) code = ErrorCode::kMalformed;
  return {code, std::string(protocol::reason_name(call.reason)) + ": " + call.detail};
}

protocol::Route make_route(protocol::RouteKind kind, const protocol::ContentId& package = {}, const protocol::ContentId& key = {}) {
  protocol::Route route;
  route.kind = kind;
  route.package = package;
  route.key = key;
  return route;
}

net::TlsPeerCheck tls_check(const MinerAddress& miner) {
  if (!miner.tls) return {};
  return [hotkey = miner.hotkey](const net::TlsKeyHash& key, std::span<const std::uint8_t> proof) { return protocol::check_tls_proof(hotkey, key, proof); };
}

std::string_view text_of(const std::vector<std::uint8_t>& body) {
  return {reinterpret_cast<const char*>(body.data()), body.size()};
}

}  // namespace

WallClock system_wall_clock() {
  return [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
}

Status status_of(const Call& call) {
  if (call.ok()) return {};
  // The sentence of this reason is for validators.
  if (call.reason == Reason::kValidatorError) return {ErrorCode::kIo, call.detail};
  return {ErrorCode::kUnavailable, std::string(protocol::reason_sentence(call.reason)) + " " + call.detail};
}

UploadPace upload_pace(const std::filesystem::path& key_file, std::uint64_t miner_part_bytes) {
  std::error_code unreadable;   // which the upload will meet, too, and say
  const auto bytes = std::filesystem::file_size(key_file, unreadable);
  UploadPace pace;
  pace.part_bytes = std::clamp(miner_part_bytes, kLeastPart, kMostPart);
  pace.part_limits.timeout_ms = kPartTimeoutMs;
  pace.total_ms = kPartTimeoutMs * static_cast<std::int64_t>(1 + (unreadable ? 0 : bytes / kUsualPart));
  return pace;
}

MinerConnection::MinerConnection(protocol::Signer self, MinerAddress miner, WallClock clock)
    : self_(std::move(self)), miner_(std::move(miner)), clock_(std::move(clock)), client_(miner_.ip, miner_.port, tls_check(miner_)) {}

Call MinerConnection::send(const protocol::Route& route, std::span<const std::uint8_t> body, const protocol::SignedRequest& request,
                           const CallLimits& limits, const std::stop_token& stop) {
  Call call;
  call.uuid = request.uuid;
  const std::string target = protocol::route_target(route);
  call.started_ms = clock_();
  auto answer = client_.send({std::string(protocol::route_method(route.kind)), target, request.headers, body},
                             {limits.connect_timeout_ms, limits.timeout_ms, limits.max_answer_bytes}, stop);
  call.finished_ms = clock_();
  call.bytes_sent = body.size();
  if (!answer.ok()) {
    call.reason = reason_of(answer.error().code);
    call.detail = answer.error().message;
    return call;
  }
  // The least of several: a miner that lets a small request wait does not make its line look long, since its machine takes connections without it.
  // Nor is any line longer than an answer that came over it, however late the connection was taken (a packet was lost, this machine was busy).
  for (const double seen : {client_.round_trip_s(), answer->first_byte_s}) {
    if (seen > 0) round_trip_s_ = round_trip_s_ > 0 ? std::min(round_trip_s_, seen) : seen;
  }
  call.connect_s = answer->connect_s;
  call.response_s = answer->response_s;
  call.round_trip_s = round_trip_s_;
  call.network_s = std::min(answer->response_s, round_trip_s_ + answer->send_s);
  call.bytes_received = answer->body.size();
  if (answer->status != 200) {
    // A refusal may come before the miner knows whom it is talking to, so it need not be signed.
    const auto report = protocol::parse_refusal(text_of(answer->body));
    call.reason = report.refusal == Refusal::kUnknownPackage ? Reason::kWrongTask : Reason::kRefused;
    call.refusal = report.refusal;
    call.detail = "HTTP " + std::to_string(answer->status) + " " + std::string(protocol::refusal_name(report.refusal)) + ": " + report.message;
    return call;
  }
  protocol::BodyHasher hasher;
  hasher.update(answer->body);
  const auto proof = protocol::check_answer(request, self_.account, answer->status, answer->headers, hasher.finish(), clock_());
  if (!proof.ok()) {
    call.reason = Reason::kUnsignedAnswer;
    call.detail = proof.error().message;
    return call;
  }
  call.body = std::move(answer->body);
  return call;
}

Call MinerConnection::call(const protocol::Route& route, std::span<const std::uint8_t> body, const CallLimits& limits, std::stop_token stop) {
  Call failed;
  const auto begun = std::chrono::steady_clock::now();
  const auto connected = client_.connect(limits.connect_timeout_ms, stop);
  const double connect_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (!connected.ok()) {
    failed.started_ms = failed.finished_ms = clock_();
    failed.uuid = protocol::make_uuid();
    failed.reason = reason_of(connected.error().code);
    failed.detail = connected.error().message;
    return failed;
  }
  protocol::BodyHasher hasher;
  hasher.update(body);
  const auto request = protocol::sign_request(self_, miner_.hotkey, protocol::route_method(route.kind), protocol::route_target(route), hasher.finish(), clock_());
  if (!request.ok()) {
    failed.reason = Reason::kValidatorError;
    failed.detail = request.error().to_string();
    failed.uuid = protocol::make_uuid();
    failed.started_ms = failed.finished_ms = clock_();
    return failed;
  }
  Call sent = send(route, body, *request, limits, stop);
  sent.connect_s += connect_s;
  return sent;
}

Result<protocol::MinerStatus> MinerConnection::status(const CallLimits& limits, std::stop_token stop) {
  const Call answer = call(make_route(protocol::RouteKind::kStatus), {}, limits, stop);
  if (!answer.ok()) return error_of(answer);
  return protocol::parse_status(text_of(answer.body));
}

Call MinerConnection::key_state(const protocol::ContentId& package, const protocol::ContentId& key, bool& complete, const CallLimits& limits,
                                std::stop_token stop) {
  complete = false;
  const auto route = make_route(protocol::RouteKind::kKeyState, package, key);
  const auto until = Clock::now() + std::min<Clock::duration>(kStartingPatience, std::chrono::milliseconds(limits.timeout_ms));
  Call answer = call(route, {}, limits, stop);
  while (answer.refusal == Refusal::kStarting && Clock::now() + kStartingPause < until && !stop.stop_requested()) {
    std::this_thread::sleep_for(kStartingPause);
    answer = call(route, {}, limits, stop);
  }
  if (!answer.ok()) return answer;
  const auto state = protocol::parse_key_state(text_of(answer.body));
  if (!state.ok()) {
    answer.reason = Reason::kKeyUpload;
    answer.detail = "the miner's state of the key makes no sense";
    return answer;
  }
  complete = state->complete;
  return answer;
}

Call MinerConnection::upload_key(const protocol::ContentId& package, const protocol::ContentId& key, const std::filesystem::path& file,
                                 std::uint64_t part_bytes, const CallLimits& part_limits, const UploadProgress& progress,
                                 std::stop_token stop, int attempts, std::int64_t total_ms) {
  auto until = total_ms > 0 ? Clock::now() + std::chrono::milliseconds(total_ms) : Clock::time_point::max();
  const auto at_the_latest = total_ms > 0 ? until + std::chrono::milliseconds(total_ms) : until;
  Call failed;
  failed.uuid = protocol::make_uuid();
  bool heard = false;
  std::optional<Clock::time_point> gone_since;   // it was there a moment ago
  std::optional<std::uint64_t> broken_off_at;
  Clock::duration patience = kRestartPatience;
  const auto fail = [&](Reason reason, std::string detail, Refusal refusal = Refusal::kNone) {
    failed.reason = reason;
    failed.detail = std::move(detail);
    failed.refusal = refusal;
    failed.finished_ms = clock_();
    failed.restarting = gone_since.has_value();
    return failed;
  };
  failed.started_ms = clock_();
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return fail(Reason::kValidatorError, "cannot open " + file.string());
  const auto total = static_cast<std::uint64_t>(in.tellg());
  std::vector<std::uint8_t> part;

  protocol::Route route = make_route(protocol::RouteKind::kKeyState, package, key);
  int failures = 0;   // without progress in between
  bool know_state = false;
  protocol::KeyState state;
  const auto is_back = [&] {
    if (gone_since) patience -= Clock::now() - *std::exchange(gone_since, std::nullopt);
  };
  // A miner must not keep us for ever, whatever it says.
  while (true) {
    if (stop.stop_requested()) return fail(Reason::kValidatorError, "stopped");
    CallLimits limits = part_limits;
    if (total_ms > 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0) return fail(Reason::kKeyUpload, "the miner had " + std::to_string(state.received_bytes) + " of " + std::to_string(total) + " bytes after " + std::to_string(total_ms / 1000) + " s");
      limits.connect_timeout_ms = std::min<std::int64_t>(limits.connect_timeout_ms, left);
      limits.timeout_ms = std::min<std::int64_t>(limits.timeout_ms, left);
    }
    if (failed.bytes_sent > 2 * total) return fail(Reason::kKeyUpload, "the miner was sent more than twice the key and does not have it");
    Call answer;
    if (!know_state) {
      route.kind = protocol::RouteKind::kKeyState;
      answer = call(route, {}, limits, stop);
    } else {
      const std::uint64_t size = std::min(std::max<std::uint64_t>(1, part_bytes), total - state.received_bytes);
      part.resize(size);
      in.clear();
      in.seekg(static_cast<std::streamoff>(state.received_bytes));
      if (!in.read(reinterpret_cast<char*>(part.data()), static_cast<std::streamsize>(size))) {
        return fail(Reason::kValidatorError, "cannot read " + file.string());
      }
      route.kind = protocol::RouteKind::kKeyPart;
      route.offset = state.received_bytes;
      route.total = total;
      answer = call(route, part, limits, stop);
      failed.bytes_sent += answer.bytes_sent;
    }
    if (answer.ok()) {
      heard = true;
      is_back();
      const auto read = protocol::parse_key_state(text_of(answer.body));
      if (!read.ok() || read->received_bytes > total) return fail(Reason::kKeyUpload, "the miner's state of the key makes no sense");
      // What it says when it is asked is no progress: a miner that takes no part would otherwise begin anew each time.
      const bool sent_part = know_state;
      if (sent_part && (read->received_bytes > state.received_bytes || read->complete)) failures = 0;
      else if (sent_part || read->received_bytes == total) ++failures;
      state = *read;
      know_state = state.received_bytes < total;
      if (progress) {
        const auto before = Clock::now();
        progress(state.received_bytes, total);
        // Up to as long again: a miner that takes small parts could otherwise be at it for hours.
        if (total_ms > 0) until = std::min(until + (Clock::now() - before), at_the_latest);
      }
      if (state.complete) {
        answer.bytes_sent = failed.bytes_sent;
        return answer;
      }
    } else {
      if (answer.reason == Reason::kWrongTask || answer.reason == Reason::kValidatorError) return answer;
      const bool says_so = answer.refusal == Refusal::kStarting || answer.refusal == Refusal::kShuttingDown;
      const bool gone = says_so || (heard && answer.reason == Reason::kUnreachable);
      if (!gone) is_back();
      const bool lasting = answer.reason == Reason::kRefused && !protocol::refusal_is_temporary(answer.refusal);
      if (lasting) return fail(Reason::kKeyUpload, answer.detail, answer.refusal);
      know_state = false;
      if (gone) {
        if (!gone_since) {
          gone_since = Clock::now();
          // Twice at the same byte is no restart: it would have us send the same part again and again.
          if (broken_off_at == state.received_bytes) ++failures;
          broken_off_at = state.received_bytes;
        }
        if (failures < attempts && Clock::now() + kStartingPause < *gone_since + patience) {
          std::this_thread::sleep_for(kStartingPause);
          continue;
        }
      }
      ++failures;
    }
    if (failures >= attempts) {
      return fail(answer.ok() ? Reason::kKeyUpload : answer.reason == Reason::kRefused ? Reason::kKeyUpload : answer.reason,
                  answer.ok() ? "the miner has all bytes of the key and does not take it" : answer.detail, answer.refusal);
    }
    if (!answer.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(50) * (1 << std::min(failures, 5)));
  }
}

Call MinerConnection::infer(const protocol::ContentId& package, const protocol::ContentId& key, std::span<const std::uint8_t> question,
                            const CallLimits& limits, std::stop_token stop) {
  return call(make_route(protocol::RouteKind::kInfer, package, key), question, limits, stop);
}

}  // namespace brainlock::client
