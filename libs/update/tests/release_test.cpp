#include "brainlock/update/release.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "samples.hpp"

namespace brainlock::update {
namespace {

using nlohmann::json;

Result<Release> with(const std::function<void(json&)>& change) {
  json body = json::parse(release_json(sample_release()));
  change(body);
  return parse_release(body.dump());
}
json& program(json& body) { return body["files"]["x86_64"][0]; }

TEST(Release, WhatIsWrittenIsRead) {
  const Release release = sample_release();
  const auto again = parse_release(release_json(release));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again.value(), release);
  EXPECT_TRUE(with([](json& body) { body["a field of the future"] = 1; }).ok());
}

TEST(Release, EveryFieldIsLookedAt) {
  const json body = json::parse(release_json(sample_release()));
  for (const auto& [field, value] : body.items()) {
    EXPECT_EQ(with([&](json& b) { b.erase(field); }).error().code, ErrorCode::kMalformed) << field;
    EXPECT_FALSE(with([&](json& b) { b[field] = nullptr; }).ok()) << field;
    EXPECT_FALSE(with([&](json& b) { b[field] = -1; }).ok()) << field;
    EXPECT_FALSE(with([&](json& b) { b[field] = json::array({1, 2}); }).ok()) << field;
    EXPECT_FALSE(with([&](json& b) { b[field] = 1e300; }).ok()) << field;
  }
  for (const auto& [field, value] : body["files"]["x86_64"][0].items()) {
    EXPECT_EQ(with([&](json& b) { program(b).erase(field); }).error().code, ErrorCode::kMalformed) << field;
    EXPECT_FALSE(with([&](json& b) { program(b)[field] = -1; }).ok()) << field;
  }
}

TEST(Release, NumbersHaveTheirRange) {
  EXPECT_EQ(with([](json& b) { b["format"] = 2; }).error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(with([](json& b) { b["expires_s"] = b["created_s"]; }).ok());
  EXPECT_FALSE(with([](json& b) { b["expires_s"] = b["created_s"].get<std::int64_t>() + kLongestLifeS + 1; }).ok());
  EXPECT_TRUE(with([](json& b) { b["expires_s"] = b["created_s"].get<std::int64_t>() + kLongestLifeS; }).ok());
  EXPECT_FALSE(with([](json& b) { b["created_s"] = 18446744073709551615ULL; }).ok());
  EXPECT_FALSE(with([](json& b) { b["store_schema"] = {{"oldest", 3}, {"newest", 2}}; }).ok());
  EXPECT_FALSE(with([](json& b) { program(b)["size"] = kMaxReleaseBytes + 1; }).ok());
  EXPECT_EQ(with([](json& b) {
              b["files"]["x86_64"][0]["size"] = b["files"]["x86_64"][1]["size"] = kMaxReleaseBytes / 2 + 1;
            })
                .error()
                .code,
            ErrorCode::kTooLarge);
  EXPECT_FALSE(with([](json& b) { b["version"] = "1.2"; }).ok());
}

TEST(Release, PathsStayInTheirFolder) {
  for (const char* path :
       {"", "/bin/x", "../x", "bin/../../x", "bin/..", "bin/.", ".hidden", "bin/.hidden", "bin//x", "bin/", "bin/x y",
        "bin\\x", "bin/x\n", "a/b/c/d/e", "bin/\xc3\xa4", "~/x", "bin/$x", "bin/x;y"}) {
    EXPECT_FALSE(is_release_path(path)) << path;
    EXPECT_FALSE(with([&](json& b) { b["files"]["x86_64"][1]["path"] = path; }).ok()) << path;
  }
  for (const char* path : {"bin/brainlock", "share/doc/a-b_c.1+2", "LICENSE", "a/b/c/d"})
    EXPECT_TRUE(is_release_path(path)) << path;
  EXPECT_FALSE(is_release_path(std::string(101, 'x')));
  EXPECT_FALSE(with([](json& b) { b["files"]["x86_64"][1]["path"] = "bin/brainlock"; }).ok());       // twice
  EXPECT_FALSE(with([](json& b) { b["files"]["x86_64"][1]["path"] = "bin/brainlock/page"; }).ok());  // in a file
  EXPECT_FALSE(with([](json& b) { program(b)["path"] = "bin/other"; }).ok());                        // no program
  EXPECT_FALSE(with([](json& b) { program(b)["executable"] = false; }).ok());
}

TEST(Release, ListsHaveTheirEnd) {
  const auto many = [](std::size_t count) {
    return with([&](json& b) {
      for (std::size_t i = 2; i < count; ++i) {
        json file = b["files"]["x86_64"][1];
        file["path"] = "share/" + std::to_string(i);
        b["files"]["x86_64"].push_back(file);
      }
    });
  };
  EXPECT_TRUE(many(kMaxFiles).ok());
  EXPECT_FALSE(many(kMaxFiles + 1).ok());
  EXPECT_FALSE(with([](json& b) { b["files"]["x86_64"] = json::array(); }).ok());
  EXPECT_FALSE(with([](json& b) { b["files"] = json::object(); }).ok());
  EXPECT_FALSE(with([](json& b) { b["files"]["../x"] = b["files"]["x86_64"]; }).ok());
  EXPECT_FALSE(with([](json& b) {
                 for (int i = 0; i < 9; ++i) b["files"]["a" + std::to_string(i)] = b["files"]["x86_64"];
               }).ok());
  EXPECT_FALSE(with([](json& b) { b["notes"] = std::string(4001, 'x'); }).ok());
  EXPECT_FALSE(with([](json& b) { b["notes"] = "\x1b[31m"; }).ok());  // a terminal's commands
  EXPECT_FALSE(with([](json& b) {
                 b["rollout"] = json::array();
                 for (int i = 0; i < 9; ++i) b["rollout"].push_back({{"from_s", i}, {"percent", i}});
               }).ok());
}

TEST(Release, SharesRise) {
  const auto steps = [](json list) { return with([&](json& b) { b["rollout"] = list; }); };
  EXPECT_TRUE(steps(json::array()).ok());
  EXPECT_TRUE(steps({{{"from_s", 1}, {"percent", 10}}, {{"from_s", 2}, {"percent", 100}}}).ok());
  EXPECT_FALSE(steps({{{"from_s", 2}, {"percent", 10}}, {{"from_s", 1}, {"percent", 100}}}).ok());
  EXPECT_FALSE(steps({{{"from_s", 1}, {"percent", 50}}, {{"from_s", 2}, {"percent", 10}}}).ok());
  EXPECT_FALSE(steps({{{"from_s", 1}, {"percent", 101}}}).ok());
}

TEST(Release, HostileText) {
  EXPECT_EQ(parse_release(std::string(kMaxManifestBytes + 1, ' ')).error().code, ErrorCode::kTooLarge);
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"), std::string("\xff\xfe"), std::string(100'000, '['),
        std::string("null"), std::string("{\"format\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}")}) {
    EXPECT_EQ(parse_release(text).error().code, ErrorCode::kMalformed) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace brainlock::update
