#include "brainlock/net/event_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace brainlock::net {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

namespace fs = std::filesystem;

struct EventLogTest : testing::Test {
  fs::path folder = fs::temp_directory_path() / ("brainlock-log-" + std::to_string(::getpid()));
  fs::path file = folder / "miner.log";
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }
  EventLog open(EventLevel least, bool json) const { return open_event_log({.service = "miner", .least = least, .json = json, .file = file}).value(); }
  static std::vector<std::string> lines(const fs::path& of) {
    std::ifstream in(of);
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
};

constexpr const char* kTime = "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][.][0-9][0-9][0-9]Z";

TEST_F(EventLogTest, TextIsOneLineAnEvent) {
  const EventLog log = open(EventLevel::kInfo, false);
  log_event(log, "answered", {{"uuid", "ab-12"}, {"wait_ms", "7"}, {"detail", ""}});
  log_event(log, EventLevel::kWarning, "refused", {{"message", "said \"no\" = a\\b"}});
  const auto written = lines(file);
  ASSERT_EQ(written.size(), 2U);
  EXPECT_THAT(written[0], MatchesRegex(std::string(kTime) + " info miner answered uuid=ab-12 wait_ms=7 detail=\"\""));
  EXPECT_THAT(written[1], HasSubstr(" warning miner refused message=\"said \\\"no\\\" = a\\\\b\""));
}

TEST_F(EventLogTest, JsonIsOneObjectALine) {
  const EventLog log = open(EventLevel::kInfo, true);
  log_event(log, EventLevel::kError, "failed", {{"error", "disk \"full\" {}"}});
  const auto written = lines(file);
  ASSERT_EQ(written.size(), 1U);
  EXPECT_THAT(written[0], StartsWith("{\"time\":\"20"));
  EXPECT_THAT(written[0], HasSubstr("Z\",\"level\":\"error\",\"service\":\"miner\",\"event\":\"failed\",\"error\":\"disk \\\"full\\\" {}\"}"));
}

TEST_F(EventLogTest, PeersWriteNoLinesOfTheirOwn) {
  for (const bool json : {false, true}) {
    fs::remove(file);
    log_event(open(EventLevel::kInfo, json), "refused", {{"message", "x\n2026-01-01T00:00:00.000Z info miner paid\r\x1b[31m\x07\xff%v {0}"}});
    const auto written = lines(file);
    ASSERT_EQ(written.size(), 1U);
    EXPECT_THAT(written[0], HasSubstr("x?2026-01-01T00:00:00.000Z info miner paid??[31m??%v {0}"));
  }
}

TEST_F(EventLogTest, LowerLevelsAreDropped) {
  {
    const EventLog log = open(EventLevel::kWarning, false);
    log_event(log, EventLevel::kDebug, "a");
    log_event(log, "b");
    log_event(log, EventLevel::kWarning, "c");
    log_event(log, EventLevel::kError, "d");
  }
  EXPECT_EQ(lines(file).size(), 2U);
  log_event(open(EventLevel::kDebug, false), EventLevel::kDebug, "e");
  EXPECT_EQ(lines(file).size(), 3U);
  EXPECT_FALSE(open(EventLevel::kOff, false));
}

TEST_F(EventLogTest, FilesRotateAndAreOursAlone) {
  const EventLog log = open_event_log({.service = "miner", .file = file, .rotate_bytes = 1000, .keep_files = 2}).value();
  for (int i = 0; i < 200; ++i) log_event(log, "answered", {{"number", std::to_string(i)}});
  EXPECT_THAT(lines(file).back(), HasSubstr("number=199"));
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    ++files;
    EXPECT_LE(entry.file_size(), 1000U);
    EXPECT_EQ(entry.status().permissions(), fs::perms::owner_read | fs::perms::owner_write) << entry.path();
  }
  EXPECT_EQ(files, 3U);
}

TEST_F(EventLogTest, ManyThreadsKeepTheirLinesWhole) {
  const EventLog log = open(EventLevel::kInfo, false);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 250; ++i) log_event(log, "answered", {{"thread", std::to_string(t)}, {"text", std::string(200, 'x')}});
      });
    }
  }
  const auto written = lines(file);
  EXPECT_EQ(written.size(), 1000U);
  for (const auto& line : written) EXPECT_THAT(line, MatchesRegex(std::string(kTime) + " info miner answered thread=[0-3] text=x*")) << line;
}

TEST_F(EventLogTest, WhatCannotBeOpenedIsAnError) {
  const auto log = open_event_log({.service = "miner", .file = "/proc/no/such/place.log"});
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.error().code, ErrorCode::kIo);
}

TEST(EventLevel, Names) {
  EXPECT_EQ(event_level_from_name("debug").value(), EventLevel::kDebug);
  EXPECT_EQ(event_level_from_name("off").value(), EventLevel::kOff);
  const auto unknown = event_level_from_name("loud");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(unknown.error().message, HasSubstr("debug, info, warning, error, off"));
}

}  // namespace
}  // namespace brainlock::net
