// Hostile clients against a miner in a process of its own: every refusal has its code, the miner's memory and an honest asker's
// time stay as they were.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "brainlock/client/miner_connection.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

using protocol::Refusal;
using protocol::RouteKind;

constexpr int kEngineMs = 60;

/// A connection from an address of its own (127.0.0.0/8 is all ours), closed at the end.
class RawConnection {
 public:
  RawConnection(const std::string& from, std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval time{5, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, from.c_str(), &address.sin_addr);
    connected_ = ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(port);
    connected_ = connected_ && ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  RawConnection(RawConnection&& other) noexcept : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  RawConnection& operator=(RawConnection&&) = delete;
  ~RawConnection() {
    if (socket_ >= 0) ::close(socket_);
  }
  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view text) const { return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()); }
  /// Everything until the miner closes or is silent for 5 s.
  [[nodiscard]] std::string read_all() const {
    std::string out;
    char buffer[4096];
    for (ssize_t got; out.size() < 1'000'000 && (got = ::recv(socket_, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
    return out;
  }

 private:
  int socket_;
  bool connected_;
};

struct Shot {
  protocol::Route route;
  const Person* signer = nullptr;         ///< null: unsigned
  std::span<const std::uint8_t> body{};
  std::int64_t shift_ms = 0;
  const protocol::AccountId* receiver = nullptr;
  std::uint64_t claimed_length = 0;       ///< 0: the body's
};

struct Hostile : testing::Test {
  TemporaryFolder folder;
  Person honest = person("validator"), bad = person("bad validator"), poor = person("poor"), stranger = person("stranger"), self = person("miner");
  std::unique_ptr<ledger::EmbeddedLedger> ledger;
  std::unique_ptr<NodeProcess> miner;
  FakeTaskClient task{folder.path / "client"};

  void SetUp() override {
    ledger = make_ledger(folder.path, {"miner", "poor"}, {"validator", "bad validator"});
    miner = std::make_unique<NodeProcess>(std::vector<std::string>{"miner", folder.path, folder.path / "ledger.sqlite", "miner", "0", std::to_string(kEngineMs)});
    ASSERT_NE(miner->port(), 0);
  }

  protocol::Route route(RouteKind kind) const {
    protocol::Route out;
    out.kind = kind;
    out.package = kPackage;
    out.key = task.key_id();
    return out;
  }
  std::string head_of(const Shot& shot) const {
    const std::string method(protocol::route_method(shot.route.kind)), target = protocol::route_target(shot.route);
    std::string head = method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    const auto length = shot.claimed_length ? shot.claimed_length : shot.body.size();
    if (length > 0) head += "Content-Length: " + std::to_string(length) + "\r\n";
    if (shot.signer != nullptr) {
      protocol::BodyHasher hasher;
      hasher.update(shot.body);
      const auto at_ms = client::system_wall_clock()() + shot.shift_ms;
      const auto signed_request = protocol::sign_request(shot.signer->signer, shot.receiver ? *shot.receiver : self.account(), method, target, hasher.finish(), at_ms).value();
      for (const auto& [name, value] : signed_request.headers) head += name + ": " + value + "\r\n";
    }
    return head + "\r\n";
  }
  static Refusal refusal_in(const std::string& answer) {
    const auto body = answer.find("\r\n\r\n");
    if (answer.starts_with("HTTP/1.1 200") || body == std::string::npos) return Refusal::kNone;
    return protocol::parse_refusal(answer.substr(body + 4)).refusal;
  }
  Refusal send_text(const std::string& from, const std::string& head, std::span<const std::uint8_t> body = {}) const {
    const RawConnection connection(from, miner->port());
    if (!connection.connected()) return Refusal::kInternal;
    connection.send(head + std::string(body.begin(), body.end()));
    return refusal_in(connection.read_all());
  }
  Refusal fire(const Shot& shot, const std::string& from = "127.0.9.1") const { return send_text(from, head_of(shot), shot.body); }

  client::MinerConnection connect() const { return {honest.signer, {self.account(), "127.0.0.1", miner->port(), true}}; }
  /// Median seconds of `count` honest requests, none of which may fail.
  double honest_median_s(int count) {
    auto connection = connect();
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
      const auto call = connection.infer(kPackage, task.key_id(), *task.encrypt(std::vector<float>(kInputs, 0.5F)), {});
      EXPECT_TRUE(call.ok()) << call.detail;
      times.push_back(call.response_s);
    }
    std::nth_element(times.begin(), times.begin() + count / 2, times.end());
    return times[static_cast<std::size_t>(count / 2)];
  }
  void upload() {
    auto connection = connect();
    const auto call = connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {});
    ASSERT_TRUE(call.ok()) << call.detail;
  }
};

TEST_F(Hostile, EveryRefusalHasItsCodeOnTheWire) {
  upload();
  const Bytes question = *task.encrypt(std::vector<float>(kInputs));
  const Bytes part(1000, 1);
  const auto infer = route(RouteKind::kInfer);
  EXPECT_EQ(fire({.route = infer, .body = question}), Refusal::kMissingHeader);
  EXPECT_EQ(fire({.route = infer, .signer = &bad, .body = question, .shift_ms = 60'000}), Refusal::kFromTheFuture);
  EXPECT_EQ(fire({.route = infer, .signer = &bad, .body = question, .shift_ms = -60'000}), Refusal::kStale);
  EXPECT_EQ(fire({.route = infer, .signer = &bad, .body = question, .receiver = &stranger.account()}), Refusal::kWrongReceiver);
  EXPECT_EQ(fire({.route = infer, .signer = &stranger, .body = question}), Refusal::kNotRegistered);
  EXPECT_EQ(fire({.route = infer, .signer = &poor, .body = question}), Refusal::kNoPermit);
  EXPECT_EQ(fire({.route = infer, .signer = &bad, .body = question}), Refusal::kUnknownKey) << "another validator's key";
  EXPECT_EQ(fire({.route = infer, .signer = &bad, .body = part, .claimed_length = 5'368'709'120}), Refusal::kTooLarge);
  auto upload_part = route(RouteKind::kKeyPart);
  upload_part.total = kKeyFileBytes;
  EXPECT_EQ(fire({.route = upload_part, .signer = &stranger, .body = part}), Refusal::kNotRegistered);
  EXPECT_EQ(fire({.route = upload_part, .signer = &bad, .body = part, .claimed_length = 5'368'709'120}), Refusal::kTooLarge);
  // A captured request, word for word.
  const std::string head = head_of({.route = route(RouteKind::kKeyState), .signer = &bad});
  EXPECT_EQ(send_text("127.0.9.1", head), Refusal::kNone);
  EXPECT_EQ(send_text("127.0.9.1", head), Refusal::kReplayed);
  EXPECT_EQ(send_text("127.0.9.2", head), Refusal::kReplayed);
}

TEST_F(Hostile, CapturedRequestsAreGoodForNothingAfterAKill) {
  upload();
  const std::string port = std::to_string(miner->port());
  for (int i = 0; i < 3; ++i) {
    const std::string head = head_of({.route = route(RouteKind::kKeyState), .signer = &bad});
    EXPECT_EQ(send_text("127.0.9.1", head), Refusal::kNone);
    miner->kill();
    miner = std::make_unique<NodeProcess>(std::vector<std::string>{"miner", folder.path, folder.path / "ledger.sqlite", "miner", port, std::to_string(kEngineMs)});
    ASSERT_NE(miner->port(), 0);
    // Whether it comes before the ledger is read or after.
    Refusal repeated = send_text("127.0.9.1", head);
    for (int tries = 0; repeated == Refusal::kAccessUnknown && tries < 100; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      repeated = send_text("127.0.9.1", head);
    }
    EXPECT_TRUE(repeated == Refusal::kStarting || repeated == Refusal::kStale) << protocol::refusal_name(repeated);
    upload();  // waits until the fence lies behind
  }
}

TEST_F(Hostile, UnderAttackMemoryAndHonestTimesStay) {
  upload();
  honest_median_s(10);  // warms up
  const double quiet_s = honest_median_s(21);
  const std::size_t memory_before = miner->memory_bytes();

  std::atomic<bool> over{false};
  std::atomic<std::size_t> memory_most{0}, loris_most{0};
  std::map<Refusal, int> answers;
  std::mutex answers_mutex;
  const auto count = [&](Refusal refusal) {
    const std::lock_guard lock(answers_mutex);
    ++answers[refusal];
  };
  double attacked_s = 0;
  {
    std::vector<std::jthread> attackers;
    // 500 connections that send a header a byte at a time.
    attackers.emplace_back([&] {
      std::vector<RawConnection> slow;
      for (int i = 0; i < 500; ++i) {
        slow.emplace_back("127.0.7." + std::to_string(1 + i / 50), miner->port());
        slow.back().send("POST /v1/packages");
      }
      while (!over) {
        std::size_t open = 0;
        for (const auto& connection : slow) open += connection.send("x") ? 1 : 0;
        loris_most = std::max(loris_most.load(), open);
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
      }
    });
    // 1,000 keys of a validator that should not have any, each begun and left.
    attackers.emplace_back([&] {
      const Bytes part(16'000, 7);
      auto to = route(RouteKind::kKeyPart);
      to.total = kKeyFileBytes;
      for (int i = 0; i < 1000; ++i) {
        to.key[0] = static_cast<std::uint8_t>(i);
        to.key[1] = static_cast<std::uint8_t>(i >> 8);
        count(fire({.route = to, .signer = &bad, .body = part}, "127.0.8.1"));
      }
    });
    // Bodies of 5 GB, pushed as far as they go; requests without and with wrong signatures.
    attackers.emplace_back([&] {
      const Bytes part(1000, 1);
      const std::string megabyte(1 << 20, 'x');
      while (!over) {
        const RawConnection connection("127.0.8.2", miner->port());
        connection.send(head_of({.route = route(RouteKind::kInfer), .signer = &bad, .body = part, .claimed_length = 5'368'709'120}));
        for (int i = 0; i < 5 && connection.send(megabyte); ++i) {
        }
        count(fire({.route = route(RouteKind::kInfer), .body = part}, "127.0.8.3"));
        count(fire({.route = route(RouteKind::kInfer), .signer = &stranger, .body = part}, "127.0.8.3"));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    std::jthread watch([&] {
      while (!over) {
        memory_most = std::max(memory_most.load(), miner->memory_bytes());
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    attacked_s = honest_median_s(31);
    attackers[1].join();
    over = true;
  }
  RecordProperty("quiet_ms", std::to_string(quiet_s * 1000));
  RecordProperty("attacked_ms", std::to_string(attacked_s * 1000));
  RecordProperty("memory_before", std::to_string(memory_before));
  RecordProperty("memory_most", std::to_string(memory_most));
  std::printf("honest median %.1f ms quiet, %.1f ms attacked; memory %.2f MB before, %.2f MB at most; %zu slow connections\n", quiet_s * 1000,
              attacked_s * 1000, static_cast<double>(memory_before) / 1e6, static_cast<double>(memory_most) / 1e6, loris_most.load());
  for (const auto& [refusal, times] : answers) std::printf("  %-18s %d\n", std::string(protocol::refusal_name(refusal)).c_str(), times);
  EXPECT_GE(loris_most, 400u) << "the slow connections were there";
  EXPECT_GT(answers[Refusal::kMissingHeader], 0);
  EXPECT_GT(answers[Refusal::kNotRegistered], 0);
  EXPECT_LT(attacked_s, 1.5 * quiet_s);
  EXPECT_LT(static_cast<double>(memory_most), 1.2 * static_cast<double>(memory_before));
  // The disk is not theirs either: a few keys a sender, and the honest key is still there.
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path / "miner")) files += entry.is_regular_file() ? 1 : 0;
  EXPECT_LE(files, 1 + miner::KeyQuota{}.keys_per_owner);
  EXPECT_EQ(miner->stop(), 0);
}

}  // namespace
}  // namespace brainlock::test
