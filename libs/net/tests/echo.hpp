// An application and a raw socket for the tests of this library.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "brainlock/net/client.hpp"
#include "brainlock/net/server.hpp"

namespace brainlock::net {

using namespace std::chrono_literals;

/// Waits for a condition that another thread makes true; tests fail rather than hang.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

/// Echoes bodies; /nothing has no content, /refuse refuses before the body, /enough closes besides, /toolong refuses in the middle of it, /hold answers only when told,
/// /ordinary is of an ordinary asker.
struct Echo final : Application {
  struct One final : Exchange {
    Echo& app;
    std::string target;
    std::vector<std::uint8_t> bytes;
    One(Echo& a, std::string t) : app(a), target(std::move(t)) {}
    std::optional<Response> body(std::span<const std::uint8_t> piece) override {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      if (target == "/toolong" && bytes.size() > 100'000) return Response{413, "text/plain", {}, text_bytes("enough")};
      return std::nullopt;
    }
    void complete(Respond respond) override {
      if (target != "/hold") return respond({200, "application/octet-stream", {{"X-Test", "yes"}}, std::move(bytes)});
      const std::lock_guard lock(app.mutex);
      app.held = std::move(respond);
    }
    void cancelled() override { ++app.cancellations; }
    bool ordinary() const override { return target == "/ordinary"; }
  };

  std::variant<Response, std::unique_ptr<Exchange>> begin(const RequestHead& head) override {
    {
      const std::lock_guard lock(mutex);
      last = head;
    }
    if (head.target == "/enough") return Response{429, "text/plain", {}, text_bytes("enough"), /*close=*/true};
    if (head.target == "/nothing") return Response{204, "", {}, {}};
    if (head.target == "/refuse") return Response{403, "text/plain", {}, text_bytes("no")};
    return std::make_unique<One>(*this, head.target);
  }

  std::mutex mutex;
  RequestHead last;
  Respond held;
  std::atomic<int> cancellations{0};
};

/// A socket that sends what it likes, from any address of this machine (127.0.0.0/8 is all ours).
struct Raw {
  int fd;
  explicit Raw(std::uint16_t port, const std::string& from = "127.0.0.1") : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    ::inet_pton(AF_INET, from.c_str(), &own.sin_addr);
    ::bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    timeval limit{5, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Raw() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  void send(std::string_view text) const { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }
  /// Everything until the server closes (or 5 s).
  [[nodiscard]] std::string read_all() const {
    std::string out;
    char buffer[4096];
    for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
    return out;
  }
  bool connected = false;
};

/// Takes connections on this machine, at a port of its own.
struct Listener {
  int fd;
  std::uint16_t port = 0;
  explicit Listener(int backlog) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&own), size), 0);
    EXPECT_EQ(::listen(fd, backlog), 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
    port = ntohs(own.sin_port);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

}  // namespace brainlock::net
