// Server and client against each other, and the server against raw sockets that misbehave.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "echo.hpp"

namespace brainlock::net {
namespace {

struct HttpTest : testing::Test {
  void start(ServerOptions options = {}) {
    options.address = "127.0.0.1";
    server = Server::start(options, app).value().release();
  }
  void TearDown() override { delete server; }
  Client client() { return Client("127.0.0.1", server->port()); }
  /// Whether a request to /hold has come.
  bool holds() {
    return eventually([this] { const std::lock_guard lock(app->mutex); return static_cast<bool>(app->held); });
  }

  std::shared_ptr<Echo> app = std::make_shared<Echo>();
  Server* server = nullptr;
};

TEST_F(HttpTest, BodiesOfAllSizesComeBackOverOneConnection) {
  start();
  Client client = this->client();
  for (const std::size_t size : {0, 1, 65'535, 65'536, 65'537, 3'000'000}) {
    std::vector<std::uint8_t> body(size);
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<std::uint8_t>(i * 31);
    const auto answer = client.send({"POST", "/echo", {{"X-One", "1"}}, body}, {.max_answer_bytes = 4'000'000});
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, body);
    EXPECT_GT(answer->response_s, 0);
    EXPECT_LE(answer->first_byte_s, answer->response_s);
  }
  EXPECT_EQ(server->counters().accepted, 1u);
  EXPECT_EQ(server->counters().requests, 6u);
  EXPECT_EQ(app->last.peer_ip, "127.0.0.1");
  EXPECT_EQ(app->last.content_length, 3'000'000u);
}

// A machine whose line of those that wait is full answers when it is asked again, a second later.
TEST(HttpClient, ARoundTripIsTheTimeInWhichAConnectionIsTaken) {
  Listener listener(0);
  const std::uint16_t port = listener.port;
  Client prompt("127.0.0.1", port), late("127.0.0.1", port);
  EXPECT_EQ(prompt.round_trip_s(), 0);
  EXPECT_FALSE(prompt.heard_at());
  ASSERT_TRUE(prompt.connect(3000).ok());
  EXPECT_GT(prompt.round_trip_s(), 0);
  EXPECT_LT(prompt.round_trip_s(), 0.5);
  EXPECT_TRUE(prompt.heard_at());
  std::jthread taker([&] {
    std::this_thread::sleep_for(300ms);
    ::close(::accept(listener.fd, nullptr, nullptr));
  });
  ASSERT_TRUE(late.connect(3000).ok());
  EXPECT_GT(late.round_trip_s(), 0.9);
  taker.join();
  listener.close();
  Client refused("127.0.0.1", port);
  EXPECT_FALSE(refused.connect(3000).ok());
  EXPECT_TRUE(refused.heard_at()) << "its machine spoke";
}

TEST_F(HttpTest, RefusalComesBeforeTheBodyIsRead) {
  start();
  Client client = this->client();
  const std::vector<std::uint8_t> body(200'000);
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.send({"POST", "/refuse", {}, body}, {});
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->status, 403);
    EXPECT_EQ(answer->body, text_bytes("no"));
  }
  EXPECT_EQ(server->counters().bytes_in, 0u);
}

TEST_F(HttpTest, ApplicationCanRefuseInTheMiddleOfABody) {
  start();
  Client client = this->client();
  const auto answer = client.send({"POST", "/toolong", {}, std::vector<std::uint8_t>(400'000)}, {});
  ASSERT_TRUE(answer.ok()) << answer.error().to_string();
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpTest, AnswerAboveTheLimitIsRefusedByTheClient) {
  start();
  Client client = this->client();
  const auto answer = client.send({"POST", "/echo", {}, std::vector<std::uint8_t>(100'000)}, {.max_answer_bytes = 99'999});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kTooLarge);
}

TEST_F(HttpTest, AnswerMayComeFromAnotherThreadLater) {
  start();
  std::jthread answerer([this] {
    ASSERT_TRUE(holds());
    std::this_thread::sleep_for(30ms);
    const std::lock_guard lock(app->mutex);
    app->held({200, "", {}, text_bytes("late")});
    app->held({200, "", {}, text_bytes("twice")});
  });
  Client client = this->client();
  const auto answer = client.send({"POST", "/hold", {}, text_bytes("x")}, {});
  ASSERT_TRUE(answer.ok()) << answer.error().to_string();
  EXPECT_EQ(answer->body, text_bytes("late"));
  EXPECT_GE(answer->response_s, 0.03);
}

TEST_F(HttpTest, PeerThatLeavesIsNoticed) {
  start();
  {
    Raw peer(server->port());
    peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    ASSERT_TRUE(holds());
  }
  EXPECT_TRUE(eventually([this] { return app->cancellations == 1; }));
  app->held({200, "", {}, {}});  // harmless
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
}

TEST_F(HttpTest, PeerThatLeavesIsNoticedBehindBytesOfANextRequest) {
  start();
  {
    Raw peer(server->port());
    peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /e");
    ASSERT_TRUE(holds());
  }
  EXPECT_TRUE(eventually([this] { return app->cancellations == 1; }));
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
}

TEST_F(HttpTest, WhoSendsRequestsAheadGetsAllAnswersInOrder) {
  start();
  // More ahead than is taken in while the first answer is made.
  for (const std::size_t size : {5, 20'000, 300'000}) {
    Raw peer(server->port());
    const std::string body(size, 'b');
    peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    ASSERT_TRUE(holds());
    std::jthread sender([&] {
      peer.send("POST /echo HTTP/1.1\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + body);
      peer.send("POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast");
    });
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(app->cancellations, 0);
    app->held({200, "", {}, text_bytes("first")});
    const std::string answers = peer.read_all();
    const auto first = answers.find("first"), second = answers.find(body), last = answers.find("last");
    EXPECT_LT(first, second);
    EXPECT_LT(second, last);
    EXPECT_NE(last, std::string::npos) << size;
    app->held = nullptr;
  }
}

TEST_F(HttpTest, ARequestMayBeginWhileAnAnswerIsMadeAndEndLater) {
  start();
  Raw peer(server->port());
  peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nxPOST /echo HTTP/1.1\r\nConnection: cl");
  ASSERT_TRUE(holds());
  app->held({200, "", {}, text_bytes("first")});
  std::this_thread::sleep_for(20ms);
  peer.send("ose\r\nContent-Length: 4\r\n\r\nlast");
  EXPECT_TRUE(peer.read_all().ends_with("last"));
}

TEST_F(HttpTest, WhoRestsAfterAnAnswerIsTimedOut) {
  start({.header_timeout_ms = 50});
  Raw peer(server->port());
  peer.send("POST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_TRUE(peer.read_all().ends_with("x")) << "and then the server closes";
  EXPECT_EQ(server->counters().timeouts, 1u);
  EXPECT_EQ(app->cancellations, 0) << "it had its answer";
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
}

TEST_F(HttpTest, ClientTimesOutAndCanBeStopped) {
  start();
  Client client = this->client();
  const auto late = client.send({"POST", "/hold", {}, text_bytes("x")}, {.total_timeout_ms = 50});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::kTimeout);

  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(50ms);
    source.request_stop();
  });
  const auto stopped = client.send({"POST", "/hold", {}, text_bytes("x")}, {}, source.get_token());
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(eventually([this] { return app->cancellations == 2; }));
}

TEST_F(HttpTest, ClientNamesWhatFailed) {
  start();
  Client nobody("127.0.0.1", 1);
  EXPECT_EQ(nobody.send({}, {}).error().code, ErrorCode::kUnavailable);
  Client nonsense("no address", 1);
  EXPECT_EQ(nonsense.send({}, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(HttpTest, KeptConnectionThatTheServerClosedIsMadeAnew) {
  start({.header_timeout_ms = 50});
  Client client = this->client();
  ASSERT_TRUE(client.send({}, {}).ok());
  ASSERT_TRUE(eventually([this] { return server->counters().connections == 0; }));
  ASSERT_TRUE(client.send({}, {}).ok());
  EXPECT_EQ(server->counters().accepted, 2u);
}

TEST_F(HttpTest, SlowHeadersAndSlowBodiesAreCutOff) {
  start({.header_timeout_ms = 100, .body_grace_ms = 100, .min_bytes_per_s = 1'000'000});
  Raw silent(server->port()), dripping(server->port()), slow_body(server->port());
  dripping.send("GET / HT");
  slow_body.send("POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\nx");
  std::jthread drip([&] {
    for (int i = 0; i < 20; ++i) {
      dripping.send("T");
      slow_body.send("x");
      std::this_thread::sleep_for(20ms);
    }
  });
  EXPECT_TRUE(eventually([this] { return server->counters().timeouts == 3; }));
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
  EXPECT_EQ(app->cancellations, 1);
}

TEST_F(HttpTest, ConnectionLimitsHoldAndFiveHundredIdlePeersDoNotStopAnHonestOne) {
  start({.max_connections = 520, .max_connections_per_address = 510});
  std::vector<std::unique_ptr<Raw>> idle;
  for (int i = 0; i < 500; ++i) {
    idle.push_back(std::make_unique<Raw>(server->port()));
    idle.back()->send("GET / HTTP/1.1\r\nX: ");
  }
  ASSERT_TRUE(eventually([this] { return server->counters().connections == 500; }));
  Client honest = client();
  const auto answer = honest.send({"POST", "/echo", {}, text_bytes("x")}, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_LT(answer->response_s, 1.0);
  for (int i = 0; i < 20; ++i) idle.push_back(std::make_unique<Raw>(server->port()));
  EXPECT_TRUE(eventually([this] { return server->counters().refused_connections >= 11; }));
}

TEST_F(HttpTest, AddressesOfOneNetworkShareALimitAndOthersAreNotConcerned) {
  start({.max_connections_per_address = 4, .max_connections_per_network = 10, .limit_loopback = true});
  std::vector<std::unique_ptr<Raw>> open;
  for (int i = 0; i < 30; ++i) open.push_back(std::make_unique<Raw>(server->port(), "127.0.5." + std::to_string(1 + i)));
  EXPECT_TRUE(eventually([this] { return server->counters().refused_connections == 20; }));
  EXPECT_EQ(server->counters().connections, 10u);
  Raw other(server->port(), "127.0.6.1");
  other.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(other.read_all().ends_with("ok"));
  // Who leaves makes room for the network again.
  open.clear();
  ASSERT_TRUE(eventually([this] { return server->counters().connections == 0; }));
  Raw again(server->port(), "127.0.5.99");
  again.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(again.read_all().ends_with("ok"));
}

// Connections cost nothing: whoever opens many of them and asks for nothing makes room for those who ask.
TEST_F(HttpTest, SilentConnectionsMakeRoomAndThoseInUseStay) {
  start({.max_connections = 16, .max_connections_per_address = 1000});
  Client honest = client();
  ASSERT_TRUE(honest.send({"POST", "/echo", {}, text_bytes("x")}, {}).ok());
  std::vector<std::unique_ptr<Raw>> silent;
  for (int i = 0; i < 100; ++i) {
    silent.push_back(std::make_unique<Raw>(server->port()));
    if (i % 2 == 0) silent.back()->send("GET / HTTP/1.1\r\nX: ");
  }
  ASSERT_TRUE(eventually([this] { return server->counters().accepted == 101; }));
  EXPECT_TRUE(eventually([this] { return server->counters().connections <= 16; }));
  const auto again = honest.send({"POST", "/echo", {}, text_bytes("x")}, {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->connect_s, 0) << "the connection that was in use had to be made anew";
  Client newcomer = client();
  EXPECT_TRUE(newcomer.send({"POST", "/echo", {}, text_bytes("x")}, {}).ok());
}

// An account of an ordinary asker costs nothing either: with many of them one could otherwise have every place.
TEST_F(HttpTest, OrdinaryAskersHoldHalfOfThePlacesAndLeaveRoom) {
  start({.max_connections = 16, .max_connections_per_address = 1000});
  const std::string ask = "POST /ordinary HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
  const auto ask_each = [&](std::vector<std::unique_ptr<Raw>>& peers) {
    int answered = 0;
    for (auto& peer : peers) {
      peer->send(ask);
      char buffer[512];
      answered += ::recv(peer->fd, buffer, sizeof buffer, 0) > 0 ? 1 : 0;
    }
    return answered;
  };
  std::vector<std::unique_ptr<Raw>> first, more;
  for (int i = 0; i < 16; ++i) first.push_back(std::make_unique<Raw>(server->port()));
  EXPECT_EQ(ask_each(first), 16) << "as long as there is room";
  Client honest = client();
  ASSERT_TRUE(honest.send({"POST", "/echo", {}, text_bytes("x")}, {}).ok());
  for (int i = 0; i < 40; ++i) {
    more.push_back(std::make_unique<Raw>(server->port()));
    more.back()->send(ask);
  }
  ASSERT_TRUE(eventually([this] { return server->counters().accepted == 57; }));
  EXPECT_TRUE(eventually([this] { return server->counters().connections <= 16; }));
  const auto again = honest.send({"POST", "/echo", {}, text_bytes("x")}, {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->connect_s, 0) << "the connection that was in use had to be made anew";
  EXPECT_EQ(ask_each(first), 8) << "half of all places are theirs";
  // Those who leave make room among their like, and who turns out to be more than ordinary is not counted there.
  first.clear();
  more.clear();
  ASSERT_TRUE(eventually([this] { return server->counters().connections == 1; }));
  for (int i = 0; i < 15; ++i) first.push_back(std::make_unique<Raw>(server->port()));
  EXPECT_EQ(ask_each(first), 15);
  first[0]->send("POST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
  char buffer[512];
  ASSERT_GT(::recv(first[0]->fd, buffer, sizeof buffer, 0), 0);
  for (int i = 0; i < 40; ++i) more.push_back(std::make_unique<Raw>(server->port()));
  ASSERT_TRUE(eventually([this] { return server->counters().accepted == 112 && server->counters().connections <= 16; }));
  EXPECT_EQ(ask_each(first), 8);
}

TEST_F(HttpTest, AnAnswerCanEndItsConnection) {
  start();
  Raw peer(server->port());
  std::string many;
  for (int i = 0; i < 20; ++i) many += "GET /enough HTTP/1.1\r\n\r\n";
  peer.send(many);
  const std::string answers = peer.read_all();
  EXPECT_EQ(server->counters().requests, 1u);
  Raw one(server->port());
  one.send("GET /enough HTTP/1.1\r\n\r\n");
  const std::string answer = one.read_all();
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("enough")) << answer;
}

TEST_F(HttpTest, NonsenseIsRefused) {
  start();
  const std::map<std::string, std::string> cases{
      {"\x16\x03\x01\x02garbage\r\n\r\n", "400"},
      {"GET / HTTP/9.9\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n", "431"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "411"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\n\r\n", "411"},
      {"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", "400"},
  };
  for (const auto& [request, status] : cases) {
    Raw peer(server->port());
    peer.send(request);
    EXPECT_EQ(peer.read_all().substr(0, 12), "HTTP/1.1 " + status) << request.substr(0, 40);
  }
  EXPECT_EQ(server->counters().bad_requests, cases.size()) << "each is counted";
}

TEST_F(HttpTest, FiveGigabytesAnnouncedCostNothing) {
  start();
  Raw peer(server->port());
  peer.send("POST /refuse HTTP/1.1\r\nContent-Length: 5368709120\r\n\r\n");
  const std::string answer = peer.read_all();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 403");
  EXPECT_EQ(server->counters().bytes_in, 0u);
}

TEST_F(HttpTest, ExpectContinueIsAnswered) {
  start();
  Raw peer(server->port());
  peer.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  char buffer[64];
  const auto got = ::recv(peer.fd, buffer, sizeof buffer, 0);
  ASSERT_GT(got, 0);
  EXPECT_EQ(std::string_view(buffer, static_cast<std::size_t>(got)).substr(0, 12), "HTTP/1.1 100");
  peer.send("ok");
  EXPECT_TRUE(peer.read_all().ends_with("ok"));
}

TEST_F(HttpTest, StopWaitsForWorkAndSurvivesLateAnswers) {
  start();
  std::jthread answerer([this] {
    ASSERT_TRUE(holds());
    std::jthread stopper([this] { server->stop(5000); });
    std::this_thread::sleep_for(100ms);
    app->held({200, "", {}, text_bytes("done")});
  });
  Client client = this->client();
  const auto answer = client.send({"POST", "/hold", {}, text_bytes("x")}, {});
  ASSERT_TRUE(answer.ok()) << answer.error().to_string();
  EXPECT_EQ(answer->body, text_bytes("done"));
  answerer.join();
  // An answer after the server is gone does nothing.
  delete std::exchange(server, nullptr);
  start();
  Raw peer(server->port());
  app->held = nullptr;
  peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
  ASSERT_TRUE(holds());
  delete std::exchange(server, nullptr);
  app->held({200, "", {}, {}});
}

TEST_F(HttpTest, PortInUseIsNamed) {
  start();
  const auto second = Server::start({.address = "127.0.0.1", .port = server->port()}, app);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(Server::start({.address = "nowhere"}, app).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::net
