// TLS on the port of plain HTTP: who is let in, who is believed, and that nothing else changes.
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "echo.hpp"

namespace brainlock::net {
namespace {

/// A "signature" for the test: the key's hash under a word.
std::vector<std::uint8_t> proof_of(const TlsKeyHash& key, std::uint8_t word) {
  std::vector<std::uint8_t> out(key.begin(), key.end());
  for (auto& byte : out) byte ^= word;
  return out;
}
TlsPeerCheck expects(std::uint8_t word) {
  return [word](const TlsKeyHash& key, std::span<const std::uint8_t> proof) {
    const auto expected = proof_of(key, word);
    return std::equal(proof.begin(), proof.end(), expected.begin(), expected.end());
  };
}
TlsIdentity identity(std::uint8_t word) {
  return make_tls_identity([word](const TlsKeyHash& key) { return Result<std::vector<std::uint8_t>>(proof_of(key, word)); }).value();
}

/// TLS over a socket of which every byte is in our hands.
struct RawTls {
  Raw raw;
  SSL_CTX* context = ::SSL_CTX_new(::TLS_client_method());
  SSL* ssl = ::SSL_new(context);
  explicit RawTls(std::uint16_t port) : raw(port) {
    ::SSL_set_fd(ssl, raw.fd);
    EXPECT_EQ(::SSL_connect(ssl), 1);
  }
  ~RawTls() {
    ::SSL_free(ssl);
    ::SSL_CTX_free(context);
  }
  void send(std::string_view text) const { EXPECT_EQ(::SSL_write(ssl, text.data(), static_cast<int>(text.size())), static_cast<int>(text.size())); }
  [[nodiscard]] std::string read_all() const {
    std::string out;
    char buffer[4096];
    for (int got; (got = ::SSL_read(ssl, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
    return out;
  }
};

struct TlsTest : testing::Test {
  void start(std::optional<TlsIdentity> tls, ServerOptions options = {}) {
    options.address = "127.0.0.1";
    options.tls = std::move(tls);
    server = std::move(Server::start(options, app)).value();
  }
  Client client(TlsPeerCheck check) { return Client("127.0.0.1", server->port(), std::move(check)); }
  std::shared_ptr<Echo> app = std::make_shared<Echo>();
  std::unique_ptr<Server> server;
};

TEST_F(TlsTest, CarriesWhatPlainHttpCarriesOnTheSamePort) {
  start(identity(1));
  auto secure = client(expects(1)), plain = client({});
  const std::vector<std::uint8_t> body(3'000'000, 7);
  for (Client* each : {&secure, &plain}) {
    auto answer = each->send({.method = "POST", .target = "/x", .headers = {}, .body = body}, {.max_answer_bytes = 4'000'000});
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->body, body);
    EXPECT_GT(answer->connect_s, 0);
    answer = each->send({.method = "POST", .target = "/x", .headers = {}, .body = body}, {.max_answer_bytes = 4'000'000});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->connect_s, 0) << "the connection is kept";
    answer = each->send({.method = "POST", .target = "/refuse", .headers = {}, .body = body}, {});
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->status, 403);
    answer = each->send({.method = "POST", .target = "/toolong", .headers = {}, .body = body}, {});
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->status, 413);
  }
}

TEST_F(TlsTest, AnotherServerIsNotBelieved) {
  start(identity(1));
  EXPECT_EQ(client(expects(2)).connect(2000).error().code, ErrorCode::kDenied);
  EXPECT_EQ(app->last.target, "") << "nothing was sent";
  // A certificate that was seen elsewhere, proof and all, with another key under it: the proof is for the key.
  const TlsIdentity honest = identity(1), thief = identity(9);
  EXPECT_EQ(Server::start({.address = "127.0.0.1", .tls = TlsIdentity{honest.certificate_pem, thief.key_pem}}, app).error().code, ErrorCode::kInvalidArgument);
  TlsKeyHash stolen{};
  auto watcher = client([&](const TlsKeyHash& key, std::span<const std::uint8_t>) { stolen = key; return true; });
  ASSERT_TRUE(watcher.connect(2000).ok());
  start(make_tls_identity([&](const TlsKeyHash&) { return Result<std::vector<std::uint8_t>>(proof_of(stolen, 1)); }).value());
  EXPECT_EQ(client(expects(1)).connect(2000).error().code, ErrorCode::kDenied);
}

TEST_F(TlsTest, NeverFallsBackToPlain) {
  start({});
  const auto connected = client(expects(1)).connect(2000);
  ASSERT_FALSE(connected.ok());
  EXPECT_EQ(app->last.target, "");
}

TEST_F(TlsTest, ProofsThatFailOrDoNotFitMakeNoCertificate) {
  EXPECT_EQ(make_tls_identity([](const TlsKeyHash&) { return Result<std::vector<std::uint8_t>>(ErrorCode::kDenied, "locked"); }).error().code, ErrorCode::kDenied);
  EXPECT_FALSE(make_tls_identity([](const TlsKeyHash&) { return Result<std::vector<std::uint8_t>>(std::vector<std::uint8_t>(5000)); }).ok());
  EXPECT_FALSE(make_tls_identity([](const TlsKeyHash&) { return Result<std::vector<std::uint8_t>>(std::vector<std::uint8_t>()); }).ok());
  EXPECT_NE(identity(1).certificate_pem, identity(1).certificate_pem);
}

TEST_F(TlsTest, GoingAwayCancels) {
  start(identity(1));
  auto secure = client(expects(1));
  std::stop_source stop;
  std::jthread leaver([&] {
    eventually([&] { const std::lock_guard lock(app->mutex); return static_cast<bool>(app->held); });
    stop.request_stop();
  });
  const std::vector<std::uint8_t> body(10);
  EXPECT_EQ(secure.send({.method = "POST", .target = "/hold", .headers = {}, .body = body}, {}, stop.get_token()).error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(eventually([&] { return app->cancellations == 1; }));
}

TEST_F(TlsTest, LeavingInGoodOrderIsNoticed) {
  start(identity(1));
  int left = 0;
  for (const bool bytes_ahead : {false, true}) {
    for (const bool socket_too : {false, true}) {
      const RawTls peer(server->port());
      peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
      ASSERT_TRUE(eventually([&] { const std::lock_guard lock(app->mutex); return static_cast<bool>(std::exchange(app->held, nullptr)); }));
      if (bytes_ahead) peer.send("G");
      ::SSL_shutdown(peer.ssl);  // says that it goes; the socket may stay open for the server's word
      if (socket_too) ::shutdown(peer.raw.fd, SHUT_RDWR);
      ++left;
      EXPECT_TRUE(eventually([&] { return app->cancellations == left; })) << bytes_ahead << socket_too;
    }
  }
  EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
}

// The server's goodbye is readable, as tickets are: a request that is put after it is lost.
TEST_F(TlsTest, AConnectionThatTheServerClosedIsNoticedBeforeARequestIsPutOnIt) {
  start(identity(1), {.header_timeout_ms = 300});
  const std::vector<std::uint8_t> body(10);
  auto secure = client(expects(1)), plain = client({});
  for (Client* each : {&secure, &plain}) {
    for (int i = 0; i < 3; ++i) {
      const auto answer = each->send({.method = "POST", .target = "/x", .headers = {}, .body = body}, {});
      ASSERT_TRUE(answer.ok()) << i << " " << answer.error().to_string();
      EXPECT_GT(answer->connect_s, 0) << i;
      const auto at_once = each->send({.method = "POST", .target = "/x", .headers = {}, .body = body}, {});
      ASSERT_TRUE(at_once.ok()) << at_once.error().to_string();
      EXPECT_EQ(at_once->connect_s, 0) << "tickets are no goodbye";
      EXPECT_TRUE(eventually([this] { return server->counters().connections == 0; }));
    }
  }
}

/// A server that says what it likes after its first answer, with every byte in our hands.
struct ScriptedTls {
  SSL_CTX* context = ::SSL_CTX_new(::TLS_server_method());
  Listener listener{4};
  const std::uint16_t port = listener.port;
  std::atomic<bool> said{false};
  std::jthread thread;
  ScriptedTls(const TlsIdentity& identity, std::function<void(SSL*)> then) {
    const auto pem = [](const std::string& text) { return ::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())); };
    BIO* certificate_text = pem(identity.certificate_pem);
    BIO* key_text = pem(identity.key_pem);
    X509* certificate = ::PEM_read_bio_X509(certificate_text, nullptr, nullptr, nullptr);
    EVP_PKEY* key = ::PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
    EXPECT_EQ(::SSL_CTX_use_certificate(context, certificate), 1);
    EXPECT_EQ(::SSL_CTX_use_PrivateKey(context, key), 1);
    ::X509_free(certificate);
    ::EVP_PKEY_free(key);
    ::BIO_free(certificate_text);
    ::BIO_free(key_text);
    thread = std::jthread([this, then = std::move(then)] {
      for (int peer; (peer = ::accept(listener.fd, nullptr, nullptr)) >= 0;) {
        SSL* ssl = ::SSL_new(context);
        ::SSL_set_fd(ssl, peer);
        char buffer[4096];
        if (::SSL_accept(ssl) == 1 && ::SSL_read(ssl, buffer, sizeof buffer) > 0) {
          const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
          ::SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
          then(ssl);
          said = true;
          while (::SSL_read(ssl, buffer, sizeof buffer) > 0) ::SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
        }
        ::SSL_free(ssl);
        ::close(peer);
      }
    });
  }
  ~ScriptedTls() {
    ::shutdown(listener.fd, SHUT_RDWR);   // ends the accepting
    thread.join();
    ::SSL_CTX_free(context);
  }
};

TEST(TlsClient, AGoodbyeEndsAConnectionThoughTheSocketStaysOpen) {
  const Request request{.method = "GET", .target = "/", .headers = {}, .body = {}};
  const auto again_after = [&](const std::function<void(SSL*)>& then) {
    ScriptedTls server(identity(1), then);
    Client client("127.0.0.1", server.port, expects(1));
    EXPECT_TRUE(client.send(request, {}).ok());
    EXPECT_TRUE(eventually([&] { return server.said.load(); }));
    std::this_thread::sleep_for(20ms);
    const auto again = client.send(request, {});
    EXPECT_TRUE(again.ok()) << again.error().to_string();
    return again.ok() && again->connect_s > 0;
  };
  EXPECT_FALSE(again_after([](SSL*) {})) << "kept";
  EXPECT_TRUE(again_after([](SSL* ssl) { ::SSL_shutdown(ssl); })) << "goodbye";
  EXPECT_FALSE(again_after([](SSL* ssl) {
    EXPECT_EQ(::SSL_new_session_ticket(ssl), 1);
    EXPECT_EQ(::SSL_do_handshake(ssl), 1);
  })) << "another ticket";
  EXPECT_FALSE(again_after([](SSL* ssl) {
    EXPECT_EQ(::SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    EXPECT_EQ(::SSL_do_handshake(ssl), 1);
  })) << "another key";
  EXPECT_TRUE(again_after([](SSL* ssl) { ::SSL_write(ssl, "HTTP/1.1 200 OK\r\n\r\n", 19); })) << "words that nobody asked for";
}

TEST_F(TlsTest, WhoSendsRequestsAheadGetsAllAnswersInOrder) {
  start(identity(1));
  int late = 0;
  for (const std::size_t size : {5, 5, 20'000, 20'000, 300'000}) {
    const RawTls peer(server->port());
    const std::string body(size, 'b');
    peer.send("POST /hold HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    ASSERT_TRUE(eventually([&] { const std::lock_guard lock(app->mutex); return static_cast<bool>(app->held); }));
    // The answer comes in the middle of these, or after them.
    const auto wait = late++ % 2 == 0 ? 0ms : 50ms;
    std::jthread answerer([&] { std::this_thread::sleep_for(wait); std::exchange(app->held, nullptr)({200, "", {}, std::vector<std::uint8_t>(200'000, 'a')}); });
    peer.send("POST /echo HTTP/1.1\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + body);
    peer.send("POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast");
    const std::string answers = peer.read_all();
    EXPECT_LT(answers.find(std::string(200'000, 'a')), answers.find(body));
    EXPECT_TRUE(answers.ends_with("last")) << size;
  }
  EXPECT_EQ(app->cancellations, 0);
}

// A handshake costs the server more than its peer: who begins too many is turned away before the first.
TEST_F(TlsTest, AFloodOfConnectionsIsCutOffBeforeItsHandshakes) {
  start(identity(1), {.connections_per_s_per_address = 1, .connections_per_s_per_network = 2, .connection_burst_s = 8, .limit_loopback = true});
  const auto greet = [&](const std::string& from) {
    const Raw peer(server->port(), from);
    peer.send(std::string("\x16\x03\x01\x00\x40\x01\x00\x00\x3c", 9) + std::string(60, '\x07'));
    return !peer.read_all().empty();  // an alert, or nothing at all
  };
  int greeted = 0;
  for (int i = 0; i < 50; ++i) greeted += greet("127.0.5.1") ? 1 : 0;
  EXPECT_GE(greeted, 8);
  EXPECT_LE(greeted, 12) << "eight at once and one a second";
  EXPECT_EQ(server->counters().refused_connections, 50u - static_cast<unsigned>(greeted));
  // Its network has twice as many for all its addresses, others are not concerned.
  int of_network = 0;
  for (int i = 0; i < 50; ++i) of_network += greet("127.0.5." + std::to_string(2 + i)) ? 1 : 0;
  EXPECT_GE(of_network, 4);
  EXPECT_LE(of_network, 16);
  EXPECT_TRUE(client(expects(1)).connect(2000).ok());
}

TEST_F(TlsTest, ManyNetworksAtOnceDoNotKeepOutThoseOfWhomRequestsWereTaken) {
  start(identity(1), {.connections_per_s_of_strangers = 2, .limit_loopback = true});
  const std::vector<std::uint8_t> body(10);
  auto known = client(expects(1));
  ASSERT_TRUE(known.send({.method = "POST", .target = "/x", .headers = {}, .body = body}, {}).ok());
  std::vector<std::unique_ptr<Raw>> strangers;
  for (int i = 0; i < 100; ++i) strangers.push_back(std::make_unique<Raw>(server->port(), "127.7." + std::to_string(i) + ".1"));
  EXPECT_TRUE(eventually([&] { return server->counters().refused_connections >= 80; }));
  for (int i = 0; i < 20; ++i) {
    auto again = client(expects(1));
    EXPECT_TRUE(again.send({.method = "POST", .target = "/x", .headers = {}, .body = body}, {}).ok());
  }
  EXPECT_EQ(Raw(server->port(), "127.8.0.1").read_all(), "") << "another stranger waits";
}

TEST_F(TlsTest, HalfAGreetingIsTimedOutAndGarbageEndsTheConnection) {
  start(identity(1), {.header_timeout_ms = 300});
  using namespace std::string_literals;
  const auto gone = [this] { return server->counters().connections == 0; };
  {
    Raw half(server->port());
    half.send("\x16\x03\x01\x02\x00"s);
    EXPECT_EQ(half.read_all(), "");
  }
  EXPECT_TRUE(eventually(gone));
  EXPECT_GE(server->counters().timeouts, 1u);
  {
    Raw garbage(server->port());
    garbage.send("\x16\x03\x01\x00\x40\x01\x00\x00\x3c"s + std::string(60, '\x07'));
    const std::string alert = garbage.read_all();
    EXPECT_TRUE(alert.empty() || alert[0] == 0x15) << alert;
  }
  EXPECT_TRUE(eventually(gone));
  // What only looks like TLS at first is no HTTP either.
  Raw other(server->port());
  other.send("\x16\x03\x01 / HTTP/1.1\r\n\r\n"s);
  EXPECT_TRUE(other.read_all().starts_with("HTTP/1.1 400"));
}

}  // namespace
}  // namespace brainlock::net
