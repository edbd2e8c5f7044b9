// The clock of a node's HTTP server, from a server that answers one request with given words.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "brainlock/chain/transport.hpp"

namespace brainlock::chain {
namespace {

class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    endpoint_ = parse_endpoint("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port))).value();
    thread_ = std::jthread([this, text = std::move(answer)] {
      const int fd = ::accept(listener_, nullptr, nullptr);
      char request[4096];
      (void)::recv(fd, request, sizeof request, 0);
      (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      ::shutdown(fd, SHUT_WR);
      while (::recv(fd, request, sizeof request, 0) > 0) {
      }
      ::close(fd);
    });
  }
  ~OneAnswer() {
    ::shutdown(listener_, SHUT_RDWR);  // where nobody came
    thread_ = {};
    ::close(listener_);
  }
  [[nodiscard]] Result<ServerDate> ask() const { return read_server_date(endpoint_, Milliseconds{5'000}); }

 private:
  int listener_;
  Endpoint endpoint_;
  std::jthread thread_;
};

TEST(ServerDate, IsReadWhateverTheAnswerIs) {
  for (const char* status : {"200 OK", "405 Method Not Allowed", "503 Service Unavailable"}) {
    const OneAnswer server(std::string("HTTP/1.1 ") + status + "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n{}");
    const auto date = server.ask();
    ASSERT_TRUE(date.ok()) << date.error().to_string();
    EXPECT_EQ(date->unix_ms, 784'111'777'000);
    EXPECT_LE(date->asked_ms, date->answered_ms);
  }
}

TEST(ServerDate, WithoutOneThereIsNone) {
  for (const char* header : {"", "Date: yesterday\r\n", "Date: Sun, 06 Nov 1994 08:49:37 +0100\r\n"}) {
    const OneAnswer server(std::string("HTTP/1.1 200 OK\r\n") + header + "Content-Length: 2\r\n\r\n{}");
    EXPECT_EQ(server.ask().error().code, ErrorCode::kNotFound) << header;
  }
}

TEST(ServerDate, NobodyThere) {
  EXPECT_EQ(read_server_date(parse_endpoint("http://127.0.0.1:1").value(), Milliseconds{5'000}).error().code, ErrorCode::kUnavailable);
}

TEST(Endpoints, SeveralAreSeparatedByCommas) {
  const auto endpoints = parse_endpoints("finney,ws://127.0.0.1:9944");
  ASSERT_TRUE(endpoints.ok());
  ASSERT_EQ(endpoints->size(), 2U);
  EXPECT_EQ((*endpoints)[1].url(), "ws://127.0.0.1:9944");
  EXPECT_EQ(parse_endpoints("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(parse_endpoints("finney,,").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::chain
