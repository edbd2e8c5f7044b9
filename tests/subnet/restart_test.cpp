// Miners that are restarted, or were down: they lose their own downtime and little more.
#include <gmock/gmock.h>

#include <thread>

#include "hindering.hpp"
#include "key_delivery.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;
using protocol::Refusal;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class Restarting : public HinderedSubnet {};

// A miner that is upgraded while a key is on its way: it says so, is gone, is starting. Its own downtime is all that it loses.
TEST_F(Restarting, AnUploadGoesOnAfterARestart) {
  const auto parts = std::make_shared<std::atomic<int>>(0);
  const auto begin = std::make_shared<std::optional<steady_clock::time_point>>();
  const auto hinder = [parts, begin](const net::RequestHead& head) -> std::optional<net::Response> {
    if (is_key_part(head) && ++*parts == 2) *begin = steady_clock::now();
    if (!*begin || steady_clock::now() > **begin + milliseconds(4000)) return std::nullopt;
    return refusal(steady_clock::now() < **begin + milliseconds(2500) ? Refusal::kShuttingDown : Refusal::kStarting);
  };
  add("upgraded", hinder);
  const auto validator = make_validator(self, ledger, folder.path);
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->succeeded, 1u);
  EXPECT_LE(*parts, 5) << "four parts, one of them twice";
  EXPECT_LT(newest(*validator).response_s, 1) << "a first upload is not timed";
}

TEST_F(Restarting, AnUploadGoesOnWhenTheServerIsBack) {
  const auto parts = std::make_shared<std::atomic<int>>(0);
  auto& miner = add("killed", [parts](const net::RequestHead& head) -> std::optional<net::Response> {
    if (is_key_part(head) && ++*parts >= 2) std::this_thread::sleep_for(milliseconds(200));
    return std::nullopt;
  });
  const std::uint16_t port = miner.server->port();
  std::jthread killer([&] {
    while (*parts < 2) std::this_thread::sleep_for(milliseconds(5));
    miner.server.reset();
    std::this_thread::sleep_for(milliseconds(3000));
    put_before(miner, [](const net::RequestHead&) -> std::optional<net::Response> { return std::nullopt; }, {.address = "127.0.0.1", .port = port});
  });
  const auto validator = make_validator(self, ledger, folder.path);
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
}

// The next upload goes on after ten seconds, each time, where it would wait for minutes after some of that kind; but not for ever.
TEST_F(Restarting, UploadsThatARestartBrokeOffAreNoFailuresOfTheKey) {
  const auto restarts = std::make_shared<std::atomic<bool>>(true), starting = std::make_shared<std::atomic<bool>>(false);
  const auto& miner = add("restarts", [restarts, starting](const net::RequestHead& head) -> std::optional<net::Response> {
    if (*restarts && is_key_part(head)) *starting = true;
    return *starting ? std::optional(refusal(Refusal::kStarting)) : std::nullopt;
  });
  const FakeTaskClient task(folder.path / "client");
  milliseconds ahead{0};
  validator::KeyDelivery keys({20'000, 400, 3, 8}, [&] { return steady_clock::now() + ahead; });
  client::MinerConnection connection(self.signer, {miner.self.account(), "127.0.0.1", miner.server->port(), true});
  for (int i = 0; i < 3; ++i) {
    const auto ready = keys.ensure(connection, task, {});
    EXPECT_EQ(ready.call.reason, Reason::kKeyUpload);
    EXPECT_TRUE(ready.call.restarting) << i << " " << ready.call.detail;
    EXPECT_THAT(keys.ensure(connection, task, {}).call.detail, testing::HasSubstr("the next one is in")) << "not at once";
    *starting = false;
    ahead += milliseconds(10'100);
  }
  // That was enough for an hour.
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(keys.ensure(connection, task, {}).call.restarting) << i;
    *starting = false;
    if (i > 0) {
      ahead += milliseconds(10'100);
      EXPECT_THAT(keys.ensure(connection, task, {}).call.detail, testing::HasSubstr("the next one is in"));
    }
    ahead += milliseconds(10'100) * (1 << i);
  }
  *restarts = false;
  EXPECT_TRUE(keys.ensure(connection, task, {}).call.ok());
}

// A miner that cannot be reached has no key upload that failed: it is dialled again within a minute, however long it was away.
TEST_F(Restarting, WhoWasDownForADayIsFoundWithinAMinute) {
  auto& miner = add("down");
  const std::uint16_t port = miner.server->port();
  miner.server.reset();
  const FakeTaskClient task(folder.path / "client");
  milliseconds ahead{0};
  validator::KeyDelivery keys({20'000, 60'000, 3, 8}, [&] { return steady_clock::now() + ahead; });
  client::MinerConnection connection(self.signer, {miner.self.account(), "127.0.0.1", port, true});
  for (int minute = 0; minute < 30; ++minute, ahead += milliseconds(60'100)) EXPECT_EQ(keys.ensure(connection, task, {}).call.reason, Reason::kUnreachable) << minute;
  put_before(miner, [](const net::RequestHead&) -> std::optional<net::Response> { return std::nullopt; }, {.address = "127.0.0.1", .port = port});
  EXPECT_TRUE(keys.ensure(connection, task, {}).call.ok());
}

}  // namespace
}  // namespace brainlock::test
