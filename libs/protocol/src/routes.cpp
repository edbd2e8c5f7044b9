#include "brainlock/protocol/routes.hpp"

#include <charconv>
#include <vector>

#include "brainlock/protocol/epistula.hpp"

namespace brainlock::protocol {
namespace {

/// A decimal number in its one spelling, below 2^53 so that every language's JSON holds it.
bool read_number(std::string_view text, std::uint64_t& out) {
  if (text.empty() || text.size() > 16 || (text.size() > 1 && text.front() == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out < (std::uint64_t{1} << 53);
}

bool read_route(std::string_view target, Route& route) {
  if (target.size() > 256 || !target.starts_with("/v1/")) return false;
  std::vector<std::string_view> parts;
  for (std::string_view rest = target.substr(4);;) {
    const auto slash = rest.find('/');
    parts.push_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (parts.size() == 1 && parts[0] == "status") {
    route.kind = RouteKind::kStatus;
    return true;
  }
  if (parts.size() == 2 && parts[0] == "requests" && is_uuid(parts[1])) {
    route.kind = RouteKind::kProgress;
    route.uuid = parts[1];
    return true;
  }
  if (parts.size() < 4 || parts[0] != "packages") return false;
  const auto package = parse_content_id(parts[1]);
  const auto key = parse_content_id(parts[3]);
  if (!package.ok() || !key.ok()) return false;
  route.package = *package;
  route.key = *key;
  if (parts.size() == 4 && parts[2] == "infer") {
    route.kind = RouteKind::kInfer;
    return true;
  }
  if (parts[2] != "keys") return false;
  if (parts.size() == 4) {
    route.kind = RouteKind::kKeyState;
    return true;
  }
  route.kind = RouteKind::kKeyPart;
  return parts.size() == 6 && read_number(parts[4], route.offset) && read_number(parts[5], route.total);
}

}  // namespace

std::string content_id_text(const ContentId& id) { return crypto::hex_encode(id); }

Result<ContentId> parse_content_id(std::string_view text) {
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return {ErrorCode::kMalformed, "a content id is 64 lower-case hexadecimal digits"};
  }
  return crypto::hex_decode_array<32>(text);
}

std::string_view route_method(RouteKind kind) {
  switch (kind) {
    case RouteKind::kKeyPart: return "PUT";
    case RouteKind::kInfer: return "POST";
    default: return "GET";
  }
}

std::string_view route_name(RouteKind kind) {
  switch (kind) {
    case RouteKind::kStatus: return "status";
    case RouteKind::kKeyState: return "key_state";
    case RouteKind::kKeyPart: return "key_part";
    case RouteKind::kInfer: return "infer";
    case RouteKind::kProgress: return "progress";
  }
  return "unknown";
}

std::string route_target(const Route& route) {
  const auto of_package = [&route] { return "/v1/packages/" + content_id_text(route.package); };
  switch (route.kind) {
    case RouteKind::kStatus: return "/v1/status";
    case RouteKind::kProgress: return "/v1/requests/" + route.uuid;
    case RouteKind::kInfer: return of_package() + "/infer/" + content_id_text(route.key);
    case RouteKind::kKeyState: return of_package() + "/keys/" + content_id_text(route.key);
    case RouteKind::kKeyPart:
      return of_package() + "/keys/" + content_id_text(route.key) + "/" + std::to_string(route.offset) + "/" +
             std::to_string(route.total);
  }
  return "/";
}

RouteVerdict parse_route(std::string_view method, std::string_view target) {
  RouteVerdict verdict;
  if (!read_route(target, verdict.route)) {
    verdict.refusal = Refusal::kNoSuchRoute;
  } else if (method != route_method(verdict.route.kind)) {
    verdict.refusal = Refusal::kMethodNotAllowed;
  }
  return verdict;
}

}  // namespace brainlock::protocol
