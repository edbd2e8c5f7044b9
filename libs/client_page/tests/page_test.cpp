#include "brainlock/client_page/page.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "brainlock/net/client.hpp"
#include "desk.hpp"

namespace brainlock::client_page {
namespace {

using nlohmann::json;

constexpr std::size_t kInputBytes = 3 * 2 * 2;

/// Answers with the input's first value; is told how to fail.
struct Script {
  std::atomic<int> prepared{0}, asked{0};
  std::atomic<int> failing_preparations{0};
  std::atomic<bool> hold{false};          ///< questions wait
  std::atomic<bool> bad_input{false}, lost{false};
};
class ScriptedInference final : public Inference {
 public:
  explicit ScriptedInference(Script& script) : script_(script) {}
  Status prepare(const Report& report, std::stop_token) override {
    ++script_.prepared;
    report(Phase::kUploadingKeys, 1, 4);
    if (script_.failing_preparations > 0) {
      --script_.failing_preparations;
      return Error{ErrorCode::kUnavailable, "no miner <b>there</b> \xff"};
    }
    return {};
  }
  Result<Answer> ask(std::span<const float> input, const Report& report, std::stop_token stop) override {
    ++script_.asked;
    report(Phase::kWaiting, 0, 0);
    while (script_.hold && !stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (script_.bad_input) return Error{ErrorCode::kInvalidArgument, "not this one"};
    if (script_.lost) return Error{ErrorCode::kUnavailable, "gone"};
    Answer out;
    out.outputs = {input[0], std::numeric_limits<double>::quiet_NaN()};
    out.clear = {input[0], 1};
    out.question_sample = {1, 2, 255};
    out.response_s = 0.5;
    return out;
  }

 private:
  Script& script_;
};

struct PageTest : testing::Test {
  Script script;
  std::unique_ptr<Page> page;
  std::uint16_t port = 0;
  std::string token, proof;

  void start() {
    PageOptions options;
    options.model = "model";
    options.channels = 3;
    options.height = options.width = 2;
    options.classes = {"a", "b"};
    options.synthetic = [](std::uint64_t seed) { return std::vector<float>(kInputBytes, seed == 1 ? 0.5f : 7.0f); };
    page = std::move(Page::start(std::move(options), std::make_unique<ScriptedInference>(script))).value();
    const std::string url = page->url();
    port = static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
    token = url.substr(url.find('#') + 1, 32);
    proof = url.substr(url.find('#') + 33);
  }
  net::Headers with_token() const { return {{"X-Brainlock-Token", token}}; }
  net::Answer send(const std::string& method, const std::string& target, const net::Headers& headers, const std::vector<std::uint8_t>& body = {}) {
    net::Client client("127.0.0.1", port);
    auto answer = client.send({method, target, headers, body}, {});
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer ? std::move(*answer) : net::Answer{};
  }
  bool proves(const net::Answer& answer) const {
    return std::count_if(answer.headers.begin(), answer.headers.end(), [&](const auto& header) { return header.second == proof; }) == 1;
  }
  /// Of the state asked for under another host's name.
  int status_for_host(const std::string& host) const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string request = "GET /api/state HTTP/1.1\r\nHost: " + host + "\r\nX-Brainlock-Token: " + token + "\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(socket, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[512];
    for (ssize_t got; answer.size() < 12 && (got = ::recv(socket, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<std::size_t>(got));
    ::close(socket);
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
  }
  json get(const std::string& target) {
    const net::Answer answer = send("GET", target, with_token());
    EXPECT_EQ(answer.status, 200) << target;
    return json::parse(answer.body);
  }
  /// Waits for a phase; the state then.
  json wait_for(const std::string& phase, std::size_t asked = 0) {
    json state;
    for (int i = 0; i < 2'000; ++i) {
      state = get("/api/state");
      if (state["phase"] == phase && state["asked"].size() >= asked) return state;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ADD_FAILURE() << "never " << phase << ": " << state;
    return state;
  }
  net::Answer ask(std::uint8_t value) { return send("POST", "/api/ask", with_token(), std::vector<std::uint8_t>(kInputBytes, value)); }
};

TEST_F(PageTest, AQuestionIsAnsweredAndKept) {
  start();
  const json before = wait_for("ready");
  EXPECT_EQ(before["model"]["classes"], json({"a", "b"}));
  EXPECT_EQ(before["asking"], 0);
  const net::Answer taken = ask(51);
  EXPECT_EQ(taken.status, 202);
  EXPECT_EQ(json::parse(taken.body)["id"], 1);
  wait_for("ready", 1);
  const json answer = get("/api/answers/1");
  EXPECT_NEAR(answer["outputs"][0].get<double>(), 0.2, 1e-6);
  EXPECT_TRUE(answer["outputs"][1].is_null()) << "no number";
  EXPECT_EQ(answer["sample"], "0102ff");
  EXPECT_EQ(answer["input"].get<std::string>().substr(0, 4), "3333");
  EXPECT_EQ(answer["seconds"]["response"], 0.5);
  EXPECT_EQ(script.prepared, 1);
}

TEST_F(PageTest, OthersThanThePageGetNothing) {
  start();
  wait_for("ready");
  const std::vector<std::uint8_t> body(kInputBytes, 1);
  std::string wrong = token;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const net::Headers& headers : std::vector<net::Headers>{{}, {{"X-Brainlock-Token", ""}}, {{"X-Brainlock-Token", wrong}}, {{"X-Brainlock-Token", token + "0"}},
                                                              {{"X-Brainlock-Token", token}, {"X-Brainlock-Token", token}}}) {
    for (const char* target : {"/api/state", "/api/answers/1", "/api/synthetic/1"}) EXPECT_EQ(send("GET", target, headers).status, 403) << target;
    EXPECT_EQ(send("POST", "/api/ask", headers, body).status, 403);
    EXPECT_EQ(send("POST", "/api/retry", headers).status, 403);
  }
  EXPECT_EQ(script.asked, 0);
  // Another name that leads to this machine, with the token or without.
  EXPECT_EQ(status_for_host("127.0.0.1:" + std::to_string(port)), 200);
  EXPECT_EQ(status_for_host("localhost:" + std::to_string(port)), 200);
  const std::string here = "127.0.0.1:" + std::to_string(port);
  for (const std::string& host : std::vector<std::string>{"rebound.example:" + std::to_string(port), "127.0.0.1:1", "127.0.0.1", here + ".example", ""}) {
    EXPECT_EQ(status_for_host(host), 403) << host;
  }
  // The page itself is no secret, and may not be framed.
  const net::Answer page_itself = send("GET", "/", {});
  EXPECT_EQ(page_itself.status, 200);
  bool framed = true;
  for (const auto& [name, value] : page_itself.headers) framed = framed && value.find("frame-ancestors 'none'") == std::string::npos;
  EXPECT_FALSE(framed);
  EXPECT_EQ(std::string(page_itself.body.begin(), page_itself.body.end()).find(token), std::string::npos);
}

// Whoever takes the port later, or was there before, has never seen the second secret: it is said to those who have the token, and with every answer to them.
TEST_F(PageTest, ProvesItselfToWhomItAnswersAndToNobodyElse) {
  start();
  wait_for("ready");
  EXPECT_EQ(proof.size(), 32U);
  EXPECT_NE(proof, token);
  const net::Answer asked = ask(1);
  EXPECT_EQ(asked.status, 202);
  EXPECT_TRUE(proves(asked));
  wait_for("ready", 1);
  for (const char* target : {"/api/state", "/api/answers/1", "/api/answers/7", "/api/synthetic/1", "/api/nothing", "/api/ask"}) EXPECT_TRUE(proves(send("GET", target, with_token()))) << target;
  EXPECT_TRUE(proves(send("POST", "/api/retry", with_token())));
  EXPECT_TRUE(proves(send("POST", "/api/ask", with_token(), {1})));
  for (const char* target : {"/", "/api/state", "/api/nothing"}) {
    const net::Answer answer = send("GET", target, {{"X-Brainlock-Token", proof}});
    EXPECT_FALSE(proves(answer)) << target;
    EXPECT_EQ(std::string(answer.body.begin(), answer.body.end()).find(proof), std::string::npos) << target;
  }
}

TEST_F(PageTest, WhatIsNoQuestionIsRefused) {
  start();
  wait_for("ready");
  for (const std::size_t size : {std::size_t{0}, kInputBytes - 1, kInputBytes + 1, std::size_t{1} << 20}) {
    EXPECT_EQ(send("POST", "/api/ask", with_token(), std::vector<std::uint8_t>(size)).status, 400) << size;
  }
  EXPECT_EQ(send("GET", "/api/ask", with_token()).status, 405);
  EXPECT_EQ(send("DELETE", "/api/state", with_token()).status, 405);
  EXPECT_EQ(send("POST", "/", {}).status, 405);
  for (const char* target : {"/api/answers/", "/api/answers/x", "/api/answers/-1", "/api/answers/99999999999999999999999", "/api/answers/7", "/api/nothing", "/api/synthetic/"}) {
    EXPECT_EQ(send("GET", target, with_token()).status, 404) << target;
  }
  EXPECT_EQ(script.asked, 0);
  EXPECT_EQ(send("GET", "/api/synthetic/1", with_token()).body, std::vector<std::uint8_t>(kInputBytes, 128));
  EXPECT_EQ(send("GET", "/api/synthetic/2", with_token()).body, std::vector<std::uint8_t>(kInputBytes, 255)) << "beyond the range of a byte";
}

TEST_F(PageTest, OneQuestionAtATime) {
  start();
  wait_for("ready");
  script.hold = true;
  EXPECT_EQ(ask(1).status, 202);
  EXPECT_EQ(wait_for("waiting")["asking"], 1);
  EXPECT_EQ(ask(2).status, 409);
  script.hold = false;
  wait_for("ready", 1);
  EXPECT_EQ(ask(3).status, 202);
  wait_for("ready", 2);
}

TEST_F(PageTest, AnInputThatDoesNotSuitLeavesTheMinerAsItIs) {
  start();
  wait_for("ready");
  script.bad_input = true;
  EXPECT_EQ(ask(1).status, 202);
  wait_for("ready", 1);
  EXPECT_EQ(get("/api/answers/1")["error"], "not this one");
  EXPECT_EQ(script.prepared, 1);
}

TEST_F(PageTest, ALostMinerIsPreparedForAgain) {
  script.failing_preparations = 1;
  start();
  const json failed = wait_for("failed");
  EXPECT_EQ(failed["error"].get<std::string>().substr(0, 20), "no miner <b>there</b");
  EXPECT_EQ(ask(1).status, 409);
  EXPECT_NE(page->summary().find("no miner"), std::string::npos);
  EXPECT_EQ(send("POST", "/api/retry", with_token()).status, 200);
  wait_for("ready");
  EXPECT_EQ(script.prepared, 2);
  script.lost = true;
  EXPECT_EQ(ask(1).status, 202);
  wait_for("ready", 1);
  EXPECT_EQ(get("/api/answers/1")["error"], "gone");
  EXPECT_EQ(script.prepared, 3);
}

// A miner that takes every part of the keys and then has none would otherwise be sent them again and again, for as long as the page is open.
TEST(DeskTest, APageThatIsLeftOpenTriesLessAndLessOften) {
  Script script;
  script.failing_preparations = 1'000'000;
  const auto begun = std::chrono::steady_clock::now();
  {
    Desk desk(std::make_unique<ScriptedInference>(script), std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  const double passed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count();
  // The n-th try comes after 10 (2^(n - 1) - 1) ms at the earliest.
  EXPECT_LE(script.prepared, 1 + static_cast<int>(std::log2(1 + passed_ms / 10)));
  EXPECT_GE(script.prepared, 1);
}

TEST_F(PageTest, EndsInTheMiddleOfAQuestion) {
  start();
  wait_for("ready");
  script.hold = true;
  EXPECT_EQ(ask(1).status, 202);
  wait_for("waiting");
  page.reset();
}

TEST_F(PageTest, OldAnswersMakeRoom) {
  start();
  wait_for("ready");
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(ask(static_cast<std::uint8_t>(i)).status, 202);
    while (get("/api/state")["asking"] != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    wait_for("ready");
  }
  const json asked = get("/api/state")["asked"];
  EXPECT_EQ(asked.size(), 24U);
  EXPECT_EQ(asked.back(), 30);
  EXPECT_EQ(send("GET", "/api/answers/1", with_token()).status, 404);
}

TEST(PagePort, OnThisMachineAloneAndSaidIfTaken) {
  Script script;
  PageOptions options;
  const auto first = std::move(Page::start(options, std::make_unique<ScriptedInference>(script))).value();
  const std::string url = first->url();
  EXPECT_EQ(url.find("http://127.0.0.1:"), 0U);
  options.port = static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
  const auto second = Page::start(options, std::make_unique<ScriptedInference>(script));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace brainlock::client_page
