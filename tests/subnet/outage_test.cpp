// A validator that is cut off blames nobody for it; miners that are silent together are to blame.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "hindering.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;
using std::chrono::milliseconds;

/// An address that takes no connection and refuses none, as where the line is down.
class BlackHole {
 public:
  BlackHole() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 0), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    for (int& peer : peers_) {
      peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      (void)::connect(peer, reinterpret_cast<sockaddr*>(&address), size);   // until its line of those that wait is full
    }
  }
  BlackHole(const BlackHole&) = delete;
  ~BlackHole() {
    for (const int peer : peers_) ::close(peer);
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int listener_;
  std::array<int, 4> peers_{};
  std::uint16_t port_ = 0;
};

class CutOff : public HinderedSubnet {
 protected:
  std::unique_ptr<validator::Validator> validator() {
    return make_validator(self, ledger, folder.path, {}, [this](net::EventLevel, std::string_view event, const net::EventFields&) { outages += event == "outage" ? 1 : 0; });
  }
  std::atomic<int> outages{0};
};

TEST_F(CutOff, WhoIsCutOffBlamesNobody) {
  for (const char* name : {"one", "two"}) add(name);
  const auto validator = this->validator();
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  const BlackHole nothing;
  for (const ledger::Uid uid : {ledger::Uid{1}, ledger::Uid{2}}) ledger->serve(uid, nothing.port());
  // The line breaks when the round has begun.
  std::jthread cut([&] {
    std::this_thread::sleep_for(milliseconds(500));
    ledger->away = true;
  });
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->failed, 0u);
  EXPECT_EQ(report->not_counted, 2u);
  EXPECT_EQ(outages, 1);
  EXPECT_EQ(newest(*validator).reason, protocol::reason_name(Reason::kValidatorError));
  EXPECT_THAT(newest(*validator).detail, testing::HasSubstr("cut off"));
  EXPECT_EQ(validator->activity().excused, 2u);
  ledger->away = false;
  const auto standings = *validator->standings();
  for (const auto& standing : standings) EXPECT_EQ(standing.standing.failures, 0u);
}

// Whoever owns all miners must not be able to let them rest.
TEST_F(CutOff, MinersThatAreSilentTogetherAreNotExcused) {
  for (const char* name : {"one", "two"}) add(name);
  const auto validator = this->validator();
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  const BlackHole nothing;
  for (const ledger::Uid uid : {ledger::Uid{1}, ledger::Uid{2}}) ledger->serve(uid, nothing.port());
  const auto first = validator->run_round();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->asked, 0u) << "it is not known yet";
  ledger->change([](ledger::Metagraph& m) { ++m.block; });
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_EQ(validator->run_round(stopped.get_token())->failed, 2u);
  EXPECT_EQ(outages, 0);
}

TEST_F(CutOff, OneThatIsSilentWhileOthersAnswerHasFailedAtOnce) {
  for (const char* name : {"one", "two"}) add(name);
  const auto validator = this->validator();
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  const BlackHole nothing;
  ledger->serve(1, nothing.port());
  const auto report = validator->run_round();
  EXPECT_EQ(report->succeeded, 1u);
  EXPECT_EQ(report->failed, 1u);
}

}  // namespace
}  // namespace brainlock::test
