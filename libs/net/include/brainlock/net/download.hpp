// One GET of a web address, bounded in bytes and in time. For what is published; peers of the network are asked with
// Client.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "brainlock/base/result.hpp"

namespace brainlock::net {

/// http://HOST[:PORT]/PATH or https://... . No user names, queries or fragments: what is published needs none.
struct Url {
  bool secure = false;
  std::string host;  ///< a name or an address; IPv6 without its brackets
  std::uint16_t port = 0;
  std::string path = "/";  ///< begins with '/'
  bool operator==(const Url&) const = default;
};
/// kInvalidArgument with what is wrong. At most 1000 characters.
Result<Url> parse_url(std::string_view text);
std::string url_text(const Url& url);

struct DownloadLimits {
  std::uint64_t max_bytes = 64 * 1024;
  std::int64_t connect_timeout_ms =
      10'000;  ///< each for the connection and for TLS; the search for the name takes what the system's resolver takes
  std::int64_t idle_timeout_ms = 30'000;   ///< without a byte
  std::int64_t total_timeout_ms = 60'000;  ///< after the connection stands
};

/// Takes the next bytes of the body; an Error ends the download with it.
using DownloadSink = std::function<Status(std::span<const std::uint8_t>)>;

/// Asks for `url` and gives the body to `sink` in pieces, as it comes. The request has a Host, and nothing that says
/// who asks, with what or when before. HTTPS takes only a server whose certificate an authority of this system has
/// signed for that name (OpenSSL's places: SSL_CERT_FILE, SSL_CERT_DIR); redirects are not followed, proxies not used.
/// kNotFound (404), kUnavailable (another status, no connection, a broken one), kUnsupported (a redirect), kDenied (the
/// certificate), kTooLarge, kTimeout, kMalformed (no HTTP), kCancelled. Safe from many threads.
Status download(const Url& url, const DownloadLimits& limits, const DownloadSink& sink, std::stop_token stop = {});

}  // namespace brainlock::net
