// Updates from end to end, with a real folder and everything else made up.
#include "brainlock/update/updater.hpp"

#include <gtest/gtest.h>

#include "world.hpp"

namespace brainlock::update {
namespace {

namespace fs = std::filesystem;

struct UpdaterTest : testing::Test {
  World world;
  std::string apply(const ApplyOptions& options = {}) {
    const auto report = world.apply(options);
    last = report.ok() ? report.value() : Report{};
    return report.ok() ? report.value().code : "error " + std::string(error_code_name(report.error().code));
  }
  Report last;
  std::string installed() const { return world.installation.current(); }
  /// As if nothing had been done: what runs is what ran.
  void expect_untouched() {
    EXPECT_EQ(world.running_version(), "0.1.0");
    EXPECT_EQ(world.restarts, 0);
    EXPECT_EQ(get(world.installation.program()), Program{"0.1.0"}.text());
    EXPECT_FALSE(world.state().work);
  }
};

TEST_F(UpdaterTest, InstallsWhatIsNewAndNothingTwice) {
  world.publish({"0.2.0"});
  EXPECT_EQ(apply(), "updated");
  EXPECT_TRUE(last.good);
  EXPECT_EQ(last.installed, "0.2.0");
  EXPECT_EQ(world.running_version(), "0.2.0");
  EXPECT_EQ(get(world.home / "bin/brainlock"), Program{"0.2.0"}.text());
  EXPECT_EQ(get(world.home / "bin/brainlock-pairing"), "pairing of 0.2.0");
  EXPECT_EQ(world.installation.confirmed(), "0.2.0");
  const State state = world.state();
  EXPECT_EQ(state.current, "0.2.0");
  EXPECT_EQ(state.previous, "0.1.0");
  EXPECT_EQ(state.highest_seen, (Version{0, 2, 0}));
  EXPECT_EQ(apply(), "nothing_new");
  EXPECT_EQ(world.restarts, 1);
  // Two releases are kept, and of the others nothing.
  world.publish({"0.3.0"}, [](Release& release) { release.created_s += 10; });
  EXPECT_EQ(apply(), "updated");
  EXPECT_TRUE(fs::exists(world.home / "releases/0.2.0"));
  EXPECT_FALSE(fs::exists(world.home / "releases/0.1.0"));
}

TEST_F(UpdaterTest, CheckChangesNothingButItsMemory) {
  world.publish({"0.2.0"});
  const auto report = world.updater().check({});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report.value().code, "ready");
  EXPECT_EQ(report.value().offered, "0.2.0");
  EXPECT_FALSE(fs::exists(world.home / "releases"));
  EXPECT_EQ(world.state().highest_seen, (Version{0, 2, 0}));
  expect_untouched();
}

TEST_F(UpdaterTest, TamperedAndUnsignedManifestsAreNotTaken) {
  world.publish({"0.2.0"}, {}, {1});
  EXPECT_EQ(apply(), "error denied");
  world.publish({"0.2.0"}, {}, {1, 1});
  EXPECT_EQ(apply(), "error denied");
  world.publish({"0.2.0"}, {}, {8, 9});
  EXPECT_EQ(apply(), "error denied");
  world.publish({"0.2.0"});
  std::string manifest = get(world.site / "release.json");
  manifest.replace(manifest.find("0.2.0"), 5, "0.9.0");
  put(world.site / "release.json", manifest);
  EXPECT_EQ(apply(), "error denied");
  fs::remove(world.site / "release.json.sig");
  EXPECT_EQ(apply(), "error not_found");
  expect_untouched();
  EXPECT_FALSE(world.state().highest_seen);
}

TEST_F(UpdaterTest, ATamperedFileIsNotTaken) {
  const Release release = world.publish({"0.2.0"});
  const auto& program = release.files.at("x86_64")[0];
  const auto file = world.site / "files" / crypto::hex_encode(program.sha256);
  const std::string right = get(file);
  std::string wrong = right;
  wrong[5] ^= 1;
  for (const std::string& text : {wrong, right.substr(1), std::string()}) {
    put(file, text);
    EXPECT_EQ(apply(), "error corrupted");
    EXPECT_FALSE(fs::exists(world.home / "releases/.new-0.2.0/bin/brainlock"));
  }
  put(file, right + "x");
  EXPECT_EQ(apply(), "error too_large");
  fs::remove(file);
  EXPECT_EQ(apply(), "error not_found");
  expect_untouched();
  EXPECT_FALSE(fs::exists(world.home / "releases/0.2.0"));
  put(file, right);
  EXPECT_EQ(apply(), "updated");  // none of it is held against the release
}

TEST_F(UpdaterTest, RefusalsTouchNothing) {
  world.publish({"0.2.0"}, [](Release& release) { release.expires_s = kNow - 1; });
  EXPECT_EQ(apply(), "expired");
  EXPECT_FALSE(last.good);
  world.publish({"0.0.9"});
  EXPECT_EQ(apply(), "downgrade");
  world.publish({"0.2.0"});
  EXPECT_EQ(world.updater().check({}).value().code, "ready");
  world.publish({"0.1.5"});
  EXPECT_EQ(apply(), "replayed");
  world.publish({"0.2.0"}, [](Release& release) { release.created_s -= 10; });
  EXPECT_EQ(apply(), "replayed");
  world.publish({"0.2.0"}, [](Release& release) {
    release.files["aarch64"] = std::move(release.files["x86_64"]), release.files.erase("x86_64");
  });
  EXPECT_EQ(apply(), "architecture");
  world.publish({"0.2.0"}, [](Release& release) { release.straight_from = {0, 1, 1}; });
  EXPECT_EQ(apply(), "step_missing");
  world.publish({"0.2.0"}, [](Release& release) { release.glibc = {3, 0}; });
  EXPECT_EQ(apply(), "glibc");
  expect_untouched();
}

TEST_F(UpdaterTest, ByNameThroughAReleaseInBetween) {
  world.publish({"0.2.0"});
  world.publish({"0.3.0"}, [](Release& release) { release.straight_from = {0, 2, 0}, release.created_s += 10; });
  EXPECT_EQ(apply(), "step_missing");
  EXPECT_NE(last.next.find("--release 0.2.0"), std::string::npos);
  EXPECT_EQ(apply({.release = "0.2.0"}), "updated");
  EXPECT_EQ(apply(), "updated");
  EXPECT_EQ(world.running_version(), "0.3.0");
  EXPECT_EQ(apply({.release = "0.2.0"}), "downgrade");
  EXPECT_EQ(apply({.release = "../0.2.0"}), "error malformed");
  // What the source gives under a name must be that.
  fs::copy_file(world.site / "release.json", world.site / "releases/0.2.0/release.json",
                fs::copy_options::overwrite_existing);
  fs::copy_file(world.site / "release.json.sig", world.site / "releases/0.2.0/release.json.sig",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(apply({.release = "0.2.0"}), "error mismatch");
}

TEST_F(UpdaterTest, RollOutWaitsUnlessAskedNotTo) {
  world.publish({"0.2.0"}, [](Release& release) { release.rollout = {{kNow + 500, 100}}; });
  EXPECT_EQ(apply(), "waits");
  EXPECT_TRUE(last.good);
  EXPECT_EQ(last.expected_s, kNow + 500);
  expect_untouched();
  EXPECT_EQ(apply({.now = true}), "updated");
}

TEST_F(UpdaterTest, WhatDoesNotFitIsNeverSwitchedTo) {
  world.publish({.version = "0.2.0", .fault = "crashes"});
  EXPECT_EQ(apply(), "not_fit");
  world.publish({.version = "0.2.1", .called = "0.1.0"});
  EXPECT_EQ(apply(), "not_fit");
  world.publish({.version = "0.2.2", .schema = 4}, [](Release& release) { release.store.newest = 3; });
  EXPECT_EQ(apply(), "not_fit");
  EXPECT_EQ(apply(), "failed_before");
  expect_untouched();
}

TEST_F(UpdaterTest, DoctorStopsWhatItFindsAndThePresentDoesNot) {
  world.publish({.version = "0.2.0", .fault = "sick"});
  EXPECT_EQ(apply(), "doctor");
  EXPECT_NE(last.found.find("'package'"), std::string::npos);
  expect_untouched();
  EXPECT_EQ(apply(), "doctor");  // looked at anew each time: the fault may be the machine's
  world.chain_down = true;       // what is wrong anyway stops nothing
  world.publish({"0.2.1"});
  EXPECT_EQ(apply(), "updated");
}

TEST_F(UpdaterTest, BrokenReleasesAreRolledBackWithinAMinute) {
  for (const char* fault : {"silent", "falls"}) {
    World broken;
    const auto begun = broken.steady;
    broken.publish({.version = "0.2.0", .fault = fault});
    const auto report = broken.apply();
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report.value().code, "rolled_back") << fault;
    EXPECT_FALSE(report.value().good);
    EXPECT_LT(broken.steady - begun, std::chrono::seconds(60)) << fault;
    EXPECT_EQ(broken.running_version(), "0.1.0");
    EXPECT_EQ(get(broken.home / "bin/brainlock"), Program{"0.1.0"}.text());
    EXPECT_EQ(broken.installation.confirmed(), "0.1.0");
    EXPECT_EQ(broken.restarts, 2);
    EXPECT_EQ(broken.apply().value().code, "failed_before");
    EXPECT_EQ(broken.restarts, 2);
    EXPECT_EQ(broken.apply({.again = true}).value().code, "rolled_back");
    broken.publish({"0.2.1"});
    EXPECT_EQ(broken.apply().value().code, "updated");
  }
}

TEST_F(UpdaterTest, ARestartThatFailsIsUndone) {
  world.publish({"0.2.0"});
  world.restart_fails = true;
  EXPECT_EQ(apply(), "rolled_back");
  EXPECT_NE(last.found.find("does not run either"), std::string::npos);
  EXPECT_EQ(installed(), "0.1.0");
}

TEST_F(UpdaterTest, AnAnswerThatIsLateIsForgivenTwiceAndNotThrice) {
  world.publish({"0.2.0"});
  const auto late = [this](int count) {
    const auto asked = std::make_shared<int>(0);
    Outside outside = world.outside();
    auto say = outside.say;
    outside.say = [this, say, count](const std::string& step) {
      if (step.starts_with("it answers; watching") && world.running_version() == "0.2.0") world.late_answers = count;
      say(step);
    };
    return Updater(world.installation, world.settings, outside).apply({.again = true}).value().code;
  };
  EXPECT_EQ(late(3), "rolled_back");
  EXPECT_EQ(late(2), "updated");
}

TEST_F(UpdaterTest, RollbackByHandStays) {
  EXPECT_EQ(world.updater().rollback().error().code, ErrorCode::kNotFound);
  world.publish({"0.2.0"});
  EXPECT_EQ(apply(), "updated");
  const auto back = world.updater().rollback();
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value().code, "rolled_back");
  EXPECT_TRUE(back.value().good) << back.value().found;
  EXPECT_EQ(world.running_version(), "0.1.0");
  EXPECT_EQ(world.installation.confirmed(), "0.1.0");
  EXPECT_EQ(apply(), "failed_before");
  EXPECT_EQ(world.updater().rollback().error().code, ErrorCode::kNotFound);
  EXPECT_EQ(apply({.again = true}), "updated");
  EXPECT_EQ(world.running_version(), "0.2.0");
}

TEST_F(UpdaterTest, AStoreThatCannotGoBack) {
  world.add_service("validator");
  world.store = 3;
  world.publish({.version = "0.2.0", .schema = 4});
  EXPECT_EQ(apply(), "no_way_back");
  expect_untouched();
  EXPECT_EQ(apply({.one_way = true}), "updated");
  EXPECT_EQ(world.store, 4);
  EXPECT_EQ(world.updater().rollback().error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(world.running_version(), "0.2.0");
  // Broken, and one way: it is said, and nothing is made worse.
  world.publish({.version = "0.3.0", .schema = 5, .fault = "silent"});
  EXPECT_EQ(apply({.one_way = true}), "cannot_go_back");
  EXPECT_EQ(installed(), "0.3.0");
  EXPECT_EQ(world.installation.confirmed(), "0.2.0");
  EXPECT_FALSE(world.state().work);
  world.store = 4;  // the backup
  EXPECT_TRUE(world.updater().rollback().value().good);
  EXPECT_EQ(world.running_version(), "0.2.0");
}

TEST_F(UpdaterTest, AProgramThatIsTooOldToSayReadsWhatThereIs) {
  world.add_service("validator");
  put(world.installation.program(), Program{.version = "0.1.0", .fault = "old"}.text(), true);
  world.store = 3;
  world.publish({.version = "0.2.0", .schema = 4});
  EXPECT_EQ(apply(), "no_way_back");
  world.publish({.version = "0.2.0", .schema = 3}, [](Release& release) { release.created_s += 1; });
  EXPECT_EQ(apply(), "updated");
}

TEST_F(UpdaterTest, TakingOverChangesNothingThatRuns) {
  ASSERT_TRUE(world.updater().take_over().ok());
  EXPECT_EQ(installed(), "0.1.0");
  EXPECT_EQ(world.installation.confirmed(), "0.1.0");
  EXPECT_TRUE(fs::is_symlink(world.home / "bin/brainlock"));
  EXPECT_EQ(get(world.home / "bin/brainlock-pairing"), "pairing of 0.1.0");
  expect_untouched();
  ASSERT_TRUE(world.updater().take_over().ok());
  EXPECT_EQ(installed(), "0.1.0");
}

TEST_F(UpdaterTest, OneAtATime) {
  world.publish({"0.2.0"});
  std::string beside;
  world.on_restart = [&] {
    const auto other = world.updater().check({});
    beside = other.ok() ? "ran" : std::string(error_code_name(other.error().code));
  };
  EXPECT_EQ(apply(), "updated");
  EXPECT_EQ(beside, "unavailable");
}

TEST_F(UpdaterTest, AProgramPutThereByHandIsTakenOver) {
  world.publish({"0.2.0"});
  EXPECT_EQ(apply(), "updated");
  // setup.sh, or a hand, puts a build of its own in the link's place.
  const auto by_hand = [&](const Program& program) {
    fs::remove(world.home / "bin/brainlock");
    put(world.home / "bin/brainlock", program.text(), true);
  };
  by_hand({.version = "0.2.0", .schema = 2});
  world.publish({"0.3.0"}, [](Release& release) { release.created_s += 10; });
  EXPECT_EQ(apply(), "updated");
  EXPECT_EQ(world.state().previous, "0.2.0-2");  // another build of that version
  EXPECT_TRUE(world.updater().rollback().value().good);
  EXPECT_EQ(nlohmann::json::parse(get(world.installation.program()))["schema"], 2);
  by_hand({"0.4.0"});
  EXPECT_EQ(apply(), "downgrade");
  EXPECT_EQ(get(world.installation.program()), Program{"0.4.0"}.text());
  EXPECT_EQ(installed(), "0.4.0");
}

TEST_F(UpdaterTest, AProgramPutThereByHandSettlesWhatWasBrokenOff) {
  world.publish({"0.2.0"});
  EXPECT_EQ(apply(), "updated");
  for (const Phase phase : {Phase::kSwitching, Phase::kChecking, Phase::kUndoing}) {
    State state = world.state();
    state.work = Work{phase, "0.1.0", "0.2.0", "why"};
    ASSERT_TRUE(store_state(world.installation.state_file(), state).ok());
    fs::remove(world.home / "bin/brainlock");
    put(world.home / "bin/brainlock", Program{"0.2.0"}.text(), true);
    EXPECT_EQ(apply(), "nothing_new") << phase_name(phase);
    EXPECT_EQ(world.restarts, 1);
    EXPECT_FALSE(world.state().work);
  }
}

TEST_F(UpdaterTest, StoppedBeforeTheSwitchNothingHappens) {
  world.publish({"0.2.0"});
  std::stop_source stop;
  Outside outside = world.outside();
  outside.say = [&](const std::string& step) {
    if (step.starts_with("trying")) stop.request_stop();
  };
  const auto report = Updater(world.installation, world.settings, outside).apply({}, stop.get_token());
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
  expect_untouched();
}

TEST_F(UpdaterTest, Overview) {
  auto seen = world.updater().overview();
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen.value().installed, "0.1.0");
  EXPECT_FALSE(fs::exists(world.home / "update"));  // looking leaves nothing behind
  world.publish({"0.2.0"});
  EXPECT_EQ(apply(), "updated");
  put(world.home / "bin/brainlock", Program{"0.2.0"}.text(), true);
  seen = world.updater().overview();
  EXPECT_EQ(seen.value().services.at(0).running, "0.2.0");
  EXPECT_EQ(seen.value().previous, "0.1.0");
  world.running.reset();
  EXPECT_NE(world.updater().overview().value().services.at(0).problem, "");
}

}  // namespace
}  // namespace brainlock::update
