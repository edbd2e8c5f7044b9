#include "brainlock/doctor/reach.hpp"

#include <chrono>
#include <cstdlib>
#include <memory>

#include "brainlock/crypto/ss58.hpp"
#include "brainlock/net/client.hpp"
#include "brainlock/protocol/epistula.hpp"
#include "brainlock/protocol/messages.hpp"
#include "brainlock/protocol/tls_proof.hpp"
#include "judge.hpp"
#include "text.hpp"

namespace brainlock::doctor {
namespace {

constexpr net::SendLimits kPatience{5'000, 8'000, protocol::kMaxJsonBytes};

struct Seen {
  ReachTarget target;
  std::optional<ledger::AccountId> hotkey;       // miner
  std::optional<std::int64_t> clock_offset_ms;   // miner: its clock less this one
  double way_ms = 0;                             // miner: there and back
};

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

Finding address_of(const Seen& seen) {
  const std::string kind = non_public_kind(seen.target.ip);
  if (kind.empty()) return ok(seen.target.ip + " is an address of the public internet");
  return warning(seen.target.ip + " is " + kind + ": who gets there says nothing of others", "ask for the address that the chain has (`brainlock subnet axon --show`)");
}

Finding port_of(const Seen& seen) {
  net::Client client(seen.target.ip, seen.target.port);
  const auto begun = std::chrono::steady_clock::now();
  const Status connected = client.connect(kPatience.connect_timeout_ms);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
  if (connected.ok()) return ok("open, connected in " + std::to_string(took) + " ms");
  if (connected.error().code == ErrorCode::kTimeout) return failure("nothing comes back: packets are dropped on the way", "let TCP port " + std::to_string(seen.target.port) + " through the miner's firewall, its provider's, and its router");
  return failure(connected.error().message, "does the miner run, and does its router pass port " + std::to_string(seen.target.port) + " on to it? On its machine: `brainlock doctor miner ...`");
}

Finding miner_of(const std::shared_ptr<Seen>& seen) {
  const auto& target = seen->target;
  net::Client client(target.ip, target.port);
  const std::int64_t asked = now_ms();
  const auto answer = client.send({"GET", "/v1/status", {}, {}}, kPatience);
  const std::int64_t answered = now_ms();
  const std::string next = "correct the address, or what its router passes that port on to";
  if (!answer.ok()) return failure("no HTTP there: " + answer.error().message, next);
  const auto status = protocol::parse_status({reinterpret_cast<const char*>(answer->body.data()), answer->body.size()});
  if (!status.ok()) return failure("what answers is no miner (HTTP " + std::to_string(answer->status) + ")", next);
  const auto hotkey = crypto::ss58_decode(status->hotkey);
  if (!hotkey.ok()) return failure("the miner names no hotkey", next);
  if (target.hotkey && *hotkey != *target.hotkey) return failure("the miner of another hotkey answers, " + crypto::ss58_encode(*hotkey), next);
  std::string text = crypto::ss58_encode(*hotkey) + ", version " + status->version.substr(0, 32);
  for (const auto& task : status->tasks) text += ", " + task.model.substr(0, 100) + " " + protocol::content_id_text(task.package).substr(0, 16) + "...";
  Finding finding = ok(text);
  finding.learn = [seen, hotkey = *hotkey, offset = status->time_ms - (asked + answered) / 2, way = answered - asked] {
    seen->hotkey = hotkey;
    seen->clock_offset_ms = offset;
    seen->way_ms = static_cast<double>(way);
  };
  return finding;
}

Finding certificate_of(const Seen& seen) {
  const auto check = [hotkey = *seen.hotkey](const net::TlsKeyHash& key, std::span<const std::uint8_t> proof) { return protocol::check_tls_proof(hotkey, key, proof); };
  net::Client client(seen.target.ip, seen.target.port, check);
  const Status connected = client.connect(kPatience.connect_timeout_ms);
  if (connected.ok()) return ok(std::string("TLS, bound to that hotkey") + (seen.target.hotkey ? "" : "; --miner-hotkey makes sure that it is the right one"));
  return failure(connected.error().code == ErrorCode::kDenied ? "the certificate is not bound to that hotkey: validators turn away" : "no TLS: " + connected.error().message,
                 "nothing may end TLS in front of the miner: pass the port on as it is");
}

Finding clock_of(const Seen& seen) {
  const std::int64_t offset = *seen.clock_offset_ms;
  const std::string text = "the miner's clock is " + duration_text(offset) + (offset < 0 ? " behind" : " ahead of") + " this machine's";
  const auto doubt = static_cast<std::int64_t>(seen.way_ms) / 2 + 1'000;
  if (std::abs(offset) <= doubt) return ok("the same time within " + duration_text(doubt));
  const std::string next = "`timedatectl` on both says which one is right";
  if (std::abs(offset) > protocol::kTimeWindowMs) return failure(text + "; a request further off than " + std::to_string(protocol::kTimeWindowMs / 1000) + " s is refused", next);
  return warning(text, next);
}

}  // namespace

std::vector<Check> make_reach_checks(ReachTarget target) {
  const auto seen = std::make_shared<Seen>();
  seen->target = std::move(target);
  const auto limit = std::chrono::seconds(20);
  const Finding late = failure("the network does not answer", "look at `ip addr` and `ip route` here");
  return {{"address", [seen] { return address_of(*seen); }},
          {"port", [seen] { return port_of(*seen); }, {}, {}, limit, late},
          {"miner", [seen] { return miner_of(seen); }, {"port"}, {}, limit, late},
          {"certificate", [seen] { return certificate_of(*seen); }, {"miner"}, {}, limit, late},
          {"clock", [seen] { return clock_of(*seen); }, {"miner"}}};
}

}  // namespace brainlock::doctor
