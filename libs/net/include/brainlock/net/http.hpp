// What a server and a client of HTTP say: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brainlock::net {

/// (name, value) in order of appearance; names compare without regard to case.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// A request before its body.
struct RequestHead {
  std::string method;
  std::string target;
  Headers headers;
  std::uint64_t content_length = 0;
  std::string peer_ip;
  std::string allowed_origin = {};   ///< what the server tells the browser of a page that may read the answer (BrowserOrigins::allowed); empty: there is no such page
};

/// An answer. `content_type` empty: none is sent.
struct Response {
  int status = 200;
  std::string content_type;
  Headers headers;
  std::vector<std::uint8_t> body;
  bool close = false;   ///< no further request on this connection: for peers that ask more than they may
};

/// Text as bytes of a body.
inline std::vector<std::uint8_t> text_bytes(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace brainlock::net
