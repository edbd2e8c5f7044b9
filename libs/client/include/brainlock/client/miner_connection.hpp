// Signed requests to one miner.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>

#include "brainlock/net/client.hpp"
#include "brainlock/protocol/epistula.hpp"
#include "brainlock/protocol/messages.hpp"
#include "brainlock/protocol/reason.hpp"
#include "brainlock/protocol/tls_proof.hpp"

namespace brainlock::client {

/// Unix time in milliseconds.
using WallClock = std::function<std::int64_t()>;
WallClock system_wall_clock();

struct MinerAddress {
  protocol::AccountId hotkey{};
  std::string ip;
  std::uint16_t port = 0;
  bool tls = false;   ///< talk TLS, and only to a server whose certificate is bound to the hotkey
};

/// How one request went. Without a `reason` but kOk, only detail and the times up to the failure mean anything.
struct Call {
  protocol::Reason reason = protocol::Reason::kOk;
  protocol::Refusal refusal = protocol::Refusal::kNone;  ///< what the miner said, for kRefused, kWrongTask, kKeyUpload
  std::string detail;                  ///< one line for people; partly the miner's words, printable ASCII
  std::string uuid;                    ///< of the request
  std::vector<std::uint8_t> body;
  std::int64_t started_ms = 0;         ///< Unix time of the first byte sent
  std::int64_t finished_ms = 0;
  double response_s = 0;               ///< first byte sent -> last byte received, by a steady clock
  double connect_s = 0;                ///< before that, until a connection stood; next to nothing where one did
  double round_trip_s = 0;             ///< the least of what was seen: connections that the miner's machine took, answers that began; response_s at most
  double network_s = 0;                ///< estimate: one round trip and the time the question took to leave, which a miner that reads slowly makes longer
  std::uint64_t bytes_sent = 0, bytes_received = 0;
  bool restarting = false;             ///< of an upload: the miner, which had answered, was gone or starting when it ended
  [[nodiscard]] bool ok() const { return reason == protocol::Reason::kOk; }
};

/// The network's limits for one call.
struct CallLimits {
  std::int64_t connect_timeout_ms = 5'000;
  std::int64_t timeout_ms = 20'000;
  std::uint64_t max_answer_bytes = protocol::kMaxJsonBytes;
};

/// OK, or what went wrong and with which words, for the person who asked. kIo: this side's own failure, kUnavailable: all others.
Status status_of(const Call& call);

/// How somebody who asks one miner sends it a key: in parts as large as it takes them (64 KiB to 64 MiB), ten minutes each, and all of them in no more time than
/// a line needs that moves 16 MiB in ten minutes. A miner that takes one byte of each part would keep its asker for months otherwise.
struct UploadPace {
  std::uint64_t part_bytes = 0;
  CallLimits part_limits;
  std::int64_t total_ms = 0;
};
UploadPace upload_pace(const std::filesystem::path& key_file, std::uint64_t miner_part_bytes);

/// One thread at a time.
class MinerConnection {
 public:
  MinerConnection(protocol::Signer self, MinerAddress miner, WallClock clock = system_wall_clock());

  /// Any request of the protocol, signed, answered and proved.
  Call call(const protocol::Route& route, std::span<const std::uint8_t> body, const CallLimits& limits, std::stop_token stop = {});

  /// What the miner serves. kDenied (not the miner's signature), kUnavailable, kTimeout, kMalformed, kUnsupported.
  Result<protocol::MinerStatus> status(const CallLimits& limits = {}, std::stop_token stop = {});

  /// Asks whether the miner has the whole key. `complete` is false unless the call is ok() and the miner says so; kKeyUpload for an answer
  /// that makes no sense. Cost: one round trip. A miner that was started a moment ago (`starting`) is asked again, for 12 s and the time of `limits`
  /// at most.
  Call key_state(const protocol::ContentId& package, const protocol::ContentId& key, bool& complete, const CallLimits& limits = {},
                 std::stop_token stop = {});

  /// Called with (bytes there, of how many). Its own time is not the upload's, up to as long as the upload is allowed.
  using UploadProgress = std::function<void(std::uint64_t, std::uint64_t)>;
  /// Makes sure that the miner has the whole key file: asks how much of it is there and sends the rest in parts of at most
  /// `part_bytes`. A part that fails for a passing reason is repeated after a moment, at most `attempts` times without a byte more at
  /// the miner. One that restarts meanwhile (`shutting_down`, no connection, `starting`) is waited for besides, for a minute of each upload. Ends after
  /// `total_ms` (0: no such limit; the next upload goes on where this one stopped), and in any case when twice the file was sent. bytes_sent: of parts, 0 if
  /// the miner had them all.
  Call upload_key(const protocol::ContentId& package, const protocol::ContentId& key, const std::filesystem::path& file,
                  std::uint64_t part_bytes, const CallLimits& part_limits, const UploadProgress& progress = {},
                  std::stop_token stop = {}, int attempts = 4, std::int64_t total_ms = 0);

  /// Asks one question. The connection is made before the clock starts.
  Call infer(const protocol::ContentId& package, const protocol::ContentId& key, std::span<const std::uint8_t> question,
             const CallLimits& limits, std::stop_token stop = {});

  [[nodiscard]] const MinerAddress& miner() const { return miner_; }
  void close() { client_.close(); }
  /// As net::Client's.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> heard_at() const { return client_.heard_at(); }

 private:
  Call send(const protocol::Route& route, std::span<const std::uint8_t> body, const protocol::SignedRequest& request,
            const CallLimits& limits, const std::stop_token& stop);

  protocol::Signer self_;
  MinerAddress miner_;
  WallClock clock_;
  net::Client client_;
  double round_trip_s_ = 0;
};

}  // namespace brainlock::client
