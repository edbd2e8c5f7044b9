// The two transports against a server of raw sockets that answers one connection with canned bytes.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "brainlock/chain/transport.hpp"

namespace brainlock::chain {
namespace {

using ::testing::HasSubstr;
constexpr Milliseconds kPatience{20'000};

class OneAnswer {
 public:
  OneAnswer(std::string answer, bool ipv6 = false) : answer_(std::move(answer)) {
    listener_ = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage address{};
    socklen_t size = ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    address.ss_family = ipv6 ? AF_INET6 : AF_INET;
    if (ipv6) {
      v6->sin6_addr = in6addr_loopback;
    } else {
      v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    auto* any = reinterpret_cast<sockaddr*>(&address);
    open_ =
        ::bind(listener_, any, size) == 0 && ::listen(listener_, 1) == 0 && ::getsockname(listener_, any, &size) == 0;
    if (!open_) return;
    const auto port = ntohs(ipv6 ? v6->sin6_port : v4->sin_port);
    authority_ = (ipv6 ? std::string("[::1]:") : std::string("127.0.0.1:")) + std::to_string(port);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneAnswer() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] bool is_open() const { return open_; }
  [[nodiscard]] const std::string& authority() const { return authority_; }
  std::string request_head() { return head_.get_future().get(); }

 private:
  void serve() {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    std::string head;
    for (char c = 0; !head.ends_with("\r\n\r\n") && ::recv(fd, &c, 1, 0) == 1;) head.push_back(c);
    head_.set_value(head);
    (void)::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    for (char c = 0; ::recv(fd, &c, 1, 0) == 1;) {
    }
    ::close(fd);
  }

  std::string answer_, authority_;
  int listener_ = -1;
  bool open_ = false;
  std::promise<std::string> head_;
  std::thread thread_;
};

std::string http(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
         body;
}

TEST(HttpTransport, AnswersAndRefusalsWhateverTheStatus) {
  OneAnswer good(http("200 OK", R"( {"jsonrpc":"2.0","id":1,"result":"0x01"})"));
  const auto reply =
      (*connect(*parse_endpoint("http://" + good.authority()), kPatience))->request("m", "[]", kPatience);
  ASSERT_TRUE(reply.ok()) << reply.error().to_string();
  EXPECT_EQ(reply->result, "\"0x01\"");
  EXPECT_THAT(good.request_head(), HasSubstr("\r\nHost: " + good.authority() + "\r\n"));
  OneAnswer refusing(http("400 Bad Request", R"({"id":null,"error":{"message":"Parse error"}})"));
  const auto refused =
      (*connect(*parse_endpoint("http://" + refusing.authority()), kPatience))->request("m", "[]", kPatience);
  ASSERT_TRUE(refused.ok()) << refused.error().to_string();
  EXPECT_EQ(refused->error->message, "Parse error");
}

TEST(HttpTransport, PagesThatNoNodeMadeAreErrorsThatSayWhatToDo) {
  OneAnswer sockets_only(http("426 Upgrade Required", "Upgrade Required"));
  const auto reply =
      (*connect(*parse_endpoint("http://" + sockets_only.authority()), kPatience))->request("m", "[]", kPatience);
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr("ws://"));
  OneAnswer proxy(http("502 Bad Gateway", "<html>later</html>"));
  const auto other =
      (*connect(*parse_endpoint("http://" + proxy.authority()), kPatience))->request("m", "[]", kPatience);
  EXPECT_THAT(other.error().message, HasSubstr("HTTP 502"));
}

TEST(WebSocketTransport, ANodeWithoutWebSocketIsNamed) {
  OneAnswer http_only(http("405 Method Not Allowed", ""));
  const auto made = connect(*parse_endpoint("ws://" + http_only.authority()), kPatience);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(made.error().message, HasSubstr("http://"));
}

TEST(WebSocketTransport, AnIpv6HostStandsInBrackets) {
  OneAnswer server(http("400 Bad Request", ""), /*ipv6=*/true);
  if (!server.is_open()) GTEST_SKIP() << "this machine has no IPv6 loop-back address";
  EXPECT_FALSE(connect(*parse_endpoint("ws://" + server.authority()), kPatience).ok());
  EXPECT_THAT(server.request_head(), HasSubstr("\r\nHost: " + server.authority() + "\r\n"));
}

}  // namespace
}  // namespace brainlock::chain
