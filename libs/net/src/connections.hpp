// What the connections of a server share: counters, limits, the list of those that are open.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "brainlock/net/server.hpp"
#include "doorkeeper.hpp"

namespace brainlock::net {

namespace asio = boost::asio;
using Milliseconds = std::chrono::milliseconds;

/// An accepted connection, whatever it is speaking. Leaves Shared::sessions when it closes.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  /// From another thread: close at once.
  virtual void kill() = 0;

  // Under Shared::mutex.
  bool proven = false;               ///< the application has taken a request of it, so it makes no room for others
  std::uint64_t number = 0;          ///< in the order of acceptance
  bool condemned = false;            ///< kill() was called
};

/// Between an answer that comes from another thread and a server that is being destroyed.
struct Gate {
  std::mutex mutex;
  bool open = true;
};

/// What sessions share. Outlives them: each holds a reference.
struct Shared {
  explicit Shared(const ServerOptions& given) : options(given), door(options) {}

  const std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  ServerOptions options;
  std::shared_ptr<Application> application;
  std::atomic<std::uint64_t> accepted{0}, refused{0}, requests{0}, bad{0}, bad_proxy_headers{0}, timeouts{0}, cancelled{0}, in{0}, out{0};
  std::atomic<bool> stopping{false};
  std::optional<asio::ssl::context> tls;   ///< what a connection that begins with a TLS greeting is served with

  std::mutex mutex;
  std::condition_variable idle;
  Doorkeeper door;
  RateLimiter told{1, 50};   ///< of the faults of proxies' headers, by kind: strangers choose how many connections a proxy that sends none passes on
  std::map<Connection*, std::shared_ptr<Connection>> sessions;   ///< the open ones; each leaves when it closes
  std::size_t connections = 0;
  std::size_t ordinary = 0;  ///< connections that stay and on which nobody but ordinary askers asked
  std::size_t working = 0;   ///< requests between begin() and the end of their answer
  std::uint64_t numbers = 0;

  /// Whoever opens connections and says nothing must not keep out those who do: of those that are not proven the oldest makes room.
  bool evict_locked() {
    Connection* oldest = nullptr;
    for (const auto& [pointer, connection] : sessions) {
      if (!pointer->proven && !pointer->condemned && (oldest == nullptr || pointer->number < oldest->number)) oldest = pointer;
    }
    if (oldest == nullptr) return false;
    oldest->condemned = true;
    oldest->kill();   // a moment later: until then there is one connection too many
    ++refused;
    return true;
  }
  /// A new connection; of nobody yet if a proxy has still to say whose it is. Then it counts among all, and settle() asks for the rest.
  bool admit(const std::optional<Peer>& peer) {
    const std::lock_guard lock(mutex);
    if (peer && !door.admit(*peer)) return false;
    if (connections >= options.max_connections && !evict_locked()) {
      if (peer) door.leave(*peer);
      return false;
    }
    ++connections;
    return true;
  }
  /// Whose a connection is that was admitted as nobody's.
  bool settle(const Peer& peer) {
    const std::lock_guard lock(mutex);
    if (door.admit(peer)) return true;
    ++refused;
    return false;
  }
  void leave(const std::optional<Peer>& peer, bool is_ordinary) {
    const std::lock_guard lock(mutex);
    --connections;
    if (is_ordinary) --ordinary;
    if (peer) door.leave(*peer);
    idle.notify_all();
  }
  void work(int change) {
    const std::lock_guard lock(mutex);
    working += static_cast<std::size_t>(change);
    idle.notify_all();
  }
  [[nodiscard]] Milliseconds transfer_time(std::uint64_t bytes) const {
    return Milliseconds(options.body_grace_ms + static_cast<std::int64_t>(bytes / std::max<std::uint64_t>(1, options.min_bytes_per_s / 1000)));
  }
};

/// One connection's place among those that are allowed.
struct Seat {
  const std::shared_ptr<Shared> shared;
  std::string ip;
  std::optional<Peer> peer;   ///< nothing: a proxy's, whose header has not come
  bool ordinary = false;      ///< counted in Shared::ordinary, and under its mutex
  Seat(std::shared_ptr<Shared> of, std::string address, std::optional<Peer> who) : shared(std::move(of)), ip(std::move(address)), peer(std::move(who)) {}
  Seat(const Seat&) = delete;
  ~Seat() { shared->leave(peer, ordinary); }
};

inline void keep(Shared& shared, const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(shared.mutex);
  connection->number = ++shared.numbers;
  shared.sessions[connection.get()] = connection;
}
/// `to` goes on with the connection of `from`: at its place, and to the same end.
inline void hand_on(Shared& shared, Connection* from, const std::shared_ptr<Connection>& to) {
  const std::lock_guard lock(shared.mutex);
  to->number = from->number;
  to->condemned = from->condemned;
  shared.sessions.erase(from);
  shared.sessions[to.get()] = to;
  if (to->condemned) to->kill();
}
inline void forget(Shared& shared, Connection* connection) {
  const std::lock_guard lock(shared.mutex);
  shared.sessions.erase(connection);  // the caller holds a reference
}

}  // namespace brainlock::net
