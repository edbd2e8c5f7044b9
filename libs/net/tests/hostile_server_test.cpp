// The client against servers that do not come to an end.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "echo.hpp"

namespace brainlock::net {
namespace {

constexpr std::size_t kEnough = 64 << 20;   // of an answer that should have been given up long before; what sockets hold is a few megabytes

/// Takes one connection and says what it is told to.
class Talker {
 public:
  /// Says `begin`, then `filler` until nobody listens, or enough was said.
  Talker(std::string begin, std::string filler) {
    thread_ = std::thread([this, begin = std::move(begin), filler = std::move(filler)] {
      const int peer = ::accept(listener_.fd, nullptr, nullptr);
      char request[4096];
      if (::recv(peer, request, sizeof request, 0) > 0 && say(peer, begin) && !filler.empty()) {
        while (said_ < kEnough && say(peer, filler)) {}
      }
      ::close(peer);
    });
  }
  ~Talker() { thread_.join(); }
  std::uint16_t port() const { return listener_.port; }
  /// Bytes that went, once the client has gone.
  std::size_t said() {
    thread_.join();
    thread_ = std::thread([] {});
    return said_;
  }

 private:
  bool say(int peer, const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
      const auto sent = ::send(peer, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<std::size_t>(sent);
      said_ += static_cast<std::size_t>(sent);
    }
    return true;
  }

  Listener listener_{1};
  std::size_t said_ = 0;
  std::thread thread_;
};

Result<Answer> ask(Talker& talker) {
  Client client("127.0.0.1", talker.port());
  return client.send({"GET", "/", {}, {}}, {.connect_timeout_ms = 5'000, .total_timeout_ms = 60'000, .max_answer_bytes = 1'000});
}

const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(HostileServer, AnswersWithoutAnEndAreGivenUp) {
  const struct {
    const char* what;
    std::string begin, filler;
  } cases[] = {
      {"a header", "HTTP/1.1 200 OK\r\nX: ", std::string(4096, 'x')},
      {"headers", "HTTP/1.1 200 OK\r\n", "X-Another: one\r\n"},
      {"a body", "HTTP/1.1 200 OK\r\n\r\n", std::string(4096, 'x')},
      {"chunks", kChunked, "10\r\n0123456789abcdef\r\n"},
      {"an extension of a chunk", kChunked + "5;", std::string(4096, 'x')},
      {"extensions of a chunk", kChunked + "5", ";name=value"},
      {"a number of bytes", kChunked, std::string(4096, '0')},
      {"a trailer", kChunked + "5\r\nhello\r\n0\r\nX: ", std::string(4096, 'x')},
      {"trailers", kChunked + "5\r\nhello\r\n0\r\n", "X-Another: one\r\n"},
  };
  for (const auto& c : cases) {
    Talker talker(c.begin, c.filler);
    const auto answer = ask(talker);
    ASSERT_FALSE(answer.ok()) << c.what;
    EXPECT_EQ(answer.error().code, ErrorCode::kTooLarge) << c.what << ": " << answer.error().to_string();
    EXPECT_LT(talker.said(), kEnough) << c.what;
  }
}

TEST(HostileServer, AnAnswerInChunksIsOneToo) {
  Talker talker(kChunked + "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-After: all\r\n\r\n", "");
  const auto answer = ask(talker);
  ASSERT_TRUE(answer.ok()) << answer.error().to_string();
  EXPECT_EQ(std::string(answer->body.begin(), answer->body.end()), "hello world");
}

}  // namespace
}  // namespace brainlock::net
