#include "brainlock/protocol/messages.hpp"

#include <gtest/gtest.h>

#include <set>

#include "brainlock/protocol/reason.hpp"

namespace brainlock::protocol {
namespace {

const std::string kPackage(64, 'a');
const std::string kKey(64, 'b');
const std::string kUuid = "0b9d1e4a-3a4f-4c59-9d0b-1f2b6d2f7c11";

TEST(Routes, EachParsesToItselfAndNothingElse) {
  const std::vector<std::pair<std::string, std::string>> all{
      {"GET", "/v1/status"},
      {"GET", "/v1/packages/" + kPackage + "/keys/" + kKey},
      {"PUT", "/v1/packages/" + kPackage + "/keys/" + kKey + "/0/9007199254740991"},
      {"POST", "/v1/packages/" + kPackage + "/infer/" + kKey},
      {"GET", "/v1/requests/" + kUuid},
  };
  for (const auto& [method, target] : all) {
    const auto verdict = parse_route(method, target);
    ASSERT_EQ(verdict.refusal, Refusal::kNone) << target;
    EXPECT_EQ(route_target(verdict.route), target);
    EXPECT_EQ(route_method(verdict.route.kind), method);
    EXPECT_EQ(parse_route("DELETE", target).refusal, Refusal::kMethodNotAllowed);
    EXPECT_EQ(parse_route(method, target + "/").refusal, Refusal::kNoSuchRoute);
    EXPECT_EQ(parse_route(method, target + "?x").refusal, Refusal::kNoSuchRoute);
    for (std::size_t cut = 0; cut < target.size(); ++cut) {
      const auto shorter = parse_route(method, std::string_view(target).substr(0, cut));
      if (shorter.refusal == Refusal::kNone) {
        // Only a shorter number is another valid path.
        EXPECT_EQ(shorter.route.kind, RouteKind::kKeyPart) << target.substr(0, cut);
      }
    }
  }
  for (const char* part : {"00/1", "1/01", "-1/5", "1/9007199254740992", "/5", "0x1/5", "1/99999999999999999999"}) {
    EXPECT_EQ(parse_route("PUT", "/v1/packages/" + kPackage + "/keys/" + kKey + "/" + part).refusal, Refusal::kNoSuchRoute) << part;
  }
  EXPECT_EQ(parse_route("GET", "/v1/packages/" + std::string(64, 'A') + "/keys/" + kKey).refusal, Refusal::kNoSuchRoute);
  EXPECT_EQ(parse_route("GET", "/v1/" + std::string(100'000, 'x')).refusal, Refusal::kNoSuchRoute);
}

MinerStatus sample_status() {
  MinerStatus status;
  status.version = "0.1.0";
  status.hotkey = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
  status.time_ms = 1'735'689'600'000;
  status.running = 1;
  status.queued = 2;
  status.queue_limit = 64;
  status.key_part_bytes = 1 << 24;
  status.tasks.push_back({*parse_content_id(kPackage), "vgg9", 123'456'789'012, 1'000'000});
  return status;
}

TEST(Messages, StatusRoundTrip) {
  const MinerStatus status = sample_status();
  const auto again = parse_status(status_json(status));
  ASSERT_TRUE(again.ok()) << again.error().to_string();
  EXPECT_EQ(again->tasks, status.tasks);
  EXPECT_EQ(again->time_ms, status.time_ms);
  EXPECT_EQ(again->queue_limit, 64u);
  EXPECT_EQ(again->key_part_bytes, status.key_part_bytes);
}

TEST(Messages, EveryTruncationOfAStatusIsRefused) {
  const std::string json = status_json(sample_status());
  for (std::size_t cut = 0; cut < json.size(); ++cut) EXPECT_FALSE(parse_status(json.substr(0, cut)).ok()) << cut;
}

TEST(Messages, HostileStatusIsRefused) {
  const std::string json = status_json(sample_status());
  const auto replaced = [&json](const std::string& from, const std::string& to) {
    std::string out = json;
    const auto at = out.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return out.replace(at, from.size(), to);
  };
  EXPECT_EQ(parse_status(replaced("\"protocol\":1", "\"protocol\":2")).error().code, ErrorCode::kUnsupported);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"running\":1", "\"running\":-1"},
           {"\"running\":1", "\"running\":4294967296"},
           {"\"running\":1", "\"running\":1.5"},
           {"\"queued\":2", "\"queued\":\"2\""},
           {"\"version\":\"0.1.0\"", "\"version\":\"\\u001b[2J\""},
           {"\"model\":\"vgg9\"", "\"model\":\"" + std::string(101, 'x') + "\""},
           {kPackage, std::string(63, 'a')},
           {"\"tasks\":[", "\"tasks\":[1,"},
       }) {
    EXPECT_EQ(parse_status(replaced(from, to)).error().code, ErrorCode::kMalformed) << to;
  }
  EXPECT_EQ(parse_status(std::string(kMaxJsonBytes + 1, ' ')).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(parse_status(std::string(30'000, '[')).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(parse_status("{\"a\":" + std::string(20'000, '[') + std::string(20'000, ']') + "}").error().code, ErrorCode::kMalformed);
  EXPECT_EQ(parse_status("[]").error().code, ErrorCode::kMalformed);
}

TEST(Messages, KeyStateAndProgressRoundTrip) {
  const auto state = parse_key_state(key_state_json({77, true}));
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->received_bytes, 77u);
  EXPECT_TRUE(state->complete);
  EXPECT_FALSE(parse_key_state("{\"received_bytes\":1,\"complete\":1}").ok());

  const auto progress = parse_progress(progress_json({"running", 3, 0.25, "conv1"}));
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->fraction, 0.25);
  EXPECT_EQ(progress->layer, "conv1");
  EXPECT_FALSE(parse_progress("{\"state\":\"running\",\"ahead\":0,\"fraction\":1.5,\"layer\":\"\"}").ok());
}

TEST(Refusals, NamesAreUniqueAndTravel) {
  std::set<std::string_view> names;
  for (int i = 0; i < kRefusalCount; ++i) {
    const auto refusal = static_cast<Refusal>(i);
    EXPECT_TRUE(names.insert(refusal_name(refusal)).second) << refusal_name(refusal);
    EXPECT_EQ(refusal_from_name(refusal_name(refusal)), refusal);
    EXPECT_FALSE(refusal_sentence(refusal).empty());
    if (refusal != Refusal::kNone) { EXPECT_GE(refusal_http_status(refusal), 400) << refusal_name(refusal); }
    const auto report = parse_refusal(refusal_body(refusal, "a\nb"));
    EXPECT_EQ(report.refusal, refusal);
    EXPECT_EQ(report.message, "a?b");
  }
  EXPECT_EQ(refusal_from_name("no such name"), Refusal::kInternal);
  EXPECT_EQ(parse_refusal("<html>").refusal, Refusal::kInternal);
}

TEST(Refusals, EveryErrorCodeHasOne) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    EXPECT_NE(refusal_of(static_cast<ErrorCode>(i)), Refusal::kNone);
  }
  EXPECT_EQ(refusal_of(ErrorCode::kResource), Refusal::kOutOfResources);
  EXPECT_EQ(refusal_of(ErrorCode::kTruncated), Refusal::kMalformed);
}

TEST(Reasons, NamesAreUniqueAndTravel) {
  std::set<std::string_view> names;
  for (int i = 0; i < kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_TRUE(names.insert(reason_name(reason)).second);
    EXPECT_EQ(reason_from_name(reason_name(reason)), reason);
    EXPECT_FALSE(reason_sentence(reason).empty());
    EXPECT_EQ(counts_against_miner(reason), reason != Reason::kOk && reason != Reason::kValidatorError);
  }
}

}  // namespace
}  // namespace brainlock::protocol
