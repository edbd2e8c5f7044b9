#include "brainlock/miner/browser_access.hpp"

#include "brainlock/protocol/epistula.hpp"

namespace brainlock::miner {
namespace {

constexpr const char* kMethods = "GET, PUT, POST";
constexpr const char* kRequestHeaders =
    "epistula-version, epistula-timestamp, epistula-uuid, epistula-signed-by, epistula-signed-for, epistula-request-signature, brainlock-body-sha256, brainlock-signature, "
    "content-type";
constexpr const char* kAnswerHeaders =
    "epistula-version, epistula-timestamp, epistula-uuid, epistula-signed-by, epistula-signed-for, brainlock-body-sha256, brainlock-answer-signature";
constexpr const char* kRememberForS = "7200";   // as long as any browser does; Chromium's limit

}  // namespace

Result<net::BrowserAccess> browser_access(std::span<const std::string> origins) {
  BRAINLOCK_ASSIGN(auto parsed, net::BrowserOrigins::parse(origins));
  return net::BrowserAccess{std::move(parsed), kAnswerHeaders};
}

std::optional<net::Response> answer_preflight(const net::RequestHead& request) {
  if (request.method != "OPTIONS" || request.allowed_origin.empty()) return std::nullopt;
  if (protocol::header_value(request.headers, "Access-Control-Request-Method").empty()) return std::nullopt;
  net::Response answer{204, {}, {}, {}};   // whose page it is for, the server adds
  answer.headers = {{"Access-Control-Allow-Methods", kMethods}, {"Access-Control-Allow-Headers", kRequestHeaders}, {"Access-Control-Max-Age", kRememberForS}};
  // Chromium asks where a page of the web turns to a machine of a private network.
  if (protocol::header_value(request.headers, "Access-Control-Request-Private-Network") == "true") {
    answer.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  }
  return answer;
}

}  // namespace brainlock::miner
