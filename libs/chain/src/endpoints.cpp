// Addresses of nodes, and the transport that moves between them.
#include <algorithm>
#include <mutex>
#include <thread>

#include "brainlock/chain/transport.hpp"
#include "json_rpc.hpp"

namespace brainlock::chain {
namespace {

struct Scheme {
  std::string_view prefix;
  bool websocket;
  bool tls;
  const char* port;
};
constexpr Scheme kSchemes[] = {{"ws://", true, false, "9944"},
                               {"wss://", true, true, "443"},
                               {"http://", false, false, "9944"},
                               {"https://", false, true, "443"}};

struct Network {
  std::string_view name;
  std::string_view url;
};
constexpr Network kNetworks[] = {{"finney", "wss://entrypoint-finney.opentensor.ai:443"},
                                 {"test", "wss://test.finney.opentensor.ai:443"},
                                 {"local", "ws://127.0.0.1:9944"}};

// Keeps a shared connection alive behind the unique_ptr that callers hold.
class SharedTransport : public Transport {
 public:
  explicit SharedTransport(std::shared_ptr<Transport> inner) : inner_(std::move(inner)) {}
  Result<RpcReply> request(std::string_view method, std::string_view params, Milliseconds timeout) override {
    return inner_->request(method, params, timeout);
  }
  Result<SubscribeReply> subscribe(std::string_view method, std::string_view params, std::string_view unsubscribe,
                                   Milliseconds timeout) override {
    return inner_->subscribe(method, params, unsubscribe, timeout);
  }
  std::string describe() const override { return inner_->describe(); }

 private:
  std::shared_ptr<Transport> inner_;
};

bool connection_failed(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout || error.code == ErrorCode::kIo ||
         error.code == ErrorCode::kMalformed || error.code == ErrorCode::kTruncated;
}

class ReconnectingTransport : public Transport {
 public:
  ReconnectingTransport(std::vector<Endpoint> endpoints, ReconnectOptions options)
      : endpoints_(std::move(endpoints)), options_(std::move(options)) {
    if (!options_.sleep) options_.sleep = [](Milliseconds time) { std::this_thread::sleep_for(time); };
  }

  Result<RpcReply> request(std::string_view method, std::string_view params, Milliseconds timeout) override {
    return attempt<RpcReply>(method, [&](Transport& transport) { return transport.request(method, params, timeout); });
  }

  Result<SubscribeReply> subscribe(std::string_view method, std::string_view params, std::string_view unsubscribe,
                                   Milliseconds timeout) override {
    return attempt<SubscribeReply>(
        method, [&](Transport& transport) { return transport.subscribe(method, params, unsubscribe, timeout); });
  }

  std::string describe() const override {
    const std::lock_guard lock(mutex_);
    return endpoints_[current_].url();
  }

 private:
  template <typename T, typename Act>
  Result<T> attempt(std::string_view method, Act act) {
    const bool changes_chain = method.starts_with("author_");
    Milliseconds delay = options_.first_delay;
    Error last{ErrorCode::kUnavailable, "no attempt was made"};
    for (int i = 0; i < options_.attempts; ++i) {
      if (i > 0) {
        options_.sleep(delay);
        delay = std::min(delay * 2, options_.longest_delay);
      }
      auto connection = current();
      if (!connection.ok()) {
        last = connection.error();
        if (!connection_failed(last)) return last;  // A bad certificate does not get better by asking again.
        continue;
      }
      auto result = act(**connection);
      if (result.ok() || !connection_failed(result.error())) return result;
      last = result.error();
      abandon(*connection);
      if (changes_chain) return last.in("it is not known whether the chain has it");
    }
    return last;
  }

  Result<std::shared_ptr<Transport>> current() {
    const std::lock_guard lock(mutex_);
    if (connection_) return connection_;
    auto made = options_.connector(endpoints_[current_], options_.connect_timeout);
    if (!made.ok()) {
      Error error = made.error().in(endpoints_[current_].url());
      current_ = (current_ + 1) % endpoints_.size();
      return error;
    }
    connection_ = std::move(*made);
    return connection_;
  }

  void abandon(const std::shared_ptr<Transport>& failed) {
    const std::lock_guard lock(mutex_);
    if (connection_ != failed) return;  // Another thread was quicker.
    connection_.reset();
    current_ = (current_ + 1) % endpoints_.size();
  }

  mutable std::mutex mutex_;
  std::vector<Endpoint> endpoints_;
  ReconnectOptions options_;
  std::size_t current_ = 0;
  std::shared_ptr<Transport> connection_;
};

}  // namespace

std::string Endpoint::authority() const {
  const bool bracketed = host.find(':') != std::string::npos;
  std::string out = bracketed ? "[" : "";
  return out.append(host).append(bracketed ? "]:" : ":").append(port);
}

std::string Endpoint::url() const {
  std::string out = websocket ? "ws" : "http";
  out.append(tls ? "s://" : "://").append(authority());
  return path == "/" ? out : out + path;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  for (const auto& network : kNetworks) {
    if (text == network.name) return parse_endpoint(network.url);
  }
  for (const auto& scheme : kSchemes) {
    if (!text.starts_with(scheme.prefix)) continue;
    std::string_view rest = text.substr(scheme.prefix.size());
    Endpoint endpoint;
    endpoint.websocket = scheme.websocket;
    endpoint.tls = scheme.tls;
    endpoint.port = scheme.port;
    if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
      endpoint.path = rest.substr(slash);
      rest = rest.substr(0, slash);
    }
    if (rest.starts_with('[')) {  // IPv6 literal.
      const auto end = rest.find(']');
      if (end == std::string_view::npos) break;
      endpoint.host = rest.substr(1, end - 1);
      rest = rest.substr(end + 1);
    } else {
      const auto colon = std::min(rest.find(':'), rest.size());
      endpoint.host = rest.substr(0, colon);
      rest = rest.substr(colon);
    }
    if (rest.starts_with(':')) endpoint.port = rest.substr(1);
    const bool port_ok =
        !endpoint.port.empty() && endpoint.port.size() <= 5 &&
        std::all_of(endpoint.port.begin(), endpoint.port.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
        std::stoi(endpoint.port) >= 1 && std::stoi(endpoint.port) <= 65535;
    const bool clean = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
    if (endpoint.host.empty() || endpoint.host.find('@') != std::string::npos || !port_ok || !clean) break;
    return endpoint;
  }
  std::string words = "'";
  words.append(text.substr(0, 200))
      .append("' is not an endpoint: expected finney, test, local, or a ws://, wss://, http:// or https:// address");
  return Error{ErrorCode::kInvalidArgument, std::move(words)};
}

Result<std::unique_ptr<Transport>> connect(const Endpoint& endpoint, Milliseconds timeout) {
  if (!endpoint.websocket) return make_http_transport(endpoint);
  BRAINLOCK_ASSIGN(auto channel, open_websocket(endpoint, timeout));
  return std::unique_ptr<Transport>(std::make_unique<SharedTransport>(make_json_rpc(std::move(channel))));
}

std::unique_ptr<Transport> make_reconnecting(std::vector<Endpoint> endpoints, ReconnectOptions options) {
  return std::make_unique<ReconnectingTransport>(std::move(endpoints), std::move(options));
}

Result<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    BRAINLOCK_ASSIGN(auto endpoint, parse_endpoint(text.substr(0, comma)));
    endpoints.push_back(std::move(endpoint));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (endpoints.empty()) return Error{ErrorCode::kInvalidArgument, "no endpoint was given"};
  return endpoints;
}

Result<std::unique_ptr<Transport>> open_transport(std::string_view text) {
  BRAINLOCK_ASSIGN(auto endpoints, parse_endpoints(text));
  return make_reconnecting(std::move(endpoints));
}

}  // namespace brainlock::chain
