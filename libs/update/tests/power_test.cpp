// Power goes at every single event of an update, and comes back.
#include <gtest/gtest.h>

#include "disk.hpp"
#include "world.hpp"

namespace brainlock::update {
namespace {

namespace fs = std::filesystem;

/// What start scripts call is a whole program at every instant.
void expect_runnable(const World& world, int at) {
  const std::string text = get(world.home / "bin/brainlock");
  EXPECT_TRUE(text == Program{"0.1.0"}.text() ||
              nlohmann::json::parse(text, nullptr, false).value("version", "") == "0.2.0")
      << at << ": " << text;
  EXPECT_NE(get(world.home / "bin/brainlock-pairing"), "") << at;
}

/// Runs `act` with power that goes at event `at`; false if it came to its end before.
bool interrupted(World& world, int at, const std::function<void()>& act) {
  world.events = 0;
  world.power_goes_at = at;
  bool gone = false;
  try {
    act();
  } catch (const PowerGone&) {
    gone = true;
  }
  world.power_goes_at = -1;
  return gone;
}

TEST(Power, AGoodUpdateEndsInTheNewRelease) {
  int at = 0, finished = 0, updated = 0;
  for (bool gone = true; gone; ++at) {
    World world;
    world.publish({"0.2.0"});
    gone = interrupted(world, at, [&] { (void)world.apply(); });
    expect_runnable(world, at);
    world.boot();
    const auto next = world.apply();
    ASSERT_TRUE(next.ok()) << at << ": " << next.error().message;
    EXPECT_TRUE(next.value().good) << at << ": " << next.value().found;
    finished += next.value().code == "finished";
    updated += next.value().code == "updated";
    EXPECT_EQ(world.running_version(), "0.2.0") << at;
    EXPECT_EQ(world.installation.current(), "0.2.0") << at;
    EXPECT_FALSE(world.state().work) << at;
    EXPECT_TRUE(world.state().failed.empty()) << at;
    EXPECT_EQ(world.apply().value().code, "nothing_new") << at;
    EXPECT_EQ(world.installation.confirmed(), "0.2.0") << at;
  }
  EXPECT_GT(at, 30);
  EXPECT_GT(finished, 5);
  EXPECT_GT(updated, 5);
}

TEST(Power, ABrokenUpdateEndsInTheOldRelease) {
  int at = 0, undone = 0;
  for (bool gone = true; gone; at += 1 + at / 20) {  // the long wait for an answer is the same again and again
    World world;
    world.publish({.version = "0.2.0", .fault = "falls"});
    gone = interrupted(world, at, [&] { (void)world.apply(); });
    expect_runnable(world, at);
    world.boot();
    const auto next = world.apply();
    ASSERT_TRUE(next.ok()) << at << ": " << next.error().message;
    undone += next.value().code == "undone";
    EXPECT_TRUE(next.value().code == "undone" || next.value().code == "rolled_back" ||
                next.value().code == "failed_before")
        << at << ": " << next.value().code;
    EXPECT_EQ(world.running_version(), "0.1.0") << at;
    EXPECT_EQ(world.installation.current(), "0.1.0") << at;
    EXPECT_FALSE(world.state().work) << at;
    EXPECT_NE(failure_of(world.state(), {0, 2, 0}), nullptr) << at;
    EXPECT_EQ(world.apply().value().code, "failed_before") << at;
    EXPECT_EQ(world.installation.confirmed(), "0.1.0") << at;
  }
  EXPECT_GT(at, 50);
  EXPECT_GT(undone, 5);
}

TEST(Power, ARollbackByHandIsFinished) {
  for (int at = 0;; ++at) {
    World world;
    world.publish({"0.2.0"});
    ASSERT_EQ(world.apply().value().code, "updated");
    const bool gone = interrupted(world, at, [&] { (void)world.updater().rollback(); });
    expect_runnable(world, at);
    world.boot();
    if (!gone) {
      EXPECT_GT(at, 8);
      break;
    }
    const auto next = world.updater().rollback();
    // It is finished, or has been; or it had not begun, and is done now.
    EXPECT_TRUE(next.ok() || next.error().code == ErrorCode::kNotFound) << at;
    EXPECT_EQ(world.running_version(), "0.1.0") << at;
    EXPECT_FALSE(world.state().work) << at;
  }
}

TEST(Power, TwiceInARow) {
  // Once while the new release is tried, once more while that is finished.
  for (int first = 10; first < 40; first += 3) {
    for (int second = 0; second < 12; second += 2) {
      World world;
      world.publish({"0.2.0"});
      interrupted(world, first, [&] { (void)world.apply(); });
      world.boot();
      interrupted(world, second, [&] { (void)world.apply(); });
      expect_runnable(world, first);
      world.boot();
      ASSERT_TRUE(world.apply().ok());
      EXPECT_EQ(world.running_version(), "0.2.0") << first << ", " << second;
    }
  }
}

TEST(Power, EveryPlaceBetweenTwoWrites) {
  // What the disk may hold: each phase with the link at either end.
  struct Case {
    Phase phase;
    const char *link, *ends_in;
  };
  for (const auto& [phase, link, ends_in] :
       {Case{Phase::kSwitching, "0.1.0", "0.2.0"}, Case{Phase::kSwitching, "0.2.0", "0.2.0"},
        Case{Phase::kChecking, "0.2.0", "0.2.0"}, Case{Phase::kChecking, "0.1.0", "0.2.0"},
        Case{Phase::kUndoing, "0.2.0", "0.1.0"}, Case{Phase::kUndoing, "0.1.0", "0.1.0"}}) {
    World world;
    world.publish({"0.2.0"});
    ASSERT_EQ(world.apply().value().code, "updated");
    State state = world.state();
    state.current = "0.1.0";
    state.previous = "";
    state.work = Work{phase, "0.1.0", "0.2.0", "why"};
    ASSERT_TRUE(store_state(world.installation.state_file(), state).ok());
    ASSERT_TRUE(world.installation.switch_to(link).ok());
    ASSERT_TRUE(world.installation.confirm("0.1.0").ok());
    // And rests of writes that did not come to their end.
    put(world.home / "releases/.new-0.1.7/bin/brainlock", "half");
    put(world.home / "update/state.json.tmp.abc", "{");
    fs::create_symlink("nowhere", world.home / "releases/current.new");
    world.boot();
    ASSERT_TRUE(world.apply().ok());
    EXPECT_EQ(world.installation.current(), ends_in) << phase_name(phase) << " " << link;
    EXPECT_EQ(world.running_version(), ends_in);
    EXPECT_EQ(world.installation.confirmed(), ends_in);
    EXPECT_FALSE(world.state().work);
  }
}

TEST(Disk, LinksAreReplacedInOneStep) {
  TemporaryFolder folder;
  put(folder.path / "a", "a");
  put(folder.path / "link", "a file in its place");
  ASSERT_TRUE(put_link(folder.path / "link", "a").ok());
  EXPECT_EQ(fs::read_symlink(folder.path / "link"), "a");
  EXPECT_EQ(get(folder.path / "link"), "a");
  EXPECT_EQ(put_link(folder.path / "nowhere" / "link", "a").error().code, ErrorCode::kIo);
  fs::create_directory(folder.path / "folder");
  EXPECT_EQ(put_link(folder.path / "folder", "a").error().code, ErrorCode::kIo);
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder.path / "folder.new")));
}

}  // namespace
}  // namespace brainlock::update
