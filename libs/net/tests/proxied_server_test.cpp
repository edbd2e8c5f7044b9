// A server behind a proxy, over real sockets: whose its connections are, what they count for, and what it makes of those that do not say it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "brainlock/net/proxy_header.hpp"
#include "echo.hpp"
#include "proxy_bytes.hpp"

namespace brainlock::net {
namespace {

constexpr std::string_view kAsk = "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

struct ProxiedServer : testing::Test {
  /// The proxy is 127.0.0.1; other addresses of this machine are not.
  void start(ServerOptions options = {}) {
    options.address = "127.0.0.1";
    options.proxies = AddressNetworks::parse(std::vector<std::string>{"127.0.0.1"}).value();
    options.log = [this](EventLevel level, std::string_view event, const EventFields& fields) {
      const std::lock_guard lock(mutex);
      std::string line(event);
      for (const auto& [name, value] : fields) line.append(" ").append(name).append("=").append(value);
      (level == EventLevel::kWarning ? warnings : others).push_back(line);
    };
    server = std::move(Server::start(options, app)).value();
  }
  /// The answer to a connection that sends these bytes.
  std::string answer(const std::string& bytes, const std::string& from = "127.0.0.1") const {
    const Raw peer(server->port(), from);
    peer.send(bytes);
    return peer.read_all();
  }
  /// Whether a connection that the proxy passes on from there is served.
  bool served(const std::string& ip) const { return answer(proxied_from(ip) + std::string(kAsk)).ends_with("ok"); }
  std::string last_ip() {
    const std::lock_guard lock(app->mutex);
    return app->last.peer_ip;
  }
  std::vector<std::string> told() {
    const std::lock_guard lock(mutex);
    return warnings;
  }

  std::shared_ptr<Echo> app = std::make_shared<Echo>();
  std::mutex mutex;
  std::vector<std::string> warnings, others;
  std::unique_ptr<Server> server;   // last: it logs until it is gone
};

TEST_F(ProxiedServer, AConnectionIsOfTheAddressInItsHeader) {
  start();
  const std::pair<std::string, std::string> cases[] = {{proxied_from("192.0.2.1"), "192.0.2.1"},
                                                       {proxied_from("2001:db8::1", "\x04\x00\x01z"), "2001:db8::1"},
                                                       {proxied_from("::ffff:192.0.2.7"), "192.0.2.7"},
                                                       {"PROXY TCP4 192.0.2.2 192.0.2.3 1 2\r\n", "192.0.2.2"},
                                                       {"PROXY TCP6 2001:db8::2 ::1 1 2\r\n", "2001:db8::2"},
                                                       {"PROXY UNKNOWN\r\n", "127.0.0.1"},
                                                       {own_proxy_header(), "127.0.0.1"}};
  for (const auto& [header, ip] : cases) {
    const std::string got = answer(header + std::string(kAsk));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 ") && got.ends_with("ok")) << got;
    EXPECT_EQ(last_ip(), ip);
  }
  EXPECT_EQ(server->counters().bad_proxy_headers, 0u);
  EXPECT_EQ(server->counters().bad_requests, 0u);
}

TEST_F(ProxiedServer, TheHeaderHoldsForAllRequestsOfItsConnectionAndForNoOther) {
  start();
  Client one("127.0.0.1", server->port()), other("127.0.0.1", server->port());
  one.begin_with(proxied_from("192.0.2.1"));
  other.begin_with(proxied_from("192.0.2.2"));
  for (int i = 0; i < 2; ++i) {
    for (Client* each : {&one, &other}) {
      ASSERT_TRUE(each->send({.method = "GET", .target = "/echo", .headers = {}, .body = {}}, {}).ok());
      EXPECT_EQ(last_ip(), each == &one ? "192.0.2.1" : "192.0.2.2");
    }
  }
  EXPECT_EQ(server->counters().accepted, 2u);
  one.close();
  ASSERT_TRUE(one.send({.method = "GET", .target = "/echo", .headers = {}, .body = {}}, {}).ok()) << "and a new connection begins so, too";
  EXPECT_EQ(last_ip(), "192.0.2.1");
}

TEST_F(ProxiedServer, BytesComeAsTheyLike) {
  start();
  for (const std::string& header : {proxied_from("192.0.2.1", std::string(40, '\x04')), std::string("PROXY TCP6 2001:db8::2 ::1 1 2\r\n")}) {
    const std::string all = header + std::string(kAsk);
    Raw peer(server->port());
    const int on = 1;
    ::setsockopt(peer.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    for (const char byte : all) {
      peer.send({&byte, 1});
      std::this_thread::sleep_for(500us);
    }
    EXPECT_TRUE(peer.read_all().ends_with("ok")) << header;
  }
  EXPECT_EQ(server->counters().bad_proxy_headers, 0u);
}

TEST_F(ProxiedServer, TlsBeginsBehindTheHeader) {
  const auto identity = make_tls_identity([](const TlsKeyHash& key) { return Result<std::vector<std::uint8_t>>(std::vector<std::uint8_t>(key.begin(), key.end())); }).value();
  start({.tls = identity});
  for (const std::string& header : {proxied_from("192.0.2.1"), std::string("PROXY TCP4 192.0.2.1 192.0.2.3 1 2\r\n")}) {
    Client secure("127.0.0.1", server->port(), [](const TlsKeyHash& key, std::span<const std::uint8_t> proof) { return std::equal(proof.begin(), proof.end(), key.begin(), key.end()); });
    secure.begin_with(header);
    const auto got = secure.send({.method = "POST", .target = "/echo", .headers = {}, .body = text_bytes("secret")}, {});
    ASSERT_TRUE(got.ok()) << got.error().to_string();
    EXPECT_EQ(got->body, text_bytes("secret"));
    EXPECT_EQ(last_ip(), "192.0.2.1");
  }
  EXPECT_TRUE(served("192.0.2.4")) << "and plain HTTP, on the same port";
  // A header inside of TLS is none.
  const std::size_t before = server->counters().bad_proxy_headers;
  EXPECT_EQ(answer("\x16\x03\x01\x02"), "");
  EXPECT_EQ(server->counters().bad_proxy_headers, before + 1);
}

TEST_F(ProxiedServer, StrangersMaySendNoHeader) {
  start();
  for (const std::string& header : {proxied_from("192.0.2.1"), std::string("PROXY TCP4 192.0.2.1 192.0.2.3 1 2\r\n"), own_proxy_header(), std::string("PROXY UNKNOWN\r\n")}) {
    const std::string got = answer(header + std::string(kAsk), "127.0.0.2");
    EXPECT_TRUE(got.empty() || got.starts_with("HTTP/1.1 400 ")) << got;
  }
  EXPECT_EQ(server->counters().requests, 0u) << "nothing reached the application";
  EXPECT_EQ(server->counters().bad_requests, 4u);
  EXPECT_TRUE(answer(std::string(kAsk), "127.0.0.2").ends_with("ok"));
  EXPECT_EQ(last_ip(), "127.0.0.2");
  EXPECT_TRUE(told().empty());
}

TEST_F(ProxiedServer, WithoutProxiesNobodyMay) {
  server = std::move(Server::start({.address = "127.0.0.1"}, app)).value();
  const std::string got = answer(proxied_from("192.0.2.1") + std::string(kAsk));
  EXPECT_TRUE(got.empty() || got.starts_with("HTTP/1.1 400 ")) << got;
  EXPECT_EQ(server->counters().requests, 0u);
}

TEST_F(ProxiedServer, WhatIsNoHeaderEndsTheConnectionWithItsReason) {
  start();
  const std::pair<std::string, std::string> cases[] = {
      {std::string(kAsk), "no_header"},
      {std::string("\x16\x03\x01\x02\x00", 5), "no_header"},
      {"PROXY UNKNOWN " + std::string(200, 'x'), "too_long"},
      {"PROXY TCP4 192.0.2.1 192.0.2.3 1 2\n" + std::string(kAsk), "bad_line"},
      {"PROXY TCP4 nobody 192.0.2.3 1 2\r\n" + std::string(kAsk), "bad_address"},
      {"PROXY TCP4 192.0.2.1 192.0.2.3 1 65536\r\n" + std::string(kAsk), "bad_port"},
      {version_2(0x11, 0x11, std::string(12, 'x')), "bad_version"},
      {version_2(0x2f, 0x11, std::string(12, 'x')), "bad_command"},
      {version_2(0x21, 0x4f, std::string(12, 'x')), "bad_family"},
      {version_2(0x21, 0x11, std::string(11, 'x')), "too_short"},
      {version_2(0x21, 0x11, std::string(12, 'x'), 65535), "too_long"}};
  std::vector<std::string> expected;
  for (const auto& [bytes, reason] : cases) {
    EXPECT_EQ(answer(bytes), "") << reason;
    expected.push_back("proxy_header reason=" + reason + " proxy=127.0.0.1");
    EXPECT_EQ(told(), expected);
    EXPECT_EQ(server->counters().bad_proxy_headers, expected.size());
  }
  {
    Raw half(server->port());
    half.send(proxied_from("192.0.2.1").substr(0, 20));
  }
  ASSERT_TRUE(eventually([&] { return server->counters().bad_proxy_headers == expected.size() + 1; }));
  EXPECT_EQ(told().back(), "proxy_header reason=closed proxy=127.0.0.1");
  // Who only looks whether somebody is there breaks no rule.
  const std::size_t before = told().size(), accepted = server->counters().accepted;
  { const Raw look(server->port()); }
  EXPECT_TRUE(eventually([&] { return server->counters().accepted == accepted + 1 && server->counters().connections == 0; }));
  EXPECT_EQ(told().size(), before);
  EXPECT_EQ(server->counters().bad_proxy_headers, expected.size() + 1);
  EXPECT_EQ(server->counters().requests, 0u);
  EXPECT_TRUE(served("192.0.2.1"));
}

TEST_F(ProxiedServer, AFloodOfThemIsToldOfNowAndThenAndCounted) {
  start();
  for (int i = 0; i < 200; ++i) (void)answer("x");
  EXPECT_EQ(server->counters().bad_proxy_headers, 200u);
  EXPECT_GE(told().size(), 50u);
  EXPECT_LT(told().size(), 80u);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(warnings.size() + others.size(), 200u);
}

// The limit is one for the whole header, and for the TLS greeting behind it.
TEST_F(ProxiedServer, AHeaderThatDoesNotComeInTimeIsNotWaitedFor) {
  start({.header_timeout_ms = 200});
  const Raw silent(server->port()), dripping(server->port());
  const auto begun = std::chrono::steady_clock::now();
  std::jthread drip([&] {
    const std::string header = proxied_from("192.0.2.1", std::string(500, '\x04'));
    for (std::size_t i = 0; i < 60; ++i) {
      dripping.send({&header[i], 1});
      std::this_thread::sleep_for(20ms);
    }
  });
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(dripping.read_all(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 900ms);
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
  EXPECT_EQ(server->counters().timeouts, 2u);
  EXPECT_EQ(told(), (std::vector<std::string>{"proxy_header reason=not_in_time proxy=127.0.0.1", "proxy_header reason=not_in_time proxy=127.0.0.1"}));
}

TEST_F(ProxiedServer, OpenConnectionsCountForTheAddressInTheHeader) {
  start({.max_connections_per_address = 3, .max_connections_per_network = 5});
  std::vector<std::unique_ptr<Raw>> open;
  /// Opens some more and waits until all have been judged: how many were closed.
  const auto open_from = [&](const std::string& ip, int count) {
    const std::size_t first = open.size();
    for (int i = 0; i < count; ++i) {
      open.push_back(std::make_unique<Raw>(server->port()));
      open.back()->send(proxied_from(ip) + "POST /echo HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    }
    int closed = 0;
    for (std::size_t i = first; i < open.size(); ++i) {
      char byte = 0;
      closed += ::recv(open[i]->fd, &byte, 1, 0) > 0 ? 0 : 1;   // who is let in is answered, and stays
    }
    return closed;
  };
  EXPECT_EQ(open_from("192.0.2.1", 5), 2) << "three of one address";
  EXPECT_EQ(open_from("192.0.2.2", 5), 3) << "five of its network";
  EXPECT_EQ(open_from("198.51.100.1", 3), 0) << "others are not concerned";
  EXPECT_EQ(open_from("2001:db8::1", 2), 0);
  EXPECT_EQ(open_from("2001:db8::2", 2), 1) << "one /64 is one address";
  EXPECT_EQ(server->counters().refused_connections, 6u);
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 11; }));
  EXPECT_FALSE(served("192.0.2.1"));
  EXPECT_TRUE(served("203.0.113.1"));
  open.clear();
  ASSERT_TRUE(eventually([this] { return server->counters().connections == 0; }));
  EXPECT_TRUE(served("192.0.2.1")) << "who leaves makes room";
}

TEST_F(ProxiedServer, NewConnectionsCountForTheAddressInTheHeader) {
  start({.connections_per_s_per_address = 1, .connections_per_s_per_network = 2, .connection_burst_s = 8});
  const auto served_of = [&](const std::string& ip, int tries) {
    int out = 0;
    for (int i = 0; i < tries; ++i) out += served(ip) ? 1 : 0;
    return out;
  };
  const int of_one = served_of("192.0.2.1", 30), of_network = served_of("192.0.2.2", 30);
  EXPECT_GE(of_one, 8);
  EXPECT_LE(of_one, 11);
  EXPECT_GE(of_network, 6) << "the network has twice as many";
  EXPECT_LE(of_network, 12);
  EXPECT_TRUE(served("198.51.100.1"));
}

// A proxy that passes on a connection of its own machine says so; everybody could have it say so, where it believes others in turn.
TEST_F(ProxiedServer, NoHeaderOpensWhatIsThisMachinesOwn) {
  start({.connections_per_s_per_address = 1, .connection_burst_s = 8});
  for (const std::string& header : {proxied_from("127.0.0.1"), proxied_from("::1"), proxied_from("::ffff:127.0.0.2"), std::string("PROXY TCP4 127.0.0.3 127.0.0.1 1 2\r\n")}) {
    int served = 0;
    for (int i = 0; i < 30; ++i) served += answer(header + std::string(kAsk)).ends_with("ok") ? 1 : 0;
    EXPECT_GE(served, 8) << header;
    EXPECT_LE(served, 11) << header;
  }
  // The proxy's own connections are this machine's here, and have no rate: it looks often whether we are well.
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(answer(own_proxy_header() + std::string(kAsk)).ends_with("ok")) << i;
}

TEST_F(ProxiedServer, TheProxysOwnConnectionsCountForItsAddress) {
  start({.connections_per_s_per_address = 1, .connection_burst_s = 8, .limit_loopback = true});
  for (const std::string& header : {own_proxy_header(), std::string("PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n")}) {
    int served = 0;
    for (int i = 0; i < 30; ++i) served += answer(header + std::string(kAsk)).ends_with("ok") ? 1 : 0;
    EXPECT_LE(served, 11) << header;
  }
  // And cost those whom it serves nothing.
  EXPECT_TRUE(served("192.0.2.1"));
}

TEST_F(ProxiedServer, WhileTheirHeadersHaveNotComeConnectionsOfAProxyAreNotOneAsker) {
  start({.max_connections = 100, .max_connections_per_address = 2, .connections_per_s_per_address = 1, .connection_burst_s = 2, .limit_loopback = true});
  std::vector<std::unique_ptr<Raw>> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(std::make_unique<Raw>(server->port()));
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 50; }));
  EXPECT_EQ(server->counters().refused_connections, 0u);
  EXPECT_TRUE(served("192.0.2.1"));
  // In all there are as many as ever: the oldest make room.
  for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<Raw>(server->port()));
  EXPECT_TRUE(eventually([this] { return server->counters().accepted == 151 && server->counters().connections <= 100; }));
  EXPECT_TRUE(served("192.0.2.2"));
  silent.clear();
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
}

// Requests were taken of an address, not of the proxy: who is known is the one, and no stranger's flood through the same proxy keeps it out.
TEST_F(ProxiedServer, WhoIsKnownIsKnownByTheAddressInTheHeader) {
  start({.connections_per_s_of_strangers = 1, .connection_burst_s = 8});
  ASSERT_TRUE(served("192.0.2.1"));
  int strangers = 0;
  for (int i = 0; i < 40; ++i) {
    const Raw peer(server->port());
    peer.send(proxied_from("198.51." + std::to_string(100 + i) + ".1") + "GET /refuse HTTP/1.1\r\nConnection: close\r\n\r\n");
    strangers += peer.read_all().empty() ? 0 : 1;
  }
  EXPECT_LE(strangers, 11);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(served("192.0.2.1")) << i;
}

TEST_F(ProxiedServer, StoppingDoesNotWaitForHeaders) {
  start();
  const Raw silent(server->port());
  ASSERT_TRUE(eventually([this] { return server->counters().connections == 1; }));
  const auto begun = std::chrono::steady_clock::now();
  server->stop(5'000);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
  EXPECT_EQ(silent.read_all(), "");
}

}  // namespace
}  // namespace brainlock::net
