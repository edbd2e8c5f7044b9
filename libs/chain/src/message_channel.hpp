// Whole text messages in both directions: a WebSocket, or a test's script.
#pragma once

#include <string>
#include <string_view>

#include "brainlock/chain/transport.hpp"

namespace brainlock::chain {

/// Not thread-safe; JsonRpcConnection serialises its use.
class MessageChannel {
 public:
  virtual ~MessageChannel() = default;
  virtual Status send(std::string_view text, Milliseconds timeout) = 0;
  /// kTimeout leaves the channel usable; every other error means it is gone.
  virtual Result<std::string> receive(Milliseconds timeout) = 0;
  virtual std::string describe() const = 0;
};

/// Largest message that is taken: metadata in hex is about 1 MB, a metagraph less.
inline constexpr std::size_t kMaxMessageBytes = 32 * 1024 * 1024;

Result<std::unique_ptr<MessageChannel>> open_websocket(const Endpoint& endpoint, Milliseconds timeout);
std::unique_ptr<Transport> make_http_transport(const Endpoint& endpoint);

}  // namespace brainlock::chain
