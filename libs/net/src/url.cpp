#include <algorithm>
#include <charconv>

#include "brainlock/net/download.hpp"

namespace brainlock::net {
namespace {

constexpr std::size_t kMostCharacters = 1000;

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool in_path(char c) { return alphanumeric(c) || std::string_view("/-._~%+=:@,").find(c) != std::string_view::npos; }
bool in_name(char c) { return alphanumeric(c) || c == '-' || c == '.'; }
bool in_ipv6(char c) {
  return c == ':' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&](const char* what) {
    std::string message = "'";
    message.append(text.substr(0, std::min<std::size_t>(text.size(), 100))).append("': ").append(what);
    return Error{ErrorCode::kInvalidArgument, message.append("; expected http[s]://HOST[:PORT]/PATH")};
  };
  if (text.size() > kMostCharacters) return wrong("more than 1000 characters");
  Url out;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    out.secure = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong("no address of HTTP or HTTPS");
  }
  const auto slash = std::min(rest.find('/'), rest.size());
  std::string_view place = rest.substr(0, slash);
  if (slash < rest.size()) out.path = rest.substr(slash);
  if (!std::all_of(out.path.begin(), out.path.end(), in_path)) return wrong("a character that no path of ours has");
  std::string_view port;
  if (place.starts_with('[')) {
    const auto end = place.find(']');
    if (end == std::string_view::npos) return wrong("a bracket is not closed");
    out.host = place.substr(1, end - 1);
    place.remove_prefix(end + 1);
    if (!place.empty() && place.front() != ':') return wrong("something behind the address");
    if (!std::all_of(out.host.begin(), out.host.end(), in_ipv6)) return wrong("no address in the brackets");
    port = place;
  } else {
    const auto colon = std::min(place.find(':'), place.size());
    out.host = place.substr(0, colon);
    port = place.substr(colon);
    if (!std::all_of(out.host.begin(), out.host.end(), in_name)) return wrong("a character that no host has");
  }
  if (out.host.empty()) return wrong("no host");
  out.port = out.secure ? 443 : 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || end != port.data() + port.size() || out.port == 0) return wrong("no port");
  }
  return out;
}

std::string url_text(const Url& url) {
  std::string out = url.secure ? "https://" : "http://";
  const bool ipv6 = url.host.find(':') != std::string::npos;
  out.append(ipv6 ? "[" : "").append(url.host).append(ipv6 ? "]" : "");
  if (url.port != (url.secure ? 443 : 80)) out.append(":").append(std::to_string(url.port));
  return out + url.path;
}

}  // namespace brainlock::net
