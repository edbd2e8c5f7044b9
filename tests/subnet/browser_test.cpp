// A page in a browser asks a miner: what its browser asks beforehand, and what it must hear with each answer so that it lets the page have it.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "brainlock/miner/browser_access.hpp"
#include "brainlock/net/client.hpp"
#include "brainlock/protocol/tls_proof.hpp"
#include "fake_subnet.hpp"

namespace brainlock::test {
namespace {

using protocol::header_value;
using protocol::Refusal;
using protocol::RouteKind;

const std::string kPage = "https://app.example.org";

std::string text_of(const net::Answer& answer) { return {answer.body.begin(), answer.body.end()}; }
bool has_word_for_browsers(const net::Answer& answer) {
  return std::any_of(answer.headers.begin(), answer.headers.end(), [](const auto& header) { return header.first.starts_with("Access-Control-") || header.first == "Vary"; });
}
bool page_may_read(const net::Answer& answer, const std::string& page = kPage) {
  return header_value(answer.headers, "Access-Control-Allow-Origin") == page && header_value(answer.headers, "Vary") == "Origin" &&
         header_value(answer.headers, "Access-Control-Allow-Credentials").empty();
}
/// The headers of an answer that a browser gives to a page.
net::Headers as_the_page_sees(const net::Answer& answer) {
  const std::string exposed = ", " + std::string(header_value(answer.headers, "Access-Control-Expose-Headers")) + ",";
  net::Headers out;
  for (const auto& [name, value] : answer.headers) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (exposed.find(", " + lower + ",") != std::string::npos) out.emplace_back(name, value);
  }
  return out;
}

struct FromABrowser : testing::Test {
  TemporaryFolder folder;
  std::shared_ptr<FakeLedger> ledger = std::make_shared<FakeLedger>();
  Person self = person("page"), stranger = person("stranger");
  FakeTaskClient task{folder.path / "client"};
  miner::ServiceOptions options = fast_options();
  FakeMiner miner;
  std::unique_ptr<net::Client> client;

  void start(const std::vector<std::string>& origins, bool tls = false) {
    ledger->add(self.account(), true, 1000);
    MinerExtras extras;
    extras.server.browsers = miner::browser_access(origins).value();
    miner = start_miner("miner", ledger, std::make_unique<FakeEngine>(), folder.path, options, extras);
    net::TlsPeerCheck check;
    if (tls) check = [this](const auto& key, auto proof) { return protocol::check_tls_proof(miner.self.account(), key, proof); };
    client = std::make_unique<net::Client>("127.0.0.1", miner.server->port(), check);
  }
  net::Answer send(const std::string& method, const std::string& target, const net::Headers& headers, std::span<const std::uint8_t> body = {}) {
    auto answer = client->send({method, target, headers, body}, {});
    EXPECT_TRUE(answer.ok()) << answer.error().to_string();
    return answer.ok() ? *answer : net::Answer{};
  }
  net::Answer preflight(const std::string& target, const std::string& method = "GET", const std::string& page = kPage) {
    return send("OPTIONS", target, {{"Origin", page}, {"Access-Control-Request-Method", method}, {"Access-Control-Request-Headers", "brainlock-signature,epistula-uuid"}});
  }
  protocol::Route route(RouteKind kind) const {
    protocol::Route out;
    out.kind = kind;
    out.package = kPackage;
    out.key = task.key_id();
    out.uuid = "0b9d1e4a-3a4f-4c59-9d0b-1f2b6d2f7c11";
    return out;
  }
  /// A page's request with its preflight. The answer must be proved by what the page sees of it.
  net::Answer ask(const Person& who, const protocol::Route& to, std::span<const std::uint8_t> body = {}) {
    const std::string method(protocol::route_method(to.kind)), target = protocol::route_target(to);
    EXPECT_EQ(preflight(target, method).status, 204);
    protocol::BodyHasher hasher;
    hasher.update(body);
    const auto request = protocol::sign_request(who.signer, miner.self.account(), method, target, hasher.finish(), client::system_wall_clock()()).value();
    auto headers = request.headers;
    headers.emplace_back("Origin", kPage);
    const auto answer = send(method, target, headers, body);
    EXPECT_TRUE(page_may_read(answer)) << text_of(answer);
    protocol::BodyHasher of_answer;
    of_answer.update(answer.body);
    const Status proved = protocol::check_answer(request, who.account(), answer.status, as_the_page_sees(answer), of_answer.finish(), client::system_wall_clock()());
    EXPECT_TRUE(proved.ok()) << proved.error().to_string();
    return answer;
  }
};

TEST_F(FromABrowser, AsksUploadsAndIsAnsweredWithProof) {
  start({kPage});
  std::ifstream in(task.key_file(), std::ios::binary);
  const Bytes key((std::istreambuf_iterator<char>(in)), {});
  for (std::size_t at = 0; at < key.size(); at += 50'000) {
    auto to = route(RouteKind::kKeyPart);
    to.offset = at;
    to.total = key.size();
    EXPECT_EQ(ask(self, to, std::span(key).subspan(at, 50'000)).status, 200);
  }
  EXPECT_EQ(ask(self, route(RouteKind::kKeyState)).status, 200);
  EXPECT_EQ(ask(self, route(RouteKind::kStatus)).status, 200);
  const std::vector<float> input(kInputs, 0.5F);
  const auto answer = ask(self, route(RouteKind::kInfer), *task.encrypt(input));
  ASSERT_EQ(answer.status, 200) << text_of(answer);
  EXPECT_EQ(*task.decrypt(answer.body), fake_model(input));
  EXPECT_EQ(ask(self, route(RouteKind::kProgress)).status, 200);
  EXPECT_NE(miner.service->metrics(nullptr).find("brainlock_miner_requests_total{route=\"preflight\",outcome=\"ok\"} 8\n"), std::string::npos);
}

TEST_F(FromABrowser, PreflightsOfEveryPathAreAnsweredAndTouchNothing) {
  ledger->away = true;
  start({kPage, "http://localhost:8000"});
  for (const auto kind : {RouteKind::kStatus, RouteKind::kKeyState, RouteKind::kKeyPart, RouteKind::kInfer, RouteKind::kProgress}) {
    const auto answer = preflight(protocol::route_target(route(kind)), std::string(protocol::route_method(kind)));
    EXPECT_EQ(answer.status, 204);
    EXPECT_TRUE(page_may_read(answer));
    EXPECT_TRUE(answer.body.empty());
    EXPECT_EQ(header_value(answer.headers, "Access-Control-Allow-Methods"), "GET, PUT, POST");
    EXPECT_EQ(header_value(answer.headers, "Access-Control-Allow-Headers"),
              "epistula-version, epistula-timestamp, epistula-uuid, epistula-signed-by, epistula-signed-for, epistula-request-signature, brainlock-body-sha256, brainlock-signature, content-type");
    EXPECT_EQ(header_value(answer.headers, "Access-Control-Max-Age"), "7200");
    EXPECT_EQ(header_value(answer.headers, "Access-Control-Allow-Private-Network"), "");
  }
  EXPECT_TRUE(page_may_read(preflight("/v1/status", "GET", "http://localhost:8000"), "http://localhost:8000"));
  const auto near = send("OPTIONS", "/v1/status", {{"Origin", kPage}, {"Access-Control-Request-Method", "GET"}, {"Access-Control-Request-Private-Network", "true"}});
  EXPECT_EQ(near.status, 204);
  EXPECT_EQ(header_value(near.headers, "Access-Control-Allow-Private-Network"), "true");
}

TEST_F(FromABrowser, PreflightsOfOtherPagesAndOfNothingOfOursAreRefused) {
  start({kPage});
  for (const std::string page : {"https://evil.example", "https://app.example.org:8443", "http://app.example.org", "null"}) {
    const auto answer = preflight("/v1/status", "GET", page);
    EXPECT_EQ(answer.status, 405);
    EXPECT_FALSE(has_word_for_browsers(answer)) << page;
  }
  EXPECT_EQ(send("OPTIONS", "/v1/status", {{"Access-Control-Request-Method", "GET"}}).status, 405) << "no page";
  const auto no_preflight = send("OPTIONS", "/v1/status", {{"Origin", kPage}});
  EXPECT_EQ(no_preflight.status, 405);
  EXPECT_TRUE(page_may_read(no_preflight));
  const Bytes body(10);
  const auto with_body = send("OPTIONS", "/v1/status", {{"Origin", kPage}, {"Access-Control-Request-Method", "GET"}}, body);
  EXPECT_EQ(with_body.status, 405) << "a preflight has no body";
  const auto elsewhere = preflight("/metrics");
  EXPECT_EQ(elsewhere.status, 404);
  EXPECT_TRUE(page_may_read(elsewhere));
  EXPECT_EQ(header_value(elsewhere.headers, "Access-Control-Allow-Methods"), "");
}

TEST_F(FromABrowser, ReadsEveryRefusal) {
  start({kPage});
  const auto refusal_of = [&](const net::Answer& answer) {
    EXPECT_TRUE(page_may_read(answer)) << text_of(answer);
    return protocol::parse_refusal(text_of(answer)).refusal;
  };
  const std::string target = protocol::route_target(route(RouteKind::kKeyState));
  EXPECT_EQ(refusal_of(send("GET", target, {{"Origin", kPage}})), Refusal::kMissingHeader) << "to be an allowed page is no right";
  EXPECT_EQ(refusal_of(send("GET", "/nothing", {{"Origin", kPage}})), Refusal::kNoSuchRoute);
  EXPECT_EQ(refusal_of(send("PUT", "/v1/status", {{"Origin", kPage}})), Refusal::kMethodNotAllowed);
  EXPECT_EQ(refusal_of(ask(stranger, route(RouteKind::kKeyState))), Refusal::kNotRegistered);
  EXPECT_EQ(refusal_of(ask(self, route(RouteKind::kInfer), Bytes(100))), Refusal::kUnknownKey);
  auto part = route(RouteKind::kKeyPart);
  part.total = 7;
  EXPECT_EQ(refusal_of(ask(self, part, Bytes(7))), Refusal::kMismatch);
  EXPECT_TRUE(miner.service->drain(1000));
  EXPECT_EQ(refusal_of(ask(self, route(RouteKind::kKeyState))), Refusal::kShuttingDown);
}

TEST_F(FromABrowser, ReadsThatTheLedgerIsAway) {
  ledger->away = true;
  start({kPage});
  const auto answer = ask(self, route(RouteKind::kKeyState));
  EXPECT_EQ(answer.status, 503) << text_of(answer);
}

TEST_F(FromABrowser, PreflightsCountAsRequestsOfTheirAddress) {
  options.requests_per_s_per_address = 5;
  start({kPage});
  int answered = 0;
  net::Answer last;
  for (int i = 0; i < 100 && last.status != 429; ++i) {
    last = preflight("/v1/status");
    answered += last.status == 204 ? 1 : 0;
  }
  EXPECT_EQ(last.status, 429);
  EXPECT_TRUE(page_may_read(last));
  EXPECT_EQ(header_value(last.headers, "Connection"), "close");
  EXPECT_GE(answered, 10) << "a burst";
}

TEST_F(FromABrowser, AnyPageMayReadWhereAllMay) {
  start({"*"});
  for (const std::string page : {"https://a.example", "http://localhost:3000", "null"}) {
    const auto asked = preflight("/v1/status", "GET", page), answer = send("GET", "/v1/status", {{"Origin", page}});
    EXPECT_EQ(asked.status, 204);
    EXPECT_EQ(answer.status, 200);
    for (const auto& got : {asked, answer}) {
      EXPECT_EQ(header_value(got.headers, "Access-Control-Allow-Origin"), "*");
      EXPECT_EQ(header_value(got.headers, "Vary"), "");
    }
  }
}

TEST_F(FromABrowser, WithoutTheOptionAllIsAsBefore) {
  start({});
  const auto asked = preflight("/v1/status");
  EXPECT_EQ(asked.status, 405);
  EXPECT_EQ(protocol::parse_refusal(text_of(asked)).refusal, Refusal::kMethodNotAllowed);
  EXPECT_FALSE(has_word_for_browsers(asked));
  EXPECT_FALSE(has_word_for_browsers(send("GET", "/v1/status", {{"Origin", kPage}})));
  EXPECT_FALSE(has_word_for_browsers(send("GET", "/nothing", {{"Origin", kPage}})));
}

TEST_F(FromABrowser, WhoIsNoPageHearsNothingOfBrowsers) {
  start({kPage});
  for (const net::Headers& headers : {net::Headers{}, net::Headers{{"Origin", "https://evil.example"}}, net::Headers{{"Origin", kPage}, {"Origin", "https://evil.example"}}}) {
    const auto status = send("GET", "/v1/status", headers), nowhere = send("GET", "/nothing", headers);
    EXPECT_EQ(status.status, 200);
    EXPECT_EQ(nowhere.status, 404);
    EXPECT_FALSE(has_word_for_browsers(status) || has_word_for_browsers(nowhere));
  }
}

TEST_F(FromABrowser, IsAnsweredOverTlsAlike) {
  start({kPage}, true);
  EXPECT_EQ(preflight("/v1/status").status, 204);
  EXPECT_EQ(ask(self, route(RouteKind::kStatus)).status, 200);
}

}  // namespace
}  // namespace brainlock::test
