#include "brainlock/client/miner_connection.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <thread>

#include "brainlock/crypto/sr25519.hpp"

namespace brainlock::client {
namespace {

/// A machine whose line of those that wait is full: a connection is taken when it is asked for again, a second later.
/// Then whatever is asked is answered at once.
class LateMachine {
 public:
  LateMachine()
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        first_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    auto* const address = reinterpret_cast<sockaddr*>(&own);
    EXPECT_EQ(::bind(listener_, address, size), 0);
    EXPECT_EQ(::listen(listener_, 0), 0);
    EXPECT_EQ(::getsockname(listener_, address, &size), 0);
    port_ = ntohs(own.sin_port);
    EXPECT_EQ(::connect(first_, address, size), 0);
    thread_ = std::jthread([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(900));  // by then it was asked once, in vain
      ::close(::accept(listener_, nullptr, nullptr));
      const int second = ::accept(listener_, nullptr, nullptr);
      std::array<char, 4096> bytes{};
      if (::recv(second, bytes.data(), bytes.size(), 0) <= 0) return;
      constexpr std::string_view kAnswer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
      EXPECT_EQ(::send(second, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(kAnswer.size()));
      while (::recv(second, bytes.data(), bytes.size(), 0) > 0) {
      }
      ::close(second);
    });
  }
  LateMachine(const LateMachine&) = delete;
  ~LateMachine() {
    ::shutdown(listener_, SHUT_RDWR);  // whoever waits there
    thread_.join();
    ::close(first_);
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int listener_, first_;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

TEST(MinerConnection, NoLineIsLongerThanAnAnswerTakes) {
  const LateMachine machine;
  const auto self = protocol::make_signer(crypto::Sr25519KeyPair::from_uri("//asker").value());
  MinerConnection connection(self, {{}, "127.0.0.1", machine.port(), false});
  const std::array<std::uint8_t, 3> question{1, 2, 3};
  const auto call = connection.infer({}, {}, question, {});
  ASSERT_EQ(call.reason, protocol::Reason::kRefused) << call.detail;
  ASSERT_GT(call.connect_s, call.response_s) << "the connection was late";
  EXPECT_GT(call.round_trip_s, 0);
  EXPECT_LE(call.round_trip_s, call.response_s);
  EXPECT_GE(call.network_s, call.round_trip_s);
  EXPECT_LE(call.network_s, call.response_s);
}

}  // namespace
}  // namespace brainlock::client
