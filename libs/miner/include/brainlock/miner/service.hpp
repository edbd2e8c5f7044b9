// The miner's HTTP application.
#pragma once

#include <memory>

#include "brainlock/miner/access.hpp"
#include "brainlock/miner/engine.hpp"
#include "brainlock/miner/fair_queue.hpp"
#include "brainlock/miner/key_registry.hpp"
#include "brainlock/miner/replay_fence.hpp"
#include "brainlock/net/event_log.hpp"
#include "brainlock/net/server.hpp"
#include "brainlock/protocol/epistula.hpp"

namespace brainlock::miner {

struct ServiceOptions {
  /// Questions of the validator whose slot it is that go before all others: whoever asks besides must not make us look slow to it.
  unsigned first_in_slot = 8;
  std::int64_t window_ms = protocol::kTimeWindowMs;
  std::uint64_t key_part_bytes = 16ULL << 20;   ///< largest body of one key upload request
  QueueLimits queue;                            ///< as many questions again may be on their way
  std::size_t loaded_key_sets = 4;              ///< kept in memory, most recently used
  double requests_per_s_per_address = 100;      ///< signed or not, before anything is verified; of a network (net/peer.hpp) eight times as many
  std::string version;
};

/// What the service lives on. `fence` may be null: then a restart forgets what was taken. It is opened with the window of the options.
struct ServiceParts {
  protocol::Signer self;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<KeyRegistry> keys;
  std::unique_ptr<Access> access;
  std::unique_ptr<ReplayFence> fence;
  std::function<std::int64_t()> wall_clock_ms;
  net::EventLog log;
};

/// Safe from many threads, as net::Application demands.
class Service : public net::Application {
 public:
  static std::shared_ptr<Service> make(ServiceParts parts, const ServiceOptions& options);
  /// Finishes what is in the queue within the time, and settles the fence; new requests are refused from now on. True if all were finished.
  virtual bool drain(std::int64_t timeout_ms) = 0;
  /// Prometheus text, counters of the server included if given.
  [[nodiscard]] virtual std::string metrics(const net::ServerCounters* server) const = 0;
};

/// A certificate for this process, bound to the signer: for ServerOptions::tls. Errors: of the signer; kInternal.
Result<net::TlsIdentity> make_server_tls(const protocol::Signer& self);

/// An application that answers GET /metrics with a text, and nothing else.
std::shared_ptr<net::Application> make_metrics_application(std::function<std::string()> text);

}  // namespace brainlock::miner
