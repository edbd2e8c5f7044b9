// JSON bodies of the protocol. Reading is bounded and strict about types, and lenient about fields it does not know.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/protocol/routes.hpp"

namespace brainlock::protocol {

inline constexpr std::uint32_t kProtocolVersion = 1;
/// Largest JSON body that a peer reads.
inline constexpr std::size_t kMaxJsonBytes = 64 * 1024;
inline constexpr std::size_t kMaxTasks = 64;

/// One package that a miner serves.
struct TaskOffer {
  ContentId package{};
  std::string model;               ///< for people, at most 100 bytes
  std::uint64_t key_bytes = 0;     ///< size of an evaluation key file
  std::uint64_t max_question_bytes = 0;
  bool operator==(const TaskOffer&) const = default;
};

/// Body of GET /v1/status.
struct MinerStatus {
  std::uint32_t protocol = kProtocolVersion;
  std::string version;             ///< of the software, for people
  std::string hotkey;              ///< ss58
  std::int64_t time_ms = 0;        ///< the miner's clock
  std::uint32_t running = 0, queued = 0, queue_limit = 0;
  std::uint64_t key_part_bytes = 0;  ///< largest body of one key upload request
  std::vector<TaskOffer> tasks;
};
std::string status_json(const MinerStatus& status);
/// kTooLarge, kMalformed, kUnsupported (a newer protocol).
Result<MinerStatus> parse_status(std::string_view json);

/// Body of GET .../keys/K and of the answer to an upload.
struct KeyState {
  std::uint64_t received_bytes = 0;  ///< where an upload goes on
  bool complete = false;             ///< checked and usable
};
std::string key_state_json(const KeyState& state);
Result<KeyState> parse_key_state(std::string_view json);

/// Body of GET /v1/requests/UUID.
struct ProgressReport {
  std::string state;                 ///< "queued", "running", "done"
  std::uint32_t ahead = 0;           ///< requests before it
  double fraction = 0;               ///< of the work, 0 to 1
  std::string layer;
};
std::string progress_json(const ProgressReport& report);
Result<ProgressReport> parse_progress(std::string_view json);

/// What a refusal's body says; kInternal and an empty message where it is not one.
struct RefusalReport {
  Refusal refusal = Refusal::kInternal;
  std::string message;
};
RefusalReport parse_refusal(std::string_view json);

}  // namespace brainlock::protocol
