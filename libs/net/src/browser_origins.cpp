#include "brainlock/net/browser_origins.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>

#include "brainlock/net/download.hpp"

namespace brainlock::net {
namespace {

namespace ip = boost::asio::ip;

constexpr std::string_view kEvery = "*";
constexpr std::size_t kShownCharacters = 100;

/// A host as browsers write it; empty where it is none. A name whose last part is a number is an address to them, or nothing.
std::string browser_host(std::string host) {
  std::transform(host.begin(), host.end(), host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  boost::system::error_code error;
  if (host.find(':') != std::string::npos) {
    const auto address = ip::make_address_v6(host, error);
    return error || address.is_v4_mapped() ? std::string() : address.to_string();
  }
  const std::string_view last = std::string_view(host).substr(host.rfind('.') + 1);
  if (last.empty() || host.front() == '.' || host.find("..") != std::string::npos) return {};
  if (last.find_first_not_of("0123456789") != std::string_view::npos) return host;
  const auto address = ip::make_address_v4(host, error);
  return error ? std::string() : address.to_string();
}

/// The origin of a page at this address, as its browser writes it; empty where it is no address of a page.
std::string origin_of(std::string_view address) {
  auto url = parse_url(address);
  if (!url.ok()) return {};
  url->host = browser_host(std::move(url->host));
  if (url->host.empty()) return {};
  url->path.clear();
  return url_text(*url);
}

}  // namespace

Result<BrowserOrigins> BrowserOrigins::parse(std::span<const std::string> origins) {
  BrowserOrigins out;
  for (const auto& text : origins) {
    const std::string origin = text == kEvery ? text : origin_of(text);
    if (origin.empty() || origin != text) {
      std::string message = "'";
      message.append(text, 0, kShownCharacters).append("': expected a page's origin as browsers write it, ");
      if (origin.empty()) message.append("https://app.example.org or http://localhost:8000, or * for all");
      else message.append("which is ").append(origin).append(" here");
      return {ErrorCode::kInvalidArgument, std::move(message)};
    }
    out.origins_.push_back(origin);
  }
  return out;
}

std::string_view BrowserOrigins::allowed(const Headers& headers) const {
  const std::string* asked = nullptr;
  for (const auto& [name, value] : headers) {
    if (!boost::beast::iequals(name, "Origin")) continue;
    if (asked != nullptr) return {};
    asked = &value;
  }
  if (asked == nullptr) return {};
  std::string_view out;
  for (const auto& origin : origins_) {
    if (origin == kEvery) return origin;
    if (origin == *asked) out = origin;
  }
  return out;
}

}  // namespace brainlock::net
