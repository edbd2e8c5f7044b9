// The steps of one private inference over the network that everybody takes who asks a miner: `query`, `page` and the C
// library.
#pragma once

#include <span>
#include <stop_token>
#include <string>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/client/task_client.hpp"

namespace brainlock::client {

/// ADDRESS:PORT, with IPv6 in brackets; the hotkey is left open. kInvalidArgument.
Result<MinerAddress> parse_address(const std::string& text);

struct Delivery {
  std::uint64_t bytes_sent = 0;  ///< of key parts; 0: the miner had them all
  double seconds = 0;            ///< that the upload took
};

/// Makes sure that the miner serves the client's package and has its keys; an upload goes on where the last one
/// stopped. `progress` is called with (0, 0) when the upload begins. kNotFound: another package is served; otherwise
/// status() and status_of().
Result<Delivery> deliver_keys(MinerConnection& miner, const TaskClient& task,
                              const MinerConnection::UploadProgress& progress = {}, const std::stop_token& stop = {});

/// Asks one question; what came is to be decrypted yet.
Call ask(MinerConnection& miner, const TaskClient& task, std::span<const std::uint8_t> question, double timeout_s,
         const std::stop_token& stop = {});

}  // namespace brainlock::client
