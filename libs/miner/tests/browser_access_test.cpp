// What pages are told by name, against what the protocol has; and which requests are preflights.
#include "brainlock/miner/browser_access.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "brainlock/protocol/epistula.hpp"
#include "brainlock/protocol/routes.hpp"

namespace brainlock::miner {
namespace {

/// "a, b" as {"a", "b"}.
std::set<std::string> names_in(std::string_view list) {
  std::set<std::string> out;
  while (!list.empty()) {
    const auto comma = std::min(list.find(", "), list.size());
    out.emplace(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 2, list.size()));
  }
  return out;
}

std::set<std::string> lower_case_names(const protocol::Headers& headers) {
  std::set<std::string> out;
  for (auto [name, value] : headers) {
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    out.insert(name);
  }
  return out;
}

net::RequestHead preflight(const std::string& method = "GET") {
  net::RequestHead head;
  head.method = "OPTIONS";
  head.target = "/v1/status";
  head.headers = {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", method}};
  head.allowed_origin = "https://a.example";
  return head;
}

TEST(BrowserAccess, PagesMaySendEveryHeaderOfARequestAndReadEveryOneOfAnAnswer) {
  const auto signer = protocol::make_signer(crypto::Sr25519KeyPair::from_uri("//page").value().clone());
  const auto request = protocol::sign_request(signer, signer.account, "GET", "/v1/status", {}, 1'800'000'000'000);
  ASSERT_TRUE(request.ok());
  auto sent = lower_case_names(request->headers);
  sent.insert("content-type");
  EXPECT_EQ(names_in(protocol::header_value(answer_preflight(preflight())->headers, "Access-Control-Allow-Headers")), sent);
  const auto answer = protocol::sign_answer(signer, {signer.account, request->uuid, request->timestamp_ms, {}}, 200, {}, request->timestamp_ms);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(names_in(browser_access({})->answer_headers), lower_case_names(*answer));
}

TEST(BrowserAccess, PagesMayUseEveryMethodOfThePaths) {
  std::set<std::string> methods;
  for (const auto kind : {protocol::RouteKind::kStatus, protocol::RouteKind::kKeyState, protocol::RouteKind::kKeyPart, protocol::RouteKind::kInfer, protocol::RouteKind::kProgress}) {
    methods.emplace(protocol::route_method(kind));
  }
  EXPECT_EQ(names_in(protocol::header_value(answer_preflight(preflight())->headers, "Access-Control-Allow-Methods")), methods);
}

TEST(BrowserAccess, APreflightIsAnsweredWithoutABody) {
  const auto answer = answer_preflight(preflight("PUT"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 204);
  EXPECT_TRUE(answer->body.empty());
  EXPECT_FALSE(answer->close);
  EXPECT_EQ(protocol::header_value(answer->headers, "Access-Control-Max-Age"), "7200");
  EXPECT_EQ(answer->headers.size(), 3u) << "nothing else is granted";
}

TEST(BrowserAccess, APrivateNetworkIsNamedToWhoAsks) {
  auto head = preflight();
  head.headers.emplace_back("access-control-request-private-network", "true");
  EXPECT_EQ(protocol::header_value(answer_preflight(head)->headers, "Access-Control-Allow-Private-Network"), "true");
  head.headers.back().second = "false";
  EXPECT_EQ(answer_preflight(head)->headers.size(), 3u);
}

TEST(BrowserAccess, WhatIsNoPreflightOrOfAnotherPageIsNotAnswered) {
  auto other_page = preflight();
  other_page.allowed_origin.clear();
  EXPECT_FALSE(answer_preflight(other_page));
  auto other_method = preflight();
  other_method.method = "GET";
  EXPECT_FALSE(answer_preflight(other_method));
  auto asks_nothing = preflight();
  asks_nothing.headers.pop_back();
  EXPECT_FALSE(answer_preflight(asks_nothing));
  EXPECT_FALSE(answer_preflight(preflight("")));
  auto asks_twice = preflight();
  asks_twice.headers.push_back(asks_twice.headers.back());
  EXPECT_FALSE(answer_preflight(asks_twice));
}

TEST(BrowserAccess, OriginsAreCheckedWhereTheyAreGiven) {
  const std::vector<std::string> right{"https://a.example", "http://localhost:8000"}, wrong{"https://a.example", "https://b.example/"};
  const auto access = browser_access(right);
  ASSERT_TRUE(access.ok());
  EXPECT_EQ(access->origins.allowed({{"Origin", "http://localhost:8000"}}), "http://localhost:8000");
  const auto refused = browser_access(wrong);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("'https://b.example/': expected"), std::string::npos);
}

}  // namespace
}  // namespace brainlock::miner
