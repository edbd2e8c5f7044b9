#include "brainlock/client/inquiry.hpp"

#include <algorithm>
#include <chrono>

#include "brainlock/crypto/bytes.hpp"
#include "brainlock/ledger/types.hpp"

namespace brainlock::client {
namespace {

constexpr std::int64_t kConnectTimeoutMs = 5'000;
constexpr int kUploadAttempts = 4;

}  // namespace

Result<MinerAddress> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return Error{ErrorCode::kInvalidArgument, "expected ADDRESS:PORT, got " + text};
  }
  MinerAddress out;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  BRAINLOCK_ASSIGN(out.ip, ledger::canonical_ip(host));
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos ||
      std::stoul(port) == 0 || std::stoul(port) > 65535) {
    return Error{ErrorCode::kInvalidArgument, "not a port: " + port + "; expected ADDRESS:PORT"};
  }
  out.port = static_cast<std::uint16_t>(std::stoul(port));
  return out;
}

Result<Delivery> deliver_keys(MinerConnection& miner, const TaskClient& task,
                              const MinerConnection::UploadProgress& progress, const std::stop_token& stop) {
  BRAINLOCK_ASSIGN(const auto status, miner.status({}, stop));
  const bool offered = std::any_of(status.tasks.begin(), status.tasks.end(),
                                   [&](const auto& offer) { return offer.package == task.package(); });
  if (!offered) {
    return Error{ErrorCode::kNotFound,
                 "the miner does not serve package " + crypto::hex_encode(task.package()) + "; ask another one"};
  }
  if (progress) progress(0, 0);
  const auto begin = std::chrono::steady_clock::now();
  const UploadPace pace = upload_pace(task.key_file(), status.key_part_bytes);
  const Call call = miner.upload_key(task.package(), task.key_id(), task.key_file(), pace.part_bytes, pace.part_limits,
                                     progress, stop, kUploadAttempts, pace.total_ms);
  BRAINLOCK_TRY(status_of(call));
  return Delivery{call.bytes_sent, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
}

Call ask(MinerConnection& miner, const TaskClient& task, std::span<const std::uint8_t> question, double timeout_s,
         const std::stop_token& stop) {
  return miner.infer(task.package(), task.key_id(), question,
                     {kConnectTimeoutMs, static_cast<std::int64_t>(timeout_s * 1000), task.max_answer_bytes()}, stop);
}

}  // namespace brainlock::client
