// What the server tells browsers, over real sockets: beside the application's answers and its own.
#include <gtest/gtest.h>

#include "echo.hpp"

namespace brainlock::net {
namespace {

constexpr std::string_view kNames = "x-test, x-other";

struct BrowserAnswers : testing::Test {
  void start(const std::vector<std::string>& origins) {
    ServerOptions options{.address = "127.0.0.1"};
    options.browsers = {BrowserOrigins::parse(origins).value(), std::string(kNames)};
    server = Server::start(options, app).value();
  }
  /// The answer to a request that ends its connection, as text.
  std::string answer(const std::string& line, const std::string& headers, const std::string& body = {}) const {
    Raw peer(server->port());
    peer.send(line + " HTTP/1.1\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
    return peer.read_all();
  }
  static bool says(const std::string& answer, const std::string& line) { return answer.substr(0, answer.find("\r\n\r\n") + 2).find("\r\n" + line + "\r\n") != std::string::npos; }
  static bool tells(const std::string& answer, const std::string& origin) {
    return says(answer, "Access-Control-Allow-Origin: " + origin) && says(answer, "Access-Control-Expose-Headers: " + std::string(kNames)) && says(answer, "Vary: Origin") == (origin != "*");
  }
  static bool silent(const std::string& answer) { return answer.starts_with("HTTP/1.1 ") && answer.find("Access-Control") == std::string::npos && answer.find("Vary") == std::string::npos; }

  std::shared_ptr<Echo> app = std::make_shared<Echo>();
  std::unique_ptr<Server> server;
};

TEST_F(BrowserAnswers, EveryAnswerToAPageSaysSo) {
  start({"https://a.example", "http://localhost:8000"});
  const std::string page = "Origin: https://a.example\r\n";
  for (const std::string target : {"/echo", "/refuse", "/enough"}) {
    const auto got = answer("POST " + target, page, "body");
    EXPECT_TRUE(tells(got, "https://a.example")) << got;
    EXPECT_EQ(got.find("Access-Control-Allow-Credentials"), std::string::npos) << got;
  }
  EXPECT_TRUE(tells(answer("POST /toolong", page, std::string(200'000, 'x')), "https://a.example")) << "in the middle of a body";
  EXPECT_TRUE(tells(answer("GET /echo", "Origin: http://localhost:8000\r\n"), "http://localhost:8000"));
  // Of the server's own the page hears, too, as far as it is known whose request it was.
  Raw chunked(server->port());
  chunked.send("POST /echo HTTP/1.1\r\nOrigin: https://a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  const auto refused = chunked.read_all();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 411 ")) << refused;
  EXPECT_TRUE(tells(refused, "https://a.example")) << refused;
}

TEST_F(BrowserAnswers, TheApplicationHearsWhoIsToldOf) {
  start({"https://a.example"});
  (void)answer("GET /echo", "Origin: https://a.example\r\n");
  EXPECT_EQ(app->last.allowed_origin, "https://a.example");
  (void)answer("GET /echo", "Origin: https://b.example\r\n");
  EXPECT_EQ(app->last.allowed_origin, "");
}

TEST_F(BrowserAnswers, OthersAndWhoIsNoPageAreToldNothing) {
  start({"https://a.example"});
  for (const std::string headers : {"", "Origin: https://b.example\r\n", "Origin: null\r\n", "Origin:\r\n", "Origin: *\r\n", "Origin: https://a.example/\r\n",
                                    "Origin: https://a.example\r\nOrigin: https://b.example\r\n", "Origin: https://a.example\r\nOrigin: https://a.example\r\n"}) {
    for (const std::string target : {"/echo", "/refuse"}) {
      const auto got = answer("POST " + target, headers, "body");
      EXPECT_TRUE(silent(got)) << headers << got;
    }
  }
}

TEST_F(BrowserAnswers, HostileOriginsAreNotRepeated) {
  start({"https://a.example"});
  const auto long_one = answer("GET /echo", "Origin: https://a.example" + std::string(15'000, 'a') + "\r\n");
  EXPECT_TRUE(long_one.starts_with("HTTP/1.1 200 ") && silent(long_one)) << long_one;
  const auto too_long = answer("GET /echo", "Origin: https://a.example" + std::string(20'000, 'a') + "\r\n");
  EXPECT_TRUE(too_long.starts_with("HTTP/1.1 431 ") && silent(too_long)) << "the limit of headers stays";
  // A line break ends the header; what is behind it is another one, or none at all.
  const auto split = answer("GET /echo", "Origin: https://b.example\r\nX-Injected: yes\r\n");
  EXPECT_TRUE(silent(split) && split.find("Injected") == std::string::npos) << split;
  const auto folded = answer("GET /echo", "Origin: https://a.example\r\n X-Injected: yes\r\n");
  EXPECT_TRUE(silent(folded) && folded.find("Injected") == std::string::npos) << folded;
  for (const std::string& end : {std::string("\r"), std::string("\n"), std::string(1, '\0')}) {
    const auto got = answer("GET /echo", "Origin: https://a.example" + end + "X-Injected: yes\r\n");
    EXPECT_TRUE(silent(got) && got.find("Injected") == std::string::npos) << got;
  }
}

TEST_F(BrowserAnswers, OneRequestsPageIsNotTheNextOnes) {
  start({"https://a.example", "https://b.example"});
  Raw peer(server->port());
  peer.send("GET /echo HTTP/1.1\r\nOrigin: https://a.example\r\n\r\n"
            "GET /echo HTTP/1.1\r\nOrigin: https://c.example\r\n\r\n"
            "GET /echo HTTP/1.1\r\n\r\n"
            "GET /echo HTTP/1.1\r\nOrigin: https://b.example\r\n\r\nnonsense\r\n\r\n");
  const std::string all = peer.read_all();
  std::vector<std::string> answers;
  for (std::size_t at = all.find("HTTP/1.1 "); at != std::string::npos;) {
    const std::size_t next = all.find("HTTP/1.1 ", at + 1);
    answers.push_back(all.substr(at, next - at));
    at = next;
  }
  ASSERT_EQ(answers.size(), 5u) << all;
  EXPECT_TRUE(tells(answers[0], "https://a.example")) << answers[0];
  for (const std::size_t i : {1, 2, 4}) EXPECT_TRUE(silent(answers[i])) << answers[i];
  EXPECT_TRUE(tells(answers[3], "https://b.example")) << answers[3];
  EXPECT_TRUE(answers[4].starts_with("HTTP/1.1 400 ")) << "nobody knows whose that was";
}

TEST_F(BrowserAnswers, AStarSaysAStar) {
  start({"*"});
  for (const std::string origin : {"https://a.example", "null", "https://evil.example"}) {
    const auto got = answer("GET /echo", "Origin: " + origin + "\r\n");
    EXPECT_TRUE(tells(got, "*")) << got;
  }
  EXPECT_TRUE(silent(answer("GET /echo", "")));
}

TEST_F(BrowserAnswers, WithoutOriginsThereIsNoWordForBrowsers) {
  start({});
  for (const std::string line : {"GET /echo", "OPTIONS /echo", "GET /refuse"}) {
    const auto got = answer(line, "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n");
    EXPECT_TRUE(silent(got)) << got;
  }
}

// A 204 has no body, and RFC 9110 (8.6) has no length for it either.
TEST_F(BrowserAnswers, NoContentHasNoLengthAndKeepsItsConnection) {
  start({"https://a.example"});
  Raw peer(server->port());
  peer.send("GET /nothing HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast");
  const std::string all = peer.read_all();
  const std::string first = all.substr(0, all.find("\r\n\r\n"));
  EXPECT_TRUE(first.starts_with("HTTP/1.1 204 ")) << all;
  EXPECT_EQ(first.find("Content-Length"), std::string::npos) << first;
  EXPECT_TRUE(all.ends_with("last")) << all;
  Client client("127.0.0.1", server->port());
  for (int i = 0; i < 2; ++i) {
    const auto got = client.send({"GET", "/nothing", {}, {}}, {});
    ASSERT_TRUE(got.ok()) << got.error().to_string();
    EXPECT_EQ(got->status, 204);
    EXPECT_TRUE(got->body.empty());
  }
  EXPECT_EQ(server->counters().accepted, 2u);
}

}  // namespace
}  // namespace brainlock::net
