#include "json_rpc.hpp"

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "fake_channel.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

using nlohmann::json;
constexpr Milliseconds kShort{500};  // Long enough for a busy machine: only what must time out waits for it.

struct Connection {
  std::shared_ptr<FakeChannelScript> script = std::make_shared<FakeChannelScript>();
  std::shared_ptr<Transport> transport = make_json_rpc(std::make_unique<FakeChannel>(script));
};

std::string answer(const std::string& request, const json& result) {
  return json{{"jsonrpc", "2.0"}, {"id", json::parse(request)["id"]}, {"result", result}}.dump();
}

TEST(JsonRpc, RequestsAreNumberedAndAnswered) {
  Connection c;
  c.script->on_send = [](const std::string& text, auto& script) { script.inbox.push_back(answer(text, "ok")); };
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(c.transport->request("m", "[1]", kShort)->result, "\"ok\"");
  const auto sent = json::parse(c.script->sent[2]);
  EXPECT_EQ(sent, json({{"jsonrpc", "2.0"}, {"id", 3}, {"method", "m"}, {"params", {1}}}));
}

TEST(JsonRpc, AnswersOutOfOrderAndStaleOnesAreSortedOut) {
  Connection c;
  c.script->on_send = [](const std::string& text, auto& script) {
    script.inbox.push_back(R"({"jsonrpc":"2.0","id":999,"result":"another's"})");
    script.inbox.push_back(R"({"jsonrpc":"2.0","method":"n","params":{"subscription":"s","result":1}})");
    script.inbox.push_back(answer(text, "mine"));
  };
  EXPECT_EQ(c.transport->request("m", "[]", kShort)->result, "\"mine\"");
}

TEST(JsonRpc, SlowNodesTimeOutAndALateAnswerIsDropped) {
  Connection c;
  EXPECT_EQ(c.transport->request("m", "[]", kShort).error().code, ErrorCode::kTimeout);
  c.script->inbox.push_back(R"({"jsonrpc":"2.0","id":1,"result":"late"})");
  c.script->on_send = [](const std::string& text, auto& script) { script.inbox.push_back(answer(text, "new")); };
  EXPECT_EQ(c.transport->request("m", "[]", kShort)->result, "\"new\"");
}

TEST(JsonRpc, ErrorsWithAndWithoutCodes) {
  Connection c;
  std::string error;
  c.script->on_send = [&](const std::string& text, auto& script) {
    script.inbox.push_back(R"({"jsonrpc":"2.0","id":)" + json::parse(text)["id"].dump() + R"(,"error":)" + error + "}");
  };
  error = R"({"code":1010,"message":"Invalid Transaction","data":"Custom error: 11"})";
  auto reply = c.transport->request("m", "[]", kShort);
  EXPECT_EQ(reply->error->code, 1010);
  EXPECT_EQ(reply->error->data, "Custom error: 11");
  error = R"({"message":"something"})";
  reply = c.transport->request("m", "[]", kShort);
  EXPECT_FALSE(reply->error->code.has_value());
  EXPECT_EQ(reply->error->message, "something");
  std::string accents;
  for (int i = 0; i < 3000; ++i) accents += "\u00e9";  // Two bytes each; cut to a length, but not within one.
  for (const char* prefix : {"", "x"}) {
    error = json{{"message", prefix + accents}, {"data", nullptr}}.dump();
    reply = c.transport->request("m", "[]", kShort);
    EXPECT_LT(reply->error->message.size(), 2001u);
    EXPECT_GT(reply->error->message.size(), 1997u);
    EXPECT_NO_THROW((void)json(reply->error->message).dump());
    EXPECT_EQ(reply->error->data, "");
  }
  error = R"("plain text")";
  EXPECT_EQ(c.transport->request("m", "[]", kShort)->error->message, "plain text");
}

// A node that cannot read a request does not know its number.
TEST(JsonRpc, AnErrorWithoutAnIdAnswersTheRequest) {
  Connection c;
  std::string id;
  c.script->on_send = [&](const std::string&, auto& script) {
    script.inbox.push_back("{" + id + R"("jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid JSON Request"}})");
  };
  for (const char* written : {R"("id":null,)", ""}) {
    id = written;
    const auto reply = c.transport->request("m", "[]", kShort);
    ASSERT_TRUE(reply.ok()) << reply.error().to_string();
    EXPECT_EQ(reply->error->code, -32600);
  }
}

// A channel that waits as a real one does.
class PatientChannel : public FakeChannel {
 public:
  using FakeChannel::FakeChannel;
  Result<std::string> receive(Milliseconds timeout) override {
    auto message = FakeChannel::receive(timeout);
    if (!message.ok()) std::this_thread::sleep_for(timeout);
    return message;
  }
};

TEST(JsonRpc, RequestsDoNotWaitForAListenerToGiveUp) {
  auto script = std::make_shared<FakeChannelScript>();
  script->on_send = [](const std::string& text, auto& s) {
    s.inbox.push_back(answer(text, "s1"));
    if (json::parse(text)["method"] == "last") s.cut = true;
  };
  auto transport = make_json_rpc(std::make_unique<PatientChannel>(script));
  auto listening = transport->subscribe("sub", "[]", "unsub", kShort);
  ASSERT_TRUE(listening.ok());
  std::atomic<bool> over{false};
  std::jthread listener([&] {
    (void)listening->subscription->next(Milliseconds{20'000});
    over = true;
  });
  std::this_thread::sleep_for(Milliseconds{50});  // The listener has the connection.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(transport->request("m", "[]", Milliseconds{20'000}).ok());
  EXPECT_FALSE(over);
  (void)transport->request("last", "[]", Milliseconds{20'000});  // Ends the listening too.
}

TEST(JsonRpc, GarbageEndsTheConnection) {
  for (const char* bad : {"", "x", "[]", "7", "{}", R"({"id":"text","result":1})", R"({"id":1})", R"({"params":{}})",
                          R"({"params":[]})", "\xff\xfe"}) {
    Connection c;
    c.script->on_send = [&](const std::string&, auto& script) { script.inbox.push_back(bad); };
    EXPECT_EQ(c.transport->request("m", "[]", kShort).error().code, ErrorCode::kMalformed) << bad;
    EXPECT_EQ(c.transport->request("m", "[]", kShort).error().code, ErrorCode::kUnavailable) << bad;
  }
}

TEST(JsonRpc, EveryCutOfAnAnswerIsAnError) {
  const std::string whole = R"({"jsonrpc":"2.0","id":1,"result":{"a":[1,2,"x"]}})";
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_message(whole.substr(0, size)).ok()) << size;
  EXPECT_EQ(parse_message(whole)->reply.result, R"({"a":[1,2,"x"]})");
}

TEST(JsonRpc, ACutConnectionIsReportedAtOnce) {
  Connection c;
  c.script->cut = true;
  EXPECT_EQ(c.transport->request("m", "[]", Milliseconds{60'000}).error().code, ErrorCode::kUnavailable);
}

TEST(JsonRpc, SubscriptionsDeliverInOrderAlsoWhatCameEarly) {
  Connection c;
  c.script->on_send = [](const std::string& text, auto& script) {
    if (json::parse(text)["method"] != "sub") return;
    script.inbox.push_back(R"({"jsonrpc":"2.0","method":"n","params":{"subscription":"s1","result":"early"}})");
    script.inbox.push_back(answer(text, "s1"));
    script.inbox.push_back(R"({"jsonrpc":"2.0","method":"n","params":{"subscription":"s1","result":{"n":2}}})");
  };
  {
    auto reply = c.transport->subscribe("sub", "[]", "unsub", kShort);
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(*reply->subscription->next(kShort), "\"early\"");
    EXPECT_EQ(*reply->subscription->next(kShort), "{\"n\":2}");
    EXPECT_EQ(reply->subscription->next(kShort).error().code, ErrorCode::kTimeout);
    c.script->cut = true;
    EXPECT_EQ(reply->subscription->next(Milliseconds{60'000}).error().code, ErrorCode::kUnavailable);
  }
}

// A long-running validator submits over one connection for days, and each subscription may be followed by late notifications.
TEST(JsonRpc, ManySubscriptionsAndLateNotificationsDoNotDisturbTheNext) {
  Connection c;
  int count = 0;
  const auto notify = [](int id, const char* result) {
    return json{{"method", "n"}, {"params", {{"subscription", "s" + std::to_string(id)}, {"result", result}}}}.dump();
  };
  c.script->on_send = [&](const std::string& text, auto& script) {
    if (json::parse(text)["method"] == "sub") {
      ++count;
      script.inbox.push_back(notify(count, "early"));
      script.inbox.push_back(answer(text, "s" + std::to_string(count)));
    } else {
      script.inbox.push_back(notify(count, "late"));
      script.inbox.push_back(notify(count + 100'000, "of nobody"));
    }
  };
  for (int i = 0; i < 500; ++i) {
    auto reply = c.transport->subscribe("sub", "[]", "unsub", Milliseconds{60'000});
    ASSERT_TRUE(reply.ok()) << reply.error().to_string();
    ASSERT_EQ(*reply->subscription->next(Milliseconds{60'000}), "\"early\"") << i;
    ASSERT_EQ(reply->subscription->next(Milliseconds{0}).error().code, ErrorCode::kTimeout);
  }
}

TEST(JsonRpc, EndingASubscriptionTellsTheNode) {
  Connection c;
  c.script->on_send = [](const std::string& text, auto& script) { script.inbox.push_back(answer(text, "s1")); };
  c.transport->subscribe("sub", "[]", "unsub", kShort)->subscription.reset();
  EXPECT_EQ(json::parse(c.script->sent.back())["method"], "unsub");
}

TEST(Endpoints, NamesAndAddresses) {
  EXPECT_EQ(parse_endpoint("finney")->url(), "wss://entrypoint-finney.opentensor.ai:443");
  EXPECT_EQ(parse_endpoint("local")->url(), "ws://127.0.0.1:9944");
  EXPECT_TRUE(parse_endpoint("test")->tls);
  EXPECT_EQ(parse_endpoint("ws://[::1]:1234/rpc")->url(), "ws://[::1]:1234/rpc");
  EXPECT_EQ(parse_endpoint("ws://[::1]:1234/rpc")->host, "::1");
  EXPECT_EQ(parse_endpoint("ws://[::1]:1234/rpc")->authority(), "[::1]:1234");
  EXPECT_EQ(parse_endpoint("http://h:80")->authority(), "h:80");
  EXPECT_EQ(parse_endpoint("https://node.example")->port, "443");
  EXPECT_FALSE(parse_endpoint("http://h:80")->websocket);
  for (const char* bad : {"", "ftp://x", "ws://", "ws://:9944", "ws://h:", "ws://h:99999", "ws://h:0", "ws://u@h",
                          "ws://h h", "mainnet", "ws://[::1", "ws://h:12x"}) {
    EXPECT_EQ(parse_endpoint(bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
}

struct Scripted : Transport {
  std::function<Result<RpcReply>()> act;
  Result<RpcReply> request(std::string_view, std::string_view, Milliseconds) override { return act(); }
  Result<SubscribeReply> subscribe(std::string_view, std::string_view, std::string_view, Milliseconds) override {
    return Error{ErrorCode::kUnsupported, "no"};
  }
  std::string describe() const override { return "scripted"; }
};

TEST(Reconnecting, MovesToTheNextEndpointWithGrowingDelays) {
  std::vector<std::string> visited;
  std::vector<Milliseconds> delays;
  ReconnectOptions options;
  options.attempts = 5;
  options.sleep = [&](Milliseconds time) { delays.push_back(time); };
  options.connector = [&](const Endpoint& endpoint, Milliseconds) -> Result<std::unique_ptr<Transport>> {
    visited.push_back(endpoint.host);
    if (visited.size() < 3) return Error{ErrorCode::kUnavailable, "refused"};
    auto transport = std::make_unique<Scripted>();
    transport->act = [n = visited.size()]() -> Result<RpcReply> {
      if (n == 3) return Error{ErrorCode::kTimeout, "slow"};
      return RpcReply{"1", {}};
    };
    return std::unique_ptr<Transport>(std::move(transport));
  };
  auto transport = make_reconnecting({*parse_endpoint("ws://a"), *parse_endpoint("ws://b")}, options);
  EXPECT_EQ(transport->request("m", "[]", kShort)->result, "1");
  EXPECT_EQ(visited, (std::vector<std::string>{"a", "b", "a", "b"}));
  EXPECT_EQ(delays, (std::vector<Milliseconds>{Milliseconds{250}, Milliseconds{500}, Milliseconds{1000}}));
  EXPECT_EQ(transport->request("m", "[]", kShort)->result, "1");  // The good connection is kept.
  EXPECT_EQ(visited.size(), 4u);
}

TEST(Reconnecting, SubmissionsAreNeverSentTwice) {
  int sent = 0;
  ReconnectOptions options;
  options.sleep = [](Milliseconds) {};
  options.connector = [&](const Endpoint&, Milliseconds) -> Result<std::unique_ptr<Transport>> {
    auto transport = std::make_unique<Scripted>();
    transport->act = [&]() -> Result<RpcReply> {
      ++sent;
      return Error{ErrorCode::kTimeout, "slow"};
    };
    return std::unique_ptr<Transport>(std::move(transport));
  };
  auto transport = make_reconnecting({*parse_endpoint("local")}, options);
  EXPECT_FALSE(transport->request("author_submitExtrinsic", "[]", kShort).ok());
  EXPECT_EQ(sent, 1);
  EXPECT_FALSE(transport->request("chain_getHeader", "[]", kShort).ok());
  EXPECT_EQ(sent, 5);
}

TEST(Reconnecting, ABadCertificateIsNotRetried) {
  int tries = 0;
  ReconnectOptions options;
  options.sleep = [](Milliseconds) {};
  options.connector = [&](const Endpoint&, Milliseconds) -> Result<std::unique_ptr<Transport>> {
    ++tries;
    return Error{ErrorCode::kInsecure, "certificate"};
  };
  EXPECT_EQ(make_reconnecting({*parse_endpoint("finney")}, options)->request("m", "[]", kShort).error().code,
            ErrorCode::kInsecure);
  EXPECT_EQ(tries, 1);
}

}  // namespace
}  // namespace brainlock::chain
