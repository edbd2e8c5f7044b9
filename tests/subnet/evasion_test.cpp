// Ways of not being asked, of being asked when it suits, and of keeping others from being asked: none of them is cheaper than to answer slowly.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cmath>
#include <fstream>
#include <list>
#include <thread>

#include "hindering.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

void sleep(int ms) { std::this_thread::sleep_for(milliseconds(ms)); }

/// What a miner says, signed by it as an answer to the request.
net::Response says(const protocol::Signer& miner, const net::RequestHead& request, const std::string& text) {
  protocol::HeadPolicy policy;
  policy.self = miner.account;
  const auto now_ms = client::system_wall_clock()();
  const auto verdict = protocol::check_head(policy, request.headers, request.method, request.target, now_ms);
  EXPECT_EQ(verdict.refusal, protocol::Refusal::kNone);
  auto body = net::text_bytes(text);
  protocol::BodyHasher hasher;
  hasher.update(body);
  return {200, "application/json", protocol::sign_answer(miner, verdict.head, 200, hasher.finish(), now_ms).value(), std::move(body)};
}

/// Passes bytes on between a client and a server on this machine. While it is `unwilling`, it drops who is silent for a moment, and has those who come
/// again wait.
class Relay {
 public:
  explicit Relay(std::uint16_t to) : to_(to), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (!readable(listener_, 20)) continue;
        const int peer = ::accept(listener_, nullptr, nullptr);
        const bool again = unwilling && peers_seen_++ > 0;
        pumps_.emplace_back([this, peer, again](const std::stop_token& stopped) { pump(peer, again, stopped); });
      }
    });
  }
  ~Relay() {
    acceptor_ = {};
    pumps_.clear();
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  std::atomic<bool> unwilling{false};

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  static bool readable(int socket, int ms) {
    pollfd look{socket, POLLIN, 0};
    return ::poll(&look, 1, ms) > 0;
  }
  static bool pass(int from, int to) {
    char buffer[16'384];
    const ssize_t got = ::recv(from, buffer, sizeof buffer, 0);
    return got > 0 && ::send(to, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
  }
  void pump(int peer, bool again, const std::stop_token& stop) {
    if (again) sleep(600);
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(to_);
    bool open = ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    for (auto last = steady_clock::now(); open && !stop.stop_requested();) {
      pollfd look[2] = {{peer, POLLIN, 0}, {server, POLLIN, 0}};
      if (::poll(look, 2, 20) > 0) {
        last = steady_clock::now();
        if (look[0].revents != 0) open = pass(peer, server);
        if (open && look[1].revents != 0) open = pass(server, peer);
      }
      if (unwilling && !again && steady_clock::now() - last > milliseconds(150)) open = false;
    }
    ::close(peer);
    ::close(server);
  }

  std::uint16_t to_, port_ = 0;
  int listener_;
  std::atomic<int> peers_seen_{0};
  std::list<std::jthread> pumps_;
  std::jthread acceptor_;
};

class Evading : public HinderedSubnet {};

/// "I have no such key", and when it is about to be sent: "it is here after all", some time later. To the validator that was an upload: not timed, and
/// who was late for it was not asked.
Hindering::Hinder denying(const std::string& name, std::shared_ptr<std::atomic<bool>> denies, int ms) {
  return [signer = person(name).signer, denies, ms, looks = std::make_shared<std::atomic<int>>(0)](const net::RequestHead& head) -> std::optional<net::Response> {
    if (!*denies || !is_key_state(head)) return std::nullopt;
    if ((*looks)++ % 2 == 0) return says(signer, head, protocol::key_state_json({0, false}));
    sleep(ms);
    return std::nullopt;
  };
}

TEST_F(Evading, WhoDeniesItsKeyIsNotLetOff) {
  const auto denies = std::make_shared<std::atomic<bool>>(false);
  const auto account = add("denier", denying("denier", denies, 900)).self.account();
  validator::ValidatorOptions options;
  options.patience_ms = 400;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  *denies = true;
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(validator->run_round().ok());
    ASSERT_TRUE(validator->finish().ok());
  }
  EXPECT_EQ(rows_of(*validator, account).size(), 5u) << "a question that it was not asked left no trace";
  EXPECT_EQ(newest(*validator).success, true) << "beside the others nobody is late, but timed";
}

TEST_F(Evading, WhoDeniesItsKeyIsTimedMeanwhile) {
  const auto denies = std::make_shared<std::atomic<bool>>(false);
  add("denier", denying("denier", denies, 2600));
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  *denies = true;
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  EXPECT_GT(newest(*validator).response_s, 0.55);
}

TEST_F(Evading, TheTimeAllowedIsForAllOfIt) {
  const auto slow = std::make_shared<std::atomic<bool>>(false);
  add("slow to be ready", [slow](const net::RequestHead& head) -> std::optional<net::Response> {
    if (*slow && is_key_state(head)) sleep(2900);
    return std::nullopt;
  });
  validator::ValidatorOptions options;
  options.request_timeout_ms = 700;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  *slow = true;
  EXPECT_EQ(validator->run_round()->failed, 1u);
  EXPECT_EQ(newest(*validator).reason, protocol::reason_name(Reason::kTimeout));
}

// A miner may lose its key and get it again. To be asked less by it would be a way to live on old answers.
TEST_F(Evading, AKeyThatWasLostIsTheMinersAffair) {
  auto& miner = add("forgetful");
  validator::ValidatorOptions options;
  options.patience_ms = 400;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  miner.server.reset();
  miner.service.reset();
  fs::remove_all(folder.path / "forgetful");
  miner = start_miner("forgetful", ledger, std::make_unique<FakeEngine>(), folder.path);
  put_before(miner, [](const net::RequestHead& head) -> std::optional<net::Response> {
    if (is_key_part(head)) sleep(200);
    return std::nullopt;
  });
  ledger->serve(1, miner.server->port());
  ASSERT_TRUE(validator->run_round().ok());
  ASSERT_TRUE(validator->finish().ok());
  EXPECT_EQ(rows_of(*validator, miner.self.account()).size(), 2u);
  EXPECT_FALSE(newest(*validator).success);
  ASSERT_TRUE(validator->run_round().ok());
  ASSERT_TRUE(validator->finish().ok());
  EXPECT_TRUE(newest(*validator).success);
}

// Hotkeys of one machine would take turns: each drops its connection while it waits for the others, and is long in taking the next one.
TEST_F(Evading, AConnectionMadeAnewCounts) {
  const auto slow = std::make_shared<std::atomic<bool>>(false);
  add("late", [slow](const net::RequestHead& head) -> std::optional<net::Response> {
    if (*slow && is_key_state(head)) sleep(500);
    return std::nullopt;
  });
  const auto& dropper = add("dropper");
  Relay relay(dropper.server->port());
  ledger->serve(2, relay.port());
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  EXPECT_LT(rows_of(*validator, dropper.self.account()).at(0).response_s, 0.3);
  *slow = true;
  relay.unwilling = true;
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  EXPECT_GT(rows_of(*validator, dropper.self.account()).at(0).response_s, 0.55);
}

TEST_F(Evading, WhoIsReadyEarlyKeepsItsConnectionWhileOthersDally) {
  const auto slow = std::make_shared<std::atomic<bool>>(false);
  add("late", [slow](const net::RequestHead& head) -> std::optional<net::Response> {
    if (*slow && is_key_state(head)) sleep(900);
    return std::nullopt;
  });
  auto& early = add("early");
  net::ServerOptions impatient{.address = "127.0.0.1"};
  impatient.header_timeout_ms = 400;   // 10 s by default, of 20 that a batch may take to get ready
  put_before(early, [](const net::RequestHead&) { return std::nullopt; }, impatient);
  ledger->serve(2, early.server->port());
  validator::ValidatorOptions options;
  options.keep_alive_ms = 150;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  *slow = true;
  const auto before = early.server->counters().accepted;
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  EXPECT_EQ(early.server->counters().accepted, before + 1);
  EXPECT_LT(rows_of(*validator, early.self.account()).at(0).response_s, 0.2);
}

// As in a batch: the second is ready when the first is done, and each would be measured as if it were alone.
TEST_F(Evading, SlowHotkeysOfOneMachineShareItToo) {
  const auto machine = std::make_shared<std::mutex>();
  for (const std::string name : {"one", "two"}) {
    auto engine = std::make_unique<FakeEngine>();
    engine->before = [machine](const miner::JobControl&) {
      const std::lock_guard lock(*machine);
      sleep(500);
    };
    add(name, [machine, name](const net::RequestHead& head) -> std::optional<net::Response> {
      if (name == "one" || !is_key_state(head)) return std::nullopt;
      sleep(100);
      const std::lock_guard lock(*machine);
      return std::nullopt;
    }, std::move(engine));
  }
  validator::ValidatorOptions options;
  options.patience_ms = 400;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(validator->run_round().ok());
    ASSERT_TRUE(validator->finish().ok());
    const auto rows = *validator->parts().store->requests({});
    ASSERT_EQ(rows.size(), 2u * static_cast<std::size_t>(round + 1));
    EXPECT_GE(rows.at(0).response_s + rows.at(1).response_s, 1.4) << "500 ms for the one, 1000 for the other";
  }
}

// Whose hotkeys stall in numbers takes seats from others that are slow, by chance, and none from those that are new.
TEST_F(Evading, ThoseWhoStallKeepNobodyFromBeingAsked) {
  const auto engine = [](int ms) {
    auto out = std::make_unique<FakeEngine>();
    out->before = [ms](const miner::JobControl&) { sleep(ms); };
    return out;
  };
  for (const char* name : {"staller 1", "staller 2", "staller 3"}) add(name, {}, engine(150));
  const auto slower = add("honest and slower", {}, engine(700)).self.account();
  validator::ValidatorOptions options;
  options.patience_ms = 100;
  options.most_aside = 2;
  options.parallel = 4;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 14; ++round) {
    ASSERT_TRUE(validator->run_round().ok());
    ASSERT_TRUE(validator->finish().ok());
  }
  EXPECT_GE(rows_of(*validator, slower).size(), 2u);
  const auto newcomer = add("newcomer").self.account();
  ASSERT_TRUE(validator->run_round().ok());
  EXPECT_EQ(rows_of(*validator, newcomer).size(), 1u);
}

// Whoever cannot be done before the next validator's slot begins would have two at once, and look half as fast to both.
TEST_F(Evading, NobodyIsLeftAtWorkForTheNextValidator) {
  ledger->add(person("other validator").account(), true, 500);
  auto engine = std::make_unique<FakeEngine>();
  engine->before = [](const miner::JobControl&) { sleep(200); };
  add("slow", {}, std::move(engine));
  ledger->block_interval_ms = 50;
  validator::ValidatorOptions options;
  options.slot_blocks = 12;
  const auto validator = make_validator(self, ledger, folder.path, options);
  std::size_t early = 0, late = 0;
  for (std::uint64_t block = 24; block < 24 + 6 * 12; ++block) {
    ledger->change([&](ledger::Metagraph& m) { m.block = block; });
    const auto report = validator->run_round();
    ASSERT_TRUE(report.ok());
    if (block >= 48) (block % 12 < 9 ? early : late) += report->asked;   // then it is known
  }
  EXPECT_GT(early, 0u);
  EXPECT_EQ(late, 0u);
}

TEST_F(Evading, AQuestionForWhichThereWasNoTimeIsStillDue) {
  ledger->add(person("other validator").account(), true, 500);
  for (const char* name : {"a", "b"}) add(name);
  ledger->block_interval_ms = 0;   // the slot ends before anybody is asked
  ledger->change([](ledger::Metagraph& m) { m.block = 35; });
  validator::ValidatorOptions options;
  options.slot_blocks = 12;
  options.questions_per_slot = 1;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->asked, 0u);
  ledger->block_interval_ms = 12'000;
  EXPECT_EQ(validator->run_round()->asked, 1u);
}

// Its address can be taken back on a chain: a type of address that nobody knows is none.
TEST_F(Evading, WithoutAnAddressNobodyHasAScore) {
  const auto& miner = add("gone");
  const auto validator = make_validator(self, ledger, folder.path);
  record(*validator, miner.self.account(), Reason::kOk, 1, 40);
  EXPECT_GT(validator->standings()->at(0).standing.score, 0);
  ledger->change([](ledger::Metagraph& m) { m.neurons[1].axon.reset(); });
  const auto standing = validator->standings()->at(0);
  EXPECT_EQ(standing.standing.score, 0);
  EXPECT_THAT(standing.zero_because, testing::HasSubstr("no public address"));
  EXPECT_FALSE(validator->vote()->has_value());
}

// Hotkeys that announce a rival's address have the validator dial it until the rival's server takes that for a flood.
TEST_F(Evading, SomebodyElsesAddressIsNotDialledEachTime) {
  const auto& victim = add("victim");
  add("parasite");
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->succeeded, 2u);
  ledger->serve(2, victim.server->port());
  const auto before = victim.server->counters().accepted;
  for (int round = 0; round < 6; ++round) {
    const auto report = validator->run_round();
    ASSERT_EQ(report->succeeded, 1u);
    ASSERT_EQ(report->failed, 1u);
  }
  EXPECT_LE(victim.server->counters().accepted, before + 6 + 1);
}

// While questions are out no key part leaves: that is the validator's affair, not the miner's time.
TEST_F(Evading, AnUploadDoesNotAgeWhileItIsHeldBack) {
  const auto& miner = add("new");
  const FakeTaskClient task(folder.path / "client");
  client::MinerConnection connection(self.signer, {miner.self.account(), "127.0.0.1", miner.server->port(), true});
  const auto upload = connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}, [](std::uint64_t, std::uint64_t) { sleep(250); }, {}, 4, 600);
  EXPECT_TRUE(upload.ok()) << upload.detail;
  // Up to as long again as it may take: whoever wants its key in small parts could be held back for hours, and keep a seat.
  const FakeTaskClient another(folder.path / "another");
  const auto begun = steady_clock::now();
  EXPECT_FALSE(connection.upload_key(kPackage, another.key_id(), another.key_file(), 1 << 12, {}, [](std::uint64_t, std::uint64_t) { sleep(50); }, {}, 4, 300).ok());
  EXPECT_LT(steady_clock::now() - begun, milliseconds(1200));
}

// Ten minutes a part, and a part of 64 KiB: a miner that takes a byte of each could keep whoever asks it for months.
TEST_F(Evading, AUsersUploadHasAnEnd) {
  const fs::path keys = folder.path / "keys of 320 MiB";
  std::ofstream(keys).close();
  fs::resize_file(keys, 320 << 20);
  const auto pace = client::upload_pace(keys, 1);
  EXPECT_EQ(pace.part_bytes, 64u << 10);
  EXPECT_EQ(pace.part_limits.timeout_ms, 600'000);
  EXPECT_EQ(pace.total_ms, 21 * 600'000);
  EXPECT_EQ(client::upload_pace(keys, std::uint64_t{1} << 60).part_bytes, 64u << 20);
  EXPECT_EQ(client::upload_pace(keys, 1 << 20).part_bytes, 1u << 20);
  EXPECT_EQ(client::upload_pace(folder.path / "none", 1 << 20).total_ms, 600'000);
}

TEST_F(Evading, OurOwnFailuresTakeNobodysPlace) {
  const auto& miner = add("honest");
  const auto validator = make_validator(self, ledger, folder.path);
  record(*validator, miner.self.account(), Reason::kOk, 1, 20);
  sleep(5);
  record(*validator, miner.self.account(), Reason::kValidatorError, 0, 200);
  const auto standing = validator->standings()->at(0).standing;
  EXPECT_EQ(standing.requests, 20u);
  EXPECT_NEAR(standing.score, 64'000, 1);
}

TEST_F(Evading, WhatEndedBeforeAStopIsRecorded) {
  auto engine = std::make_unique<FakeEngine>();
  engine->before = [](const miner::JobControl&) { sleep(600); };
  const auto account = add("slow", {}, std::move(engine)).self.account();
  validator::ValidatorOptions options;
  options.patience_ms = 300;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_EQ(validator->run_round()->asked, 0u);
  sleep(800);
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_EQ(validator->run_round(stopped.get_token())->succeeded, 1u);
  EXPECT_EQ(rows_of(*validator, account).size(), 1u);
}

// A validator whose database is away for a moment: it does not forget what was answered, and does not ask for what it could not keep.
TEST_F(Evading, WhatCannotBeRecordedIsRecordedLater) {
  const auto& miner = add("honest");
  const auto validator = make_validator(self, ledger, folder.path);
  ASSERT_EQ(validator->run_round()->succeeded, 1u);
  const auto database = store::open_sqlite(folder.path / "validator.sqlite").value();
  ASSERT_TRUE(database->execute("ALTER TABLE requests RENAME TO away").ok());
  EXPECT_FALSE(validator->run_round().ok());
  const auto asked = miner.server->counters().accepted;
  EXPECT_FALSE(validator->run_round().ok());
  EXPECT_EQ(miner.server->counters().accepted, asked);
  ASSERT_TRUE(database->execute("ALTER TABLE away RENAME TO requests").ok());
  EXPECT_EQ(validator->run_round()->succeeded, 2u);
  EXPECT_EQ(rows_of(*validator, miner.self.account()).size(), 3u);
}

class Voting : public HinderedSubnet {};

TEST_F(Voting, FewAnswersCountForLess) {
  const auto old = add("old").self.account(), fresh = add("new").self.account();
  const auto validator = make_validator(self, ledger, folder.path);
  record(*validator, old, Reason::kOk, 1, 40);
  record(*validator, fresh, Reason::kOk, 1, 1);
  ASSERT_TRUE((*validator->vote())->accepted());
  EXPECT_EQ(ledger->state.neurons[0].weights, (std::vector<ledger::Weight>{{1, 65535}, {2, 4096}}));
  record(*validator, fresh, Reason::kOk, 1, 15);
  ASSERT_TRUE((*validator->vote())->accepted());
  EXPECT_EQ(ledger->state.neurons[0].weights, (std::vector<ledger::Weight>{{1, 65535}, {2, 65535}}));
  const auto standings = *validator->standings();
  for (const auto& standing : standings) EXPECT_NEAR(standing.standing.score, 64'000, 1) << "the score is what it is";
}

TEST_F(Voting, WhereNobodyHasAScoreTheOldVoteStaysAndItIsSaid) {
  const auto account = add("miner").self.account();
  std::mutex mutex;
  std::vector<std::string> events;
  const auto validator = make_validator(self, ledger, folder.path, {}, [&](net::EventLevel, std::string_view event, const net::EventFields&) {
    const std::lock_guard lock(mutex);
    events.emplace_back(event);
  });
  record(*validator, account, Reason::kOk, 1, 20);
  ASSERT_TRUE((*validator->vote())->accepted());
  record(*validator, account, Reason::kTimeout, 0, 40);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(validator->vote()->has_value());
  EXPECT_EQ(ledger->state.neurons[0].weights, (std::vector<ledger::Weight>{{1, 65535}}));
  EXPECT_THAT(validator->activity().last_vote, testing::HasSubstr("no miner has a score"));
  EXPECT_EQ(std::count(events.begin(), events.end(), "no_vote"), 1);
}

struct CountingLedger final : ledger::Ledger {
  std::shared_ptr<FakeLedger> inner;
  int reads = 0;
  explicit CountingLedger(std::shared_ptr<FakeLedger> of) : inner(std::move(of)) {}
  std::string describe() const override { return inner->describe(); }
  std::uint16_t netuid() const override { return inner->netuid(); }
  Result<ledger::BlockTime> block_time() override { return inner->block_time(); }
  Result<ledger::Metagraph> metagraph(bool with_weights) override {
    ++reads;
    return inner->metagraph(with_weights);
  }
  Result<std::vector<ledger::Weight>> weights(ledger::Uid uid) override { return inner->weights(uid); }
  Result<ledger::Outcome> register_neuron(const ledger::Signer& coldkey, const ledger::AccountId& hotkey) override { return inner->register_neuron(coldkey, hotkey); }
  Result<ledger::Outcome> serve_axon(const ledger::Signer& hotkey, const ledger::Axon& axon) override { return inner->serve_axon(hotkey, axon); }
  Result<ledger::Outcome> set_weights(const ledger::Signer& hotkey, std::span<const ledger::Weight> weights, std::uint64_t version) override {
    return inner->set_weights(hotkey, weights, version);
  }
};

TEST_F(Voting, ReadsTheLedgerOnce) {
  const auto account = add("miner").self.account();
  const auto counting = std::make_shared<CountingLedger>(ledger);
  const auto validator = make_validator(self, counting, folder.path);
  record(*validator, account, Reason::kOk, 1, 20);
  ASSERT_TRUE((*validator->vote())->accepted());
  EXPECT_EQ(counting->reads, 1);
}

}  // namespace
}  // namespace brainlock::test
