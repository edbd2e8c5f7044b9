#include "uplink.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace brainlock::validator {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST(Uplink, QuestionsWaitForAPartThatHasBegunAndNoOtherBegins) {
  Uplink line(8);
  std::atomic<int> parts{0};
  std::atomic<bool> asked{false}, began_while_asking{false};
  std::optional<Uplink::Upload> upload(std::in_place, line, std::stop_token());
  std::jthread questions([&](const std::stop_token& stop) {
    const Uplink::Questions quiet(line, stop);
    asked = true;
    std::this_thread::sleep_for(milliseconds(200));
    began_while_asking = parts > 0;
  });
  std::this_thread::sleep_for(milliseconds(150));
  EXPECT_FALSE(asked) << "a part was under way";
  std::jthread uploading([&](const std::stop_token& stop) {
    upload->between_parts(stop);
    ++parts;
  });
  questions.join();
  uploading.join();
  EXPECT_TRUE(asked);
  EXPECT_FALSE(began_while_asking);
  EXPECT_EQ(parts, 1);
  upload.reset();
}

TEST(Uplink, APartThatTakesLongIsNotWaitedForTwice) {
  Uplink line(8);
  const Uplink::Upload slow(line, {});
  const auto begun = Clock::now();
  { const Uplink::Questions first(line, {}); }
  const auto waited = Clock::now() - begun;
  EXPECT_GE(waited, Uplink::kPartMoment - milliseconds(100));
  EXPECT_LT(waited, Uplink::kPartMoment + milliseconds(1000));
  { const Uplink::Questions second(line, {}); }
  EXPECT_LT(Clock::now() - begun - waited, milliseconds(200)) << "it is slow, so it does not fill the line";
}

TEST(Uplink, UploadsWaitForTheirTurn) {
  Uplink line(2);
  std::optional<Uplink::Upload> first(std::in_place, line, std::stop_token());
  const Uplink::Upload second(line, {});
  std::atomic<bool> began{false};
  std::jthread third([&](const std::stop_token& stop) {
    const Uplink::Upload upload(line, stop);
    began = true;
  });
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_FALSE(began);
  first.reset();
  third.join();
  EXPECT_TRUE(began);
}

TEST(Uplink, WhoIsStoppedDoesNotWait) {
  Uplink line(8);
  const Uplink::Questions quiet(line, {});
  std::stop_source stopped;
  stopped.request_stop();
  const auto begun = Clock::now();
  Uplink::Upload upload(line, stopped.get_token());
  upload.between_parts(stopped.get_token());
  const Uplink::Questions more(line, stopped.get_token());
  EXPECT_LT(Clock::now() - begun, milliseconds(500));
}

}  // namespace
}  // namespace brainlock::validator
