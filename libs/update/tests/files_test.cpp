// The small files of an operator and a publisher: settings, state, keys.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "brainlock/update/publisher_key.hpp"
#include "brainlock/update/settings.hpp"
#include "samples.hpp"

namespace brainlock::update {
namespace {

using nlohmann::json;

crypto::Ed25519PublicKey key_of(std::uint8_t number) {
  return crypto::Ed25519KeyPair::from_seed(crypto::Bytes(32, number)).value().public_key();
}

Settings sample_settings() {
  Settings out;
  out.source = "https://releases.example.org/brainlock";
  out.keys = {key_of(1), key_of(2), key_of(3)};
  out.threshold = 2;
  out.services = {{"miner",
                   "/home/a/brainlock/miner.env",
                   {"systemctl", "--user", "restart", "brainlock-miner"},
                   "http://127.0.0.1:5000/v1/status"}};
  return out;
}

TEST(Settings, WhatIsWrittenIsRead) {
  const auto again = parse_settings(settings_json(sample_settings()));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again.value(), sample_settings());
}

TEST(Settings, WhatCannotBeMeant) {
  const auto with = [](const std::function<void(json&)>& change) {
    json body = json::parse(settings_json(sample_settings()));
    change(body);
    const auto read = parse_settings(body.dump());
    return read.ok() ? ErrorCode::kInternal : read.error().code;
  };
  EXPECT_EQ(with([](json&) {}), ErrorCode::kInternal);
  EXPECT_EQ(with([](json& b) { b["threshold"] = 0; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["threshold"] = 4; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["keys"][1] = b["keys"][0]; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["keys"] = json::array(); }), ErrorCode::kMalformed);
  EXPECT_EQ(with([](json& b) { b["keys"][0] = "12"; }), ErrorCode::kMalformed);
  EXPECT_EQ(with([](json& b) { b["source"] = "releases"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["source"] = "file:///x"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["source"] = "https://me@example.org/"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["source"] = "/srv/releases"; }), ErrorCode::kInternal);
  EXPECT_EQ(with([](json& b) { b["services"][0]["restart"] = "systemctl restart x"; }),
            ErrorCode::kMalformed);  // no shell
  EXPECT_EQ(with([](json& b) { b["services"][0]["restart"] = json::array({""}); }), ErrorCode::kMalformed);
  EXPECT_EQ(with([](json& b) { b["services"][0]["restart"] = json::array(); }), ErrorCode::kInternal);
  EXPECT_EQ(with([](json& b) { b["services"][0]["role"] = "both"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["services"][0]["environment"] = "miner.env"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["services"][0]["health"] = "127.0.0.1:5000"; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with([](json& b) { b["services"] = json::array(); }), ErrorCode::kInternal);
  EXPECT_EQ(with([](json& b) { b["answer_within_s"] = 0; }), ErrorCode::kMalformed);
  EXPECT_EQ(with([](json& b) { b["answer_within_s"] = 86'401; }), ErrorCode::kMalformed);
  EXPECT_EQ(with([](json& b) { b.erase("answer_within_s"); }), ErrorCode::kInternal);
  EXPECT_EQ(with([](json& b) { b["format"] = 2; }), ErrorCode::kUnsupported);
  EXPECT_EQ(parse_settings(std::string(kMaxSettingsBytes + 1, ' ')).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(parse_settings("[]").error().code, ErrorCode::kMalformed);
}

TEST(Settings, AFileThatOthersMayWriteIsNotHeeded) {
  TemporaryFolder folder;
  const auto file = folder.path / "settings.json";
  EXPECT_EQ(load_settings(file).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store_settings(file, sample_settings(), false).ok());
  EXPECT_EQ(load_settings(file).value(), sample_settings());
  struct stat status {};
  ::stat(file.c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(store_settings(file, sample_settings(), false).error().code, ErrorCode::kDenied);
  EXPECT_TRUE(store_settings(file, sample_settings(), true).ok());
  for (const unsigned mode : {0620U, 0602U, 0666U}) {
    ::chmod(file.c_str(), mode);
    EXPECT_EQ(load_settings(file).error().code, ErrorCode::kDenied) << mode;
  }
  ::chmod(file.c_str(), 0644);
  EXPECT_TRUE(load_settings(file).ok());
}

TEST(State, WhatIsWrittenIsRead) {
  State state = sample_state();
  EXPECT_EQ(parse_state(state_json(state)).value(), state);
  state.current = "0.1.0";
  state.previous = "0.0.9-2";
  state.highest_seen = Version{0, 2, 0};
  state.newest_created_s = kNow;
  state.last_check_s = kNow + 1;
  state.last_check = "nothing new";
  state.work = Work{Phase::kUndoing, "0.1.0", "0.2.0", "it did not start"};
  for (int i = 0; i < 30; ++i) note_failure(state, {{0, 0, static_cast<std::uint32_t>(i)}, kNow, "why"});
  EXPECT_EQ(state.failed.size(), kMaxFailures);
  EXPECT_EQ(state.failed.front().version, (Version{0, 0, 10}));
  note_failure(state, {{0, 0, 15}, kNow + 1, "again"});
  EXPECT_EQ(state.failed.size(), kMaxFailures);
  EXPECT_EQ(failure_of(state, {0, 0, 15})->why, "again");
  EXPECT_EQ(failure_of(state, {0, 0, 9}), nullptr);
  EXPECT_EQ(parse_state(state_json(state)).value(), state);
}

TEST(State, ReasonsFromProgramsAreCleaned) {
  State state = sample_state();
  note_failure(state, {{0, 2, 0}, kNow, "a\x1b[31m\nb\xff" + std::string(1000, 'x')});
  const auto read = parse_state(state_json(state));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().failed[0].why.substr(0, 8), "a [31m b");
  EXPECT_EQ(read.value().failed[0].why.size(), 500U);
}

TEST(State, DamagedOnesAreRefused) {
  const auto with = [](const std::function<void(json&)>& change) {
    State state = sample_state();
    state.work = Work{Phase::kSwitching, "0.1.0", "0.2.0", ""};
    json body = json::parse(state_json(state));
    change(body);
    return parse_state(body.dump()).ok();
  };
  EXPECT_TRUE(with([](json&) {}));
  EXPECT_FALSE(with([](json& b) { b["operator_id"] = "short"; }));
  EXPECT_FALSE(with([](json& b) { b["current"] = "../../etc"; }));
  EXPECT_FALSE(with([](json& b) { b["previous"] = ".."; }));
  EXPECT_FALSE(with([](json& b) { b["work"]["to"] = ""; }));
  EXPECT_FALSE(with([](json& b) { b["work"]["to"] = "a/b"; }));
  EXPECT_FALSE(with([](json& b) { b["work"]["phase"] = "dreaming"; }));
  EXPECT_FALSE(with([](json& b) { b["work"] = nullptr; }));
  EXPECT_FALSE(with([](json& b) { b["failed"] = 1; }));
  EXPECT_FALSE(with([](json& b) { b["highest_seen"] = "newest"; }));
  EXPECT_FALSE(with([](json& b) { b["format"] = 2; }));
  TemporaryFolder folder;
  put(folder.path / "state.json", "{");
  EXPECT_EQ(load_state(folder.path / "state.json").error().code, ErrorCode::kMalformed);
}

TEST(State, ANewOneHasAnIdOfItsOwn) {
  TemporaryFolder folder;
  const auto file = folder.path / "state.json";
  const State a = load_state(file).value(), b = load_state(file).value();
  EXPECT_NE(a.operator_id, b.operator_id);
  ASSERT_TRUE(store_state(file, a).ok());
  EXPECT_EQ(load_state(file).value(), a);
  struct stat status {};
  ::stat(file.c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(PublisherKey, PlainAndEncrypted) {
  TemporaryFolder folder;
  const auto key = crypto::Ed25519KeyPair::generate();
  const auto plain = folder.path / "plain.key", locked = folder.path / "locked.key";
  ASSERT_TRUE(store_publisher_key(plain, key, std::nullopt).ok());
  ASSERT_TRUE(store_publisher_key(locked, key, "a password", crypto::PasswordCost::kInteractive).ok());
  EXPECT_EQ(store_publisher_key(plain, key, std::nullopt).error().code, ErrorCode::kDenied);
  struct stat status {};
  ::stat(locked.c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const auto says = [](std::string word) {
    return [word](const std::filesystem::path&) { return Result<std::string>(word); };
  };
  EXPECT_EQ(load_publisher_key(plain, {}).value().public_key(), key.public_key());
  EXPECT_EQ(load_publisher_key(locked, says("a password")).value().public_key(), key.public_key());
  EXPECT_EQ(load_publisher_key(locked, says("another")).error().code, ErrorCode::kDenied);
  EXPECT_EQ(load_publisher_key(locked, {}).error().code, ErrorCode::kDenied);
  const std::string seed = crypto::hex_encode(key.seed().bytes());
  EXPECT_NE(get(plain).find(seed), std::string::npos);
  EXPECT_EQ(get(locked).find(seed), std::string::npos);
}

TEST(PublisherKey, FilesThatAreNotTaken) {
  TemporaryFolder folder;
  const auto file = folder.path / "a.key";
  const auto key = crypto::Ed25519KeyPair::generate();
  EXPECT_EQ(load_publisher_key(file, {}).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store_publisher_key(file, key, std::nullopt).ok());
  const std::string text = get(file);
  for (const unsigned mode : {0640U, 0604U, 0620U}) {
    ::chmod(file.c_str(), mode);
    EXPECT_EQ(load_publisher_key(file, {}).error().code, ErrorCode::kDenied) << mode;
  }
  ::chmod(file.c_str(), 0600);
  put(file, crypto::hex_encode(key.seed().bytes()));
  EXPECT_EQ(load_publisher_key(file, {}).error().code, ErrorCode::kMalformed);
  put(file, text.substr(0, text.size() - 3) + "\n");
  EXPECT_EQ(load_publisher_key(file, {}).error().code, ErrorCode::kMalformed);
  std::string other = text;  // another public key beside this secret
  other[other.find('\n') + 1] = other[other.find('\n') + 1] == '0' ? '1' : '0';
  put(file, other);
  EXPECT_EQ(load_publisher_key(file, {}).error().code, ErrorCode::kMismatch);
  put(file, std::string(5000, 'x'));
  EXPECT_EQ(load_publisher_key(file, {}).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace brainlock::update
