// What a page in a browser needs so that it can ask a miner directly (docs/protocol.md): CORS. It opens nothing: requests are signed as everybody's are.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "brainlock/net/browser_origins.hpp"

namespace brainlock::miner {

/// For net::ServerOptions::browsers: pages of these origins may read answers, and the headers that prove them. Errors: of BrowserOrigins::parse.
Result<net::BrowserAccess> browser_access(std::span<const std::string> origins);

/// To a browser that asks whether a page may send what it is about to send (a preflight). Nothing where the request is no such question, or comes from no page that
/// may ask. Whether the path is one of ours is for the caller to look at.
std::optional<net::Response> answer_preflight(const net::RequestHead& request);

}  // namespace brainlock::miner
