#include "brainlock/miner/replay_fence.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <future>
#include <map>
#include <thread>

namespace brainlock::miner {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNow = 1'800'000'000'000, kWindow = protocol::kTimeWindowMs, kLead = 2'000;   // as by default
constexpr protocol::AccountId kAsker{1}, kOther{2};

struct ReplayFenceTest : testing::Test {
  fs::path folder = fs::temp_directory_path() / ("brainlock-fence-" + std::to_string(::getpid()) + "-" + testing::UnitTest::GetInstance()->current_test_info()->name());
  fs::path file = folder / "replay.fence";
  ReplayFenceOptions options;
  std::map<std::string, int> events;

  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  std::unique_ptr<ReplayFence> open(std::int64_t now_ms = kNow) {
    return ReplayFence::open(file, now_ms, options, [this](net::EventLevel, std::string_view event, const net::EventFields&) { ++events[std::string(event)]; });
  }
  std::string text() const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(std::string_view bytes) const { std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes; }
  /// What writes when nothing is injected.
  static Status really_write(const fs::path& file, std::string_view bytes) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << bytes;
    return out.flush() ? Status{} : Status(ErrorCode::kIo, "cannot write");
  }
  /// What the file says, to a run that starts so late that nothing is cut off.
  std::int64_t on_disk() const {
    ReplayFenceOptions plain;
    plain.first_run = false;
    return ReplayFence::open(file, kNow + 1'000'000'000, plain)->earlier_ms(kAsker);
  }
};

TEST_F(ReplayFenceTest, NewFolderRefusesNothing) {
  auto fence = open();
  EXPECT_EQ(fence->earlier_ms(kAsker), 0);
  // It is there already: that it is missing later means that it was lost.
  options.first_run = false;
  EXPECT_EQ(open()->earlier_ms(kAsker), 0);
  EXPECT_TRUE(fence->cover(kAsker, kNow, kNow).ok());
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1) << "no temporary file is left";
  EXPECT_TRUE(events.empty());
}

TEST_F(ReplayFenceTest, CrashFencesOffWhatWasTakenAndTheLeadAtMost) {
  ASSERT_TRUE(open()->cover(kAsker, kNow + 100, kNow).ok());
  EXPECT_EQ(open()->earlier_ms(kAsker), kNow + 100 + kLead);
  EXPECT_EQ(events["replay_fence"], 1);
  // An asker whose clock is behind: the lead counts from ours, or each of its requests would be a write.
  ASSERT_TRUE(open(kNow + 60'000)->cover(kAsker, kNow + 53'000, kNow + 60'000).ok());
  EXPECT_EQ(open(kNow + 60'000)->earlier_ms(kAsker), kNow + 60'000 + kLead);
}

TEST_F(ReplayFenceTest, FileIsThereBeforeTheRequestIsTaken) {
  auto made = open();
  int looks = 0;
  options.write = [&](const fs::path& to, std::string_view bytes) {
    const Status done = really_write(to, bytes);
    // Killed here, nothing was taken and the fence stands.
    EXPECT_GE(ReplayFence::open(file, kNow)->earlier_ms(kAsker), kNow + ++looks);
    return done;
  };
  auto fence = open();
  EXPECT_TRUE(fence->cover(kAsker, kNow + 1, kNow).ok());
  EXPECT_TRUE(fence->cover(kAsker, kNow + kWindow, kNow).ok());
  EXPECT_EQ(looks, 2);
}

TEST_F(ReplayFenceTest, CrashBeforeTheRenameKeepsTheOldFence) {
  ASSERT_TRUE(open()->cover(kAsker, kNow, kNow).ok());
  options.write = [](const fs::path& to, std::string_view bytes) {
    (void)really_write(to.string() + ".new", bytes.substr(0, 30));
    return Status(ErrorCode::kIo, "killed");
  };
  EXPECT_EQ(open()->cover(kAsker, kNow + kLead + 1, kNow + kLead).error().code, ErrorCode::kIo) << "not taken";
  options.write = {};
  auto fence = open();
  EXPECT_EQ(fence->earlier_ms(kAsker), kNow + kLead);
  EXPECT_TRUE(fence->cover(kAsker, kNow + kLead + 1, kNow + kLead).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1) << "the half file is used again";
}

TEST_F(ReplayFenceTest, AMinuteUnderLoadIsFortyWritesAndIdlenessNone) {
  int writes = 0;
  options.write = [&](const fs::path& to, std::string_view bytes) {
    ++writes;
    return really_write(to, bytes);
  };
  auto fence = open();
  writes = 0;
  // Askers' clocks are a little off, to both sides.
  for (std::int64_t at = 0; at < 60'000; ++at) ASSERT_TRUE(fence->cover(kAsker, kNow + at + (at * 7919) % 201 - 100, kNow + at).ok());
  EXPECT_GE(writes, 60'000 / kLead);
  EXPECT_LE(writes, 60'000 / (kLead - kLead / 4) + 2);
  // Who dates its requests as far ahead as it may makes no more writes of it.
  writes = 0;
  for (std::int64_t at = 60'000; at < 120'000; ++at) ASSERT_TRUE(fence->cover(kAsker, kNow + at + (at % 2 == 0 ? kWindow : -kWindow), kNow + at).ok());
  EXPECT_LE(writes, (60'000 + kWindow) / (kLead - kLead / 4) + 1);
  writes = 0;
  ASSERT_TRUE(fence->cover(kAsker, kNow + 120'000, kNow + 120'000).ok());
  EXPECT_EQ(writes, 0) << "idle hours need none";
}

TEST_F(ReplayFenceTest, PlannedStopTakesTheLeadBack) {
  {
    auto fence = open();
    ASSERT_TRUE(fence->cover(kAsker, kNow + 7, kNow).ok());
    ASSERT_TRUE(fence->cover(kAsker, kNow + 3, kNow).ok());
    EXPECT_TRUE(fence->settle().ok());
    EXPECT_EQ(on_disk(), kNow + 7);
    EXPECT_TRUE(fence->settle().ok()) << "again";
  }
  // A run that takes nothing keeps what the one before it took; so does one that takes only older requests.
  auto fence = open(kNow + 1);
  EXPECT_EQ(fence->earlier_ms(kAsker), kNow + 7);
  EXPECT_TRUE(fence->settle().ok());
  EXPECT_EQ(on_disk(), kNow + 7);
  // What still comes after it is covered anew.
  EXPECT_TRUE(fence->cover(kAsker, kNow + 8, kNow + 8).ok());
  EXPECT_EQ(on_disk(), kNow + 8 + kLead);
}

TEST_F(ReplayFenceTest, WhatCannotBeReadFencesOffTheWholeWindow) {
  std::vector<std::string> bad;
  for (const bool of_askers : {false, true}) {
    auto fence = open(kNow - kWindow);
    ASSERT_TRUE(fence->cover(kAsker, kNow - kWindow + (of_askers ? kLead : 0), kNow - kWindow).ok());
    const std::string good = text();
    ASSERT_EQ(on_disk(), kNow - kWindow + kLead + (of_askers ? kLead : 0));
    for (std::size_t length = 0; length < good.size(); ++length) bad.push_back(good.substr(0, length));
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      bad.push_back(changed);
    }
    bad.push_back(good + "\n");
    bad.push_back(good.substr(0, good.size() - 65) + std::string(64, '0') + "\n");
    fs::remove(file);
  }
  bad.push_back(std::string(1 << 20, '1'));
  bad.push_back(std::string(100, '\0'));
  bad.push_back("brainlock-replay-fence-v1\n99999999999999999999999\n");
  bad.push_back("brainlock-replay-fence-v1\n-5\n");
  for (const auto& bytes : bad) {
    put(bytes);
    events.clear();
    auto fence = open();
    EXPECT_EQ(fence->earlier_ms(kAsker), kNow + kWindow + kLead) << bytes.substr(0, 200);
    EXPECT_EQ(events["replay_fence_lost"], 1);
    // It is made good at once, so that another start does not begin to count anew; and the miner goes on.
    EXPECT_EQ(open(kNow + 5'000)->earlier_ms(kAsker), kNow + kWindow + kLead);
    EXPECT_TRUE(fence->cover(kAsker, kNow + kWindow + kLead + 1, kNow + kLead + 1).ok());
  }
  fs::remove(file);
  fs::create_directory(file);
  events.clear();
  auto fence = open();
  EXPECT_EQ(fence->earlier_ms(kAsker), kNow + kWindow + kLead) << "a folder";
  EXPECT_EQ(events["replay_fence_lost"], 1);
  EXPECT_EQ(events["replay_fence_not_written"], 1);
  EXPECT_EQ(fence->cover(kAsker, kNow + kWindow + kLead + 1, kNow + kLead + 1).error().code, ErrorCode::kIo);
}

TEST_F(ReplayFenceTest, FileThatIsMissingWhereARunHasServedCountsAsLost) {
  options.first_run = false;
  EXPECT_EQ(open()->earlier_ms(kAsker), kNow + kWindow + kLead);
  EXPECT_EQ(events["replay_fence_lost"], 1);
  EXPECT_EQ(open()->earlier_ms(kAsker), kNow + kWindow + kLead);
  EXPECT_EQ(events["replay_fence_lost"], 1) << "it is there again";
}

TEST_F(ReplayFenceTest, ClockThatWasWrongDoesNotLockTheMinerOut) {
  const std::int64_t wrong = kNow + 365LL * 24 * 3600 * 1000;
  ASSERT_TRUE(open(wrong)->cover(kAsker, wrong, wrong).ok());
  auto fence = open();
  EXPECT_EQ(fence->earlier_ms(kAsker), kNow + kWindow + kLead);
  EXPECT_EQ(events["replay_fence_ahead"], 1);
  EXPECT_EQ(open(kNow + 9'000)->earlier_ms(kAsker), kNow + kWindow + kLead) << "and not longer for being started again";
  EXPECT_EQ(events["replay_fence_ahead"], 1);
  const std::int64_t later = kNow + kWindow + kLead + 1;
  EXPECT_TRUE(fence->cover(kAsker, later, later).ok());
  EXPECT_EQ(on_disk(), later + kLead);
}

// One clock that is ahead must not keep a miner that was killed shut to all the others.
TEST_F(ReplayFenceTest, AnAskerWhoseClockIsAheadShutsOutItselfAlone) {
  for (const std::int64_t ahead : {std::int64_t{400}, std::int64_t{600}, kLead, kWindow}) {
    ASSERT_TRUE(open()->cover(kAsker, kNow + ahead, kNow).ok());
    const auto fence = open();
    EXPECT_GE(fence->earlier_ms(kAsker), kNow + ahead);
    EXPECT_LE(fence->earlier_ms(kAsker), kNow + ahead + kLead);
    EXPECT_LE(fence->earlier_ms(kOther), kNow + kLead + kLead / 4) << ahead;
    EXPECT_GE(fence->earlier_ms(kOther), kNow + kLead);
    fs::remove(file);
  }
}

TEST_F(ReplayFenceTest, ManyClocksAheadAreNoMoreWrites) {
  int writes = 0;
  options.write = [&](const fs::path& to, std::string_view bytes) {
    ++writes;
    return really_write(to, bytes);
  };
  auto fence = open();
  const auto asker = [](std::int64_t number) { return protocol::AccountId{static_cast<std::uint8_t>(number), 9}; };
  for (std::int64_t at = 0; at < 10'000; ++at) ASSERT_TRUE(fence->cover(asker(at % 50), kNow + at + 1'000 + 140 * (at % 50), kNow + at).ok());
  writes = 0;
  for (std::int64_t at = 10'000; at < 70'000; ++at) ASSERT_TRUE(fence->cover(asker(at % 50), kNow + at + 1'000 + 140 * (at % 50), kNow + at).ok());
  EXPECT_LE(writes, 60'000 / (kLead - kLead / 4) + 2) << "each extends them all";
  EXPECT_LE(open(kNow + 70'000)->earlier_ms(kAsker), kNow + 70'000 + kLead + kLead / 4);
}

TEST_F(ReplayFenceTest, HotkeysWithoutEndTakeNobodysPlace) {
  auto fence = open();
  const auto asker = [](std::size_t number, std::uint8_t kind) { return protocol::AccountId{static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8), kind}; };
  for (std::size_t i = 0; i < ReplayFence::kMostOrdinaryAhead; ++i) ASSERT_TRUE(fence->cover(asker(i, 1), kNow + kWindow, kNow, false).ok());
  EXPECT_EQ(fence->cover(asker(9'999, 1), kNow + kWindow, kNow, false).error().code, ErrorCode::kDenied);
  EXPECT_TRUE(fence->cover(asker(9'999, 1), kNow + 400, kNow, false).ok()) << "its clock is right";
  for (std::size_t i = 0; i < ReplayFence::kMostAhead - ReplayFence::kMostOrdinaryAhead; ++i) ASSERT_TRUE(fence->cover(asker(i, 2), kNow + kWindow, kNow).ok());
  EXPECT_EQ(fence->cover(asker(9'999, 2), kNow + kWindow, kNow).error().code, ErrorCode::kDenied);
  // The fullest file can be read.
  EXPECT_EQ(open()->earlier_ms(asker(3, 2)), kNow + kWindow + kLead);
  EXPECT_EQ(events["replay_fence_lost"], 0);
  // And they are forgotten when nothing of theirs can come again.
  const std::int64_t later = kNow + 3 * kWindow;
  EXPECT_TRUE(fence->cover(asker(9'999, 1), later + kWindow, later, false).ok());
}

TEST_F(ReplayFenceTest, WhateverComesTheFileFencesItOff) {
  std::uint64_t random = 42;
  const auto draw = [&random](std::int64_t below) {
    random = random * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    return static_cast<std::int64_t>(random >> 33) % below;
  };
  bool fails = false;
  options.write = [&](const fs::path& to, std::string_view bytes) { return fails ? Status(ErrorCode::kResource, "full") : really_write(to, bytes); };
  std::int64_t now = kNow;
  std::map<protocol::AccountId, std::int64_t> taken;
  auto fence = open(now);
  for (int step = 0; step < 4'000; ++step) {
    now += draw(20) == 0 ? draw(20'000) : draw(300);
    fails = draw(10) == 0;
    const protocol::AccountId sender{static_cast<std::uint8_t>(draw(6))};
    const std::int64_t signed_ms = now + (sender[0] < 3 ? draw(2 * kWindow + 1) - kWindow : draw(400) - 200);
    if (signed_ms > fence->earlier_ms(sender) && fence->cover(sender, signed_ms, now).ok()) taken[sender] = std::max(taken[sender], signed_ms);
    if (draw(50) == 0) (void)fence->settle();
    if (draw(50) == 0) fence = open(now);   // killed
    const auto next = open(now);
    for (const auto& [who, newest] : taken) {
      if (newest >= now - kWindow) {
        ASSERT_GE(next->earlier_ms(who), newest) << step << " " << int{who[0]};
      }
    }
  }
}

TEST_F(ReplayFenceTest, TheMostThatIsWrittenIsNotCutOff) {
  ASSERT_TRUE(open()->cover(kAsker, kNow + kWindow, kNow).ok());
  EXPECT_EQ(open()->earlier_ms(kAsker), kNow + kWindow + kLead);
  EXPECT_EQ(events["replay_fence_ahead"], 0);
  // Set back by the lead: still all that was taken.
  EXPECT_GE(open(kNow - kLead)->earlier_ms(kAsker), kNow + kWindow);
}

TEST_F(ReplayFenceTest, FullDiskRefusesAndIsToldOnce) {
  bool full = false;
  int tries = 0;
  options.write = [&](const fs::path& to, std::string_view bytes) {
    ++tries;
    return full ? Status(ErrorCode::kResource, "full") : really_write(to, bytes);
  };
  auto fence = open();
  tries = 0;
  ASSERT_TRUE(fence->cover(kAsker, kNow, kNow).ok());
  full = true;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(fence->cover(kAsker, kNow + kLead - 1, kNow + kLead).ok()) << "the file covers these";
  EXPECT_EQ(tries, 2) << "written ahead once, in vain, and not for each of them again";
  for (int i = 0; i < 10; ++i) EXPECT_EQ(fence->cover(kAsker, kNow + kLead + 1, kNow + kLead + 1).error().code, ErrorCode::kResource);
  EXPECT_EQ(events["replay_fence_not_written"], 1);
  EXPECT_FALSE(fence->settle().ok());
  EXPECT_EQ(on_disk(), kNow + kLead) << "higher than need be, which is safe";
  full = false;
  EXPECT_TRUE(fence->cover(kAsker, kNow + kLead + 1, kNow + kLead + 1).ok());
  EXPECT_EQ(events["replay_fence_written_again"], 1);
  EXPECT_EQ(events["replay_fence_not_written"], 1);
}

TEST_F(ReplayFenceTest, FolderThatCannotBeWrittenIsAnError) {
  auto fence = open();
  fs::create_directory(file.string() + ".new");
  EXPECT_EQ(fence->cover(kAsker, kNow, kNow).error().code, ErrorCode::kIo);
  fs::remove(file.string() + ".new");
  EXPECT_TRUE(fence->cover(kAsker, kNow, kNow).ok());
  fs::remove_all(folder);
  EXPECT_EQ(fence->cover(kAsker, kNow + kLead + 1, kNow).error().code, ErrorCode::kIo);
}

TEST_F(ReplayFenceTest, WhileOneWritesThoseThatAreCoveredGoOn) {
  std::promise<void> begun, gate;
  std::atomic<int> writes{0};
  options.write = [&](const fs::path& to, std::string_view bytes) {
    if (++writes == 2) {
      begun.set_value();
      gate.get_future().wait();
    }
    return really_write(to, bytes);
  };
  auto fence = open();
  writes = 0;
  ASSERT_TRUE(fence->cover(kAsker, kNow, kNow).ok());
  const std::int64_t beyond = kNow + kLead + 1;
  auto first = std::async(std::launch::async, [&] { return fence->cover(kAsker, beyond, kNow).ok(); });
  begun.get_future().wait();
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(fence->cover(kAsker, kNow + i, kNow).ok());
  EXPECT_TRUE(fence->cover(kAsker, kNow + kLead, kNow).ok()) << "the last one that is covered";
  std::vector<std::future<bool>> others;
  for (int i = 0; i < 8; ++i) others.push_back(std::async(std::launch::async, [&] { return fence->cover(kAsker, beyond, kNow).ok(); }));
  EXPECT_EQ(first.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  gate.set_value();
  EXPECT_TRUE(first.get());
  for (auto& other : others) EXPECT_TRUE(other.get());
  EXPECT_EQ(writes.load(), 2) << "one write for all that waited";
}

TEST_F(ReplayFenceTest, ManyThreadsNeverPassTheFileAndWriteOnceALead) {
  std::atomic<int> writes{0}, inside{0};
  std::atomic<std::int64_t> says{0};
  options.write = [&](const fs::path& to, std::string_view bytes) {
    EXPECT_EQ(++inside, 1) << "one at a time";
    ++writes;
    const Status done = really_write(to, bytes);
    says = std::stoll(std::string(bytes.substr(bytes.find('\n') + 1)));
    --inside;
    return done;
  };
  auto fence = open();
  writes = 0;
  constexpr std::int64_t kCount = 40'000;
  std::atomic<std::int64_t> clock{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (std::int64_t at = 0; (at = clock++) < kCount;) {
        if (!fence->cover(kAsker, kNow + at, kNow + at).ok()) ADD_FAILURE();
        if (kNow + at > says) ADD_FAILURE() << "taken before it was written: " << at;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(writes.load(), kCount / (kLead - kLead / 4) + 2);
  EXPECT_TRUE(fence->settle().ok());
  EXPECT_EQ(on_disk(), kNow + kCount - 1);
}

TEST_F(ReplayFenceTest, SettlingAmongRequestsLetsNoneBeyondTheFile) {
  std::atomic<std::int64_t> says{0};
  options.write = [&](const fs::path& to, std::string_view bytes) {
    const auto until = std::stoll(std::string(bytes.substr(bytes.find('\n') + 1)));
    // What is lower counts from before it is written, what is higher from after.
    if (until < says) says = until;
    const Status done = really_write(to, bytes);
    says = until;
    return done;
  };
  auto fence = open();
  std::atomic<std::int64_t> newest{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t at = 0; at < 500; ++at) {
        const std::int64_t mine = kNow + at * 10 + t;
        if (!fence->cover(kAsker, mine, mine).ok()) ADD_FAILURE();
        for (std::int64_t seen = newest; seen < mine && !newest.compare_exchange_weak(seen, mine);) {
        }
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 100; ++i) {
      const std::int64_t taken = newest;
      if (!fence->settle().ok()) ADD_FAILURE();
      if (says < taken) ADD_FAILURE() << "settled below what was taken";
    }
  });
  for (auto& thread : threads) thread.join();
  EXPECT_GE(on_disk(), newest.load());
}

TEST_F(ReplayFenceTest, KilledAtAnyMomentItStandsAboveAllThatWasTaken) {
  std::int64_t begin = kNow;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      ReplayFenceOptions short_lead;
      short_lead.lead_ms = 4;  // so that most kills hit a write
      const auto fence = ReplayFence::open(file, begin, short_lead);
      for (std::int64_t at = fence->earlier_ms(kAsker) == 0 ? begin : fence->earlier_ms(kAsker) + 1;; ++at) {
        if (!fence->cover(kAsker, at, at).ok() || ::write(ends[1], &at, sizeof at) != sizeof at) ::_exit(3);
      }
    }
    ::close(ends[1]);
    std::int64_t taken = 0, last = 0;
    const auto take = [&] { return ::read(ends[0], &taken, sizeof taken) == sizeof taken; };
    for (int i = 0; i < 10 + 7 * round && take(); ++i) last = taken;
    ::kill(child, SIGKILL);
    while (take()) last = taken;
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    const std::int64_t stands = on_disk();
    EXPECT_GE(stands, last);
    EXPECT_LE(stands, last + 10) << "and not much above";
    begin = stands;
  }
}

}  // namespace
}  // namespace brainlock::miner
