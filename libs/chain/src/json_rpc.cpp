#include "json_rpc.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

namespace brainlock::chain {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxQueuedNotifications = 1024;
constexpr std::size_t kMaxUnknownSubscriptions = 64;
constexpr std::size_t kMaxErrorText = 2000;

std::string as_text(const json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxErrorText) {
    std::size_t size = kMaxErrorText;  // Not within a character: the text goes on into JSON.
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    text.resize(size);
  }
  return text;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

Milliseconds left_until(Clock::time_point deadline) {
  return std::max(Milliseconds{0}, std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()));
}

class JsonRpcConnection : public Transport, public std::enable_shared_from_this<JsonRpcConnection> {
 public:
  explicit JsonRpcConnection(std::unique_ptr<MessageChannel> channel) : channel_(std::move(channel)) {}

  Result<RpcReply> request(std::string_view method, std::string_view params, Milliseconds timeout) override {
    const Turn turn(*this);
    return request_locked(method, params, timeout);
  }

  Result<SubscribeReply> subscribe(std::string_view method, std::string_view params, std::string_view unsubscribe_method,
                                   Milliseconds timeout) override;

  std::string describe() const override { return channel_->describe(); }

  Result<std::string> next_notification(const std::string& id, Milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    for (;;) {
      const Turn turn(*this);
      auto& queue = queues_[id];
      if (!queue.empty()) {
        std::string text = std::move(queue.front());
        queue.pop_front();
        return text;
      }
      if (gone_) return gone_error();
      const auto left = left_until(deadline);
      // Short turns, so that requests of other threads come between them.
      BRAINLOCK_TRY(receive_one(std::min(left, Milliseconds{250}), /*timeout_is_error=*/left.count() == 0));
    }
  }

  void unsubscribe(const std::string& id, const std::string& method) {
    const Turn turn(*this);
    queues_.erase(id);
    open_.erase(id);
    remember(ended_, id);
    if (gone_) return;
    // Nobody waits for this answer; it is dropped as one to an unknown request when it comes.
    if (!channel_->send(make_request(next_id_++, method, json::array({id}).dump()), Milliseconds{1000}).ok()) gone_ = true;
  }

 private:
  // The connection, held. Whoever waits holds the door meanwhile, so that a thread that lets go and comes back at once (one
  // that listens) does not shut the others out for as long as it listens.
  class Turn {
   public:
    explicit Turn(JsonRpcConnection& connection) {
      const std::lock_guard waiting(connection.door_);
      lock_ = std::unique_lock(connection.mutex_);
    }

   private:
    std::unique_lock<std::mutex> lock_;
  };

  Error gone_error() const { return {ErrorCode::kUnavailable, "the connection to " + channel_->describe() + " is lost"}; }

  Result<RpcReply> request_locked(std::string_view method, std::string_view params, Milliseconds timeout) {
    if (gone_) return gone_error();
    const auto deadline = Clock::now() + timeout;
    const std::uint64_t id = next_id_++;
    if (const auto sent = channel_->send(make_request(id, method, params), timeout); !sent.ok()) {
      gone_ = true;
      return sent.error();
    }
    awaited_ = id;
    answer_.reset();
    while (!answer_) {
      const auto left = left_until(deadline);
      if (left.count() == 0) {
        return Error{ErrorCode::kTimeout, std::string(method) + " was not answered by " + channel_->describe()};
      }
      BRAINLOCK_TRY(receive_one(left, /*timeout_is_error=*/false));
    }
    return std::move(*answer_);
  }

  // Takes one message and files it. Answers to requests that were given up on are dropped.
  Status receive_one(Milliseconds timeout, bool timeout_is_error) {
    auto text = channel_->receive(timeout);
    if (!text.ok()) {
      if (text.error().code == ErrorCode::kTimeout) return timeout_is_error ? Status(text.error()) : Status{};
      gone_ = true;
      return text.error();
    }
    auto message = parse_message(*text);
    if (!message.ok()) {
      gone_ = true;  // What follows a garbled message cannot be trusted to be framed as we think.
      return message.error().in(channel_->describe());
    }
    if (message->kind == RpcMessage::Kind::kReply) {
      // An error without an id is of a request that the node could not read: only one is ever awaited.
      const bool ours = message->id == awaited_ || (message->id == 0 && message->reply.error);
      if (ours) answer_ = std::move(message->reply);
      return {};
    }
    // A notification may come before the answer that announces its subscription: unknown ones are kept, the oldest of too
    // many are forgotten. Late ones of a subscription that was ended here are nobody's.
    if (!open_.contains(message->subscription)) {
      if (std::find(ended_.begin(), ended_.end(), message->subscription) != ended_.end()) return {};
      if (!queues_.contains(message->subscription)) {
        if (const auto forgotten = remember(early_, message->subscription); !forgotten.empty()) queues_.erase(forgotten);
      }
    }
    auto& queue = queues_[message->subscription];
    if (queue.size() == kMaxQueuedNotifications) queue.pop_front();
    queue.push_back(std::move(message->payload));
    return {};
  }

  // Appends to a short list; returns what had to leave it, if anything.
  static std::string remember(std::deque<std::string>& list, const std::string& id) {
    list.push_back(id);
    if (list.size() <= kMaxUnknownSubscriptions) return {};
    std::string first = std::move(list.front());
    list.pop_front();
    return first;
  }

  std::mutex door_, mutex_;
  std::unique_ptr<MessageChannel> channel_;
  std::uint64_t next_id_ = 1;
  std::uint64_t awaited_ = 0;
  std::optional<RpcReply> answer_;
  std::map<std::string, std::deque<std::string>> queues_;  // Of open_ and early_.
  std::set<std::string> open_;                             // Subscriptions that somebody holds.
  std::deque<std::string> early_, ended_;                  // Not announced yet; ended not long ago.
  bool gone_ = false;
};

class JsonRpcSubscription : public Subscription {
 public:
  JsonRpcSubscription(std::shared_ptr<JsonRpcConnection> connection, std::string id, std::string unsubscribe_method)
      : connection_(std::move(connection)), id_(std::move(id)), unsubscribe_method_(std::move(unsubscribe_method)) {}
  ~JsonRpcSubscription() override { connection_->unsubscribe(id_, unsubscribe_method_); }
  Result<std::string> next(Milliseconds timeout) override { return connection_->next_notification(id_, timeout); }

 private:
  std::shared_ptr<JsonRpcConnection> connection_;
  std::string id_;
  std::string unsubscribe_method_;
};

Result<SubscribeReply> JsonRpcConnection::subscribe(std::string_view method, std::string_view params,
                                                    std::string_view unsubscribe_method, Milliseconds timeout) {
  const Turn turn(*this);
  BRAINLOCK_ASSIGN(auto reply, request_locked(method, params, timeout));
  if (reply.error) return SubscribeReply{nullptr, std::move(reply.error)};
  const json id = json::parse(reply.result, nullptr, false);
  if (!id.is_string() && !id.is_number()) return Error{ErrorCode::kMalformed, "a subscription has no id"};
  const std::string name = as_text(id);
  open_.insert(name);
  std::erase(early_, name);
  std::erase(ended_, name);
  return SubscribeReply{std::make_unique<JsonRpcSubscription>(shared_from_this(), name, std::string(unsubscribe_method)), {}};
}

}  // namespace

std::string make_request(std::uint64_t id, std::string_view method, std::string_view params) {
  return "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) + ",\"method\":" + json(std::string(method)).dump() +
         ",\"params\":" + std::string(params) + "}";
}

Result<RpcMessage> parse_message(std::string_view text) {
  if (text.size() > kMaxMessageBytes) return Error{ErrorCode::kTooLarge, "JSON-RPC message is too large"};
  json message = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object()) return Error{ErrorCode::kMalformed, "the answer is not a JSON object"};
  RpcMessage out;
  if (const auto params = message.find("params"); params != message.end()) {
    if (!params->is_object() || !params->contains("subscription")) {
      return Error{ErrorCode::kMalformed, "a JSON-RPC notification names no subscription"};
    }
    out.kind = RpcMessage::Kind::kNotification;
    out.subscription = as_text((*params)["subscription"]);
    const auto result = params->find("result");
    out.payload = result != params->end() ? dump(*result) : "null";
    return out;
  }
  const auto id = message.find("id");
  const auto error = message.find("error");
  const bool is_error = error != message.end() && !error->is_null();
  if (id != message.end() && id->is_number_unsigned()) {
    out.id = id->get<std::uint64_t>();
  } else if (id == message.end() ? !is_error : !id->is_null()) {
    return Error{ErrorCode::kMalformed, "a JSON-RPC answer has no number as its id"};
  }
  if (is_error) {
    RpcError parsed;
    if (error->is_object()) {
      if (const auto code = error->find("code"); code != error->end() && code->is_number_integer()) {
        parsed.code = code->get<std::int64_t>();
      }
      if (const auto note = error->find("message"); note != error->end()) parsed.message = as_text(*note);
      if (const auto data = error->find("data"); data != error->end() && !data->is_null()) parsed.data = as_text(*data);
    } else {
      parsed.message = as_text(*error);
    }
    out.reply.error = std::move(parsed);
    return out;
  }
  const auto result = message.find("result");
  if (result == message.end()) return Error{ErrorCode::kMalformed, "a JSON-RPC answer has neither result nor error"};
  out.reply.result = dump(*result);
  return out;
}

std::shared_ptr<Transport> make_json_rpc(std::unique_ptr<MessageChannel> channel) {
  return std::make_shared<JsonRpcConnection>(std::move(channel));
}

}  // namespace brainlock::chain
