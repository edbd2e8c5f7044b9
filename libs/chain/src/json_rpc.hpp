// JSON-RPC 2.0: framing, matching of answers to requests, and a Transport over a message channel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "message_channel.hpp"

namespace brainlock::chain {

/// One message from a node.
struct RpcMessage {
  enum class Kind { kReply, kNotification };
  Kind kind = Kind::kReply;
  std::uint64_t id = 0;         ///< of a reply
  RpcReply reply;
  std::string subscription;     ///< of a notification: its id as text
  std::string payload;          ///< of a notification: JSON text of params.result
};

std::string make_request(std::uint64_t id, std::string_view method, std::string_view params);
/// kMalformed for anything that is not a JSON-RPC reply or subscription notification.
Result<RpcMessage> parse_message(std::string_view text);

/// A Transport over one channel. Answers may come in any order and mixed with notifications.
std::shared_ptr<Transport> make_json_rpc(std::unique_ptr<MessageChannel> channel);

}  // namespace brainlock::chain
