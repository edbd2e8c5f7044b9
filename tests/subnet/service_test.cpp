// The miner's application, driven without sockets: hostile clients, uploads, cancelling. And a few runs over real ones.
#include <condition_variable>
#include <future>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/ledger/schedule.hpp"
#include "fake_subnet.hpp"

namespace brainlock::test {
namespace {

using protocol::Refusal;
using protocol::RouteKind;

std::string text_of(const net::Response& response) { return {response.body.begin(), response.body.end()}; }

struct ServiceTest : testing::Test {
  TemporaryFolder folder;
  std::shared_ptr<FakeLedger> ledger = std::make_shared<FakeLedger>();
  Person miner_self = person("miner"), validator = person("validator"), stranger = person("stranger"), poor = person("poor");
  std::shared_ptr<miner::Service> service;
  std::int64_t now_ms = 1'800'000'000'000;
  FakeEngine* engine = nullptr;
  std::unique_ptr<FakeTaskClient> task = std::make_unique<FakeTaskClient>(folder.path / "client");
  miner::ServiceOptions options = fast_options();
  miner::AccessOptions access;
  std::mutex events_mutex;
  std::map<std::string, int> events, told;   ///< of all levels; of those that are logged by default

  /// Without drain() before it: as after a crash.
  void start() {
    fs::create_directories(folder.path / "state");
    if (ledger->state.neurons.empty()) {
      ledger->add(miner_self.account(), false, 0);
      ledger->add(validator.account(), true, 1000);
      ledger->add(poor.account(), false, 1);
    }
    service.reset();
    auto fake = std::make_unique<FakeEngine>();
    engine = fake.get();
    miner::ServiceParts parts;
    parts.self = miner_self.signer;
    parts.engine = std::move(fake);
    parts.keys = std::move(miner::KeyRegistry::open(folder.path / "keys", {}, now_ms)).value();
    parts.access = miner::make_metagraph_access(ledger, access);
    const net::EventLog log = [this](net::EventLevel level, std::string_view event, const net::EventFields&) {
      const std::lock_guard lock(events_mutex);
      ++events[std::string(event)];
      if (level >= net::EventLevel::kInfo) ++told[std::string(event)];
    };
    parts.fence = miner::ReplayFence::open(folder.path / "state" / "replay.fence", now_ms, {.window_ms = options.window_ms}, log);
    parts.wall_clock_ms = [this] { return now_ms; };
    parts.log = log;
    service = miner::Service::make(std::move(parts), options);
  }

  protocol::Route route(RouteKind kind) const {
    protocol::Route out;
    out.kind = kind;
    out.package = kPackage;
    out.key = task->key_id();
    return out;
  }
  /// A signed request as the server sees it.
  net::RequestHead signed_head(const Person& who, const protocol::Route& to, std::span<const std::uint8_t> body, std::int64_t at_ms = 0,
                               const protocol::AccountId* receiver = nullptr) const {
    net::RequestHead head;
    head.method = protocol::route_method(to.kind);
    head.target = protocol::route_target(to);
    head.content_length = body.size();
    head.peer_ip = "192.0.2.9";
    protocol::BodyHasher hasher;
    hasher.update(body);
    head.headers = protocol::sign_request(who.signer, receiver ? *receiver : miner_self.account(), head.method, head.target, hasher.finish(), at_ms == 0 ? now_ms : at_ms).value().headers;
    return head;
  }
  /// Gives the request to the service as a server would, and waits for the answer.
  net::Response drive(const net::RequestHead& head, std::span<const std::uint8_t> body) {
    auto decision = service->begin(head);
    if (auto* response = std::get_if<net::Response>(&decision)) return std::move(*response);
    auto exchange = std::move(std::get<std::unique_ptr<net::Exchange>>(decision));
    for (std::size_t at = 0; at < body.size(); at += 1000) {
      if (auto refusal = exchange->body(body.subspan(at, std::min<std::size_t>(1000, body.size() - at)))) return std::move(*refusal);
    }
    auto answer = std::make_shared<std::promise<net::Response>>();
    auto future = answer->get_future();
    exchange->complete([answer](net::Response response) { answer->set_value(std::move(response)); });
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) return {0, "", {}, {}};
    return future.get();
  }
  net::Response ask(const Person& who, const protocol::Route& to, std::span<const std::uint8_t> body = {}) { return drive(signed_head(who, to, body), body); }
  static Refusal refusal_of(const net::Response& response) { return response.status == 200 ? Refusal::kNone : protocol::parse_refusal(text_of(response)).refusal; }

  Bytes key_bytes() const {
    std::ifstream in(task->key_file(), std::ios::binary);
    return Bytes((std::istreambuf_iterator<char>(in)), {});
  }
  Refusal put_part(const Person& who, std::uint64_t offset, std::span<const std::uint8_t> part, std::uint64_t total = kKeyFileBytes) {
    auto to = route(RouteKind::kKeyPart);
    to.offset = offset;
    to.total = total;
    return refusal_of(ask(who, to, part));
  }
  void put_key(const Person& who) {
    const Bytes key = key_bytes();
    for (std::size_t at = 0; at < key.size(); at += 50'000) ASSERT_EQ(put_part(who, at, std::span(key).subspan(at, 50'000)), Refusal::kNone);
  }
  Bytes question() const { return *task->encrypt(std::vector<float>(kInputs, 0.5F)); }
};

TEST_F(ServiceTest, HonestValidatorGetsASignedRightAnswer) {
  start();
  put_key(validator);
  const Bytes body = question();
  const auto response = ask(validator, route(RouteKind::kInfer), body);
  ASSERT_EQ(response.status, 200) << text_of(response);
  EXPECT_EQ(*task->decrypt(response.body), fake_model(std::vector<float>(kInputs, 0.5F)));
  EXPECT_FALSE(protocol::header_value(response.headers, "Brainlock-Answer-Signature").empty());
  const std::string metrics = service->metrics(nullptr);
  EXPECT_NE(metrics.find("brainlock_miner_requests_total{route=\"infer\",outcome=\"ok\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("brainlock_miner_compute_seconds_count 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("brainlock_miner_keys 1\n"), std::string::npos);
}

TEST_F(ServiceTest, HostileHeadsAreRefusedBeforeTheirBodies) {
  access.min_stake_rao = 10 * ledger::kRaoPerTao;
  start();
  put_key(validator);
  const Bytes body = question();
  const auto to = route(RouteKind::kInfer);
  const auto refused = [&](const net::RequestHead& head) {
    auto decision = service->begin(head);
    const auto* response = std::get_if<net::Response>(&decision);
    return response == nullptr ? Refusal::kNone : refusal_of(*response);
  };
  net::RequestHead unsigned_head = signed_head(validator, to, body);
  unsigned_head.headers.clear();
  EXPECT_EQ(refused(unsigned_head), Refusal::kMissingHeader);
  EXPECT_EQ(refused(signed_head(validator, to, body, now_ms - 8001)), Refusal::kStale);
  EXPECT_EQ(refused(signed_head(validator, to, body, now_ms + 8001)), Refusal::kFromTheFuture);
  EXPECT_EQ(refused(signed_head(validator, to, body, 0, &stranger.account())), Refusal::kWrongReceiver);
  EXPECT_EQ(refused(signed_head(stranger, to, body)), Refusal::kNotRegistered);
  EXPECT_EQ(refused(signed_head(poor, to, body)), Refusal::kNoPermit);
  auto other_path = signed_head(validator, to, body);
  other_path.target = protocol::route_target(route(RouteKind::kKeyState));
  other_path.method = "GET";
  EXPECT_EQ(refused(other_path), Refusal::kBadSignature);
  auto huge = signed_head(validator, to, body);
  huge.content_length = 5'368'709'120;
  EXPECT_EQ(refused(huge), Refusal::kTooLarge);
  auto nothing = signed_head(validator, to, {});
  EXPECT_EQ(refused(nothing), Refusal::kLengthRequired);
  auto elsewhere = to;
  elsewhere.package[0] ^= 1;
  EXPECT_EQ(refused(signed_head(validator, elsewhere, body)), Refusal::kUnknownPackage);
  auto no_key = to;
  no_key.key[0] ^= 1;
  EXPECT_EQ(refused(signed_head(validator, no_key, body)), Refusal::kUnknownKey);
  net::RequestHead lost;
  lost.method = "GET";
  lost.target = "/wp-admin";
  EXPECT_EQ(refused(lost), Refusal::kNoSuchRoute);
  lost.target = "/v1/status";
  lost.method = "DELETE";
  EXPECT_EQ(refused(lost), Refusal::kMethodNotAllowed);
}

TEST_F(ServiceTest, StakeThresholdHolds) {
  access.min_stake_rao = 2'000 * ledger::kRaoPerTao;
  start();
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kKeyState))), Refusal::kStakeTooLow);
}

TEST_F(ServiceTest, LedgerThatCannotBeReadAdmitsNobody) {
  ledger->away = true;
  start();
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kKeyState))), Refusal::kAccessUnknown);
}

TEST_F(ServiceTest, OrdinaryUsersNeedAnOpenMiner) {
  start();
  EXPECT_EQ(refusal_of(ask(stranger, route(RouteKind::kKeyState))), Refusal::kNotRegistered);
  access.open_to_everyone = true;
  start();
  EXPECT_EQ(refusal_of(ask(stranger, route(RouteKind::kKeyState))), Refusal::kNone);
}

TEST_F(ServiceTest, CapturedRequestIsGoodForNothingEvenAfterACrash) {
  start();
  const auto captured = signed_head(validator, route(RouteKind::kKeyState), {});
  EXPECT_EQ(drive(captured, {}).status, 200);
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kReplayed);
  now_ms += 1;
  start();
  EXPECT_EQ(events["replay_fence"], 1);
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kStarting);
  // Nor is anything new taken that could not be told from it; the answer says until when, and is signed.
  const auto honest = ask(validator, route(RouteKind::kKeyState));
  EXPECT_EQ(honest.status, 503);
  EXPECT_FALSE(protocol::header_value(honest.headers, "Brainlock-Answer-Signature").empty());
  const std::string until = std::to_string(now_ms - 1 + miner::ReplayFenceOptions{}.lead_ms);
  EXPECT_NE(protocol::parse_refusal(text_of(honest)).message.find("what was signed up to " + until + " may have been taken before this server was started; sign it anew in 2000 ms"), std::string::npos) << text_of(honest);
  EXPECT_EQ(ask(validator, route(RouteKind::kStatus)).status, 200) << "who is there is told at once";
  now_ms += 2000;
  EXPECT_EQ(ask(validator, route(RouteKind::kKeyState)).status, 200);
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kStarting) << "as long as it lies in the window";
  now_ms += 9000;
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kStale);
}

// A miner that was killed is shut for two seconds, whatever one asker's clock says.
TEST_F(ServiceTest, AnAskerWhoseClockIsAheadKeepsNoOtherOut) {
  start();
  const Person other = person("other validator");
  ledger->add(other.account(), true, 1000);
  start();
  const auto ahead = signed_head(validator, route(RouteKind::kKeyState), {}, now_ms + 7'900);
  ASSERT_EQ(refusal_of(drive(ahead, {})), Refusal::kNone);
  start();
  now_ms += 2'600;
  EXPECT_EQ(refusal_of(ask(other, route(RouteKind::kKeyState))), Refusal::kNone);
  EXPECT_EQ(refusal_of(drive(ahead, {})), Refusal::kStarting) << "its own cannot be repeated";
}

TEST_F(ServiceTest, PlannedRestartRefusesWhatWasTakenAndNothingElse) {
  start();
  const auto captured = signed_head(validator, route(RouteKind::kKeyState), {});
  EXPECT_EQ(drive(captured, {}).status, 200);
  EXPECT_TRUE(service->drain(1000));
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kKeyState))), Refusal::kShuttingDown);
  start();
  EXPECT_EQ(events["replay_fence"], 0);
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kStarting);
  now_ms += 1;
  EXPECT_EQ(ask(validator, route(RouteKind::kKeyState)).status, 200);
}

TEST_F(ServiceTest, NothingIsTakenThatCannotBeWrittenDown) {
  start();
  fs::remove_all(folder.path / "state");
  const auto captured = signed_head(validator, route(RouteKind::kKeyState), {});
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kInternal);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kKeyState))), Refusal::kInternal);
  EXPECT_EQ(events["replay_fence_not_written"], 1);
  EXPECT_EQ(ask(validator, route(RouteKind::kStatus)).status, 200);
  fs::create_directories(folder.path / "state");
  EXPECT_EQ(ask(validator, route(RouteKind::kKeyState)).status, 200);
  EXPECT_EQ(events["replay_fence_written_again"], 1);
  EXPECT_EQ(refusal_of(drive(captured, {})), Refusal::kReplayed) << "a request is good for one attempt";
}

TEST_F(ServiceTest, AnotherBodyThanTheSignedOneDoesNothing) {
  start();
  Bytes key = key_bytes();
  auto to = route(RouteKind::kKeyPart);
  to.total = kKeyFileBytes;
  const auto head = signed_head(validator, to, std::span(key).first(1000));
  key[5] ^= 1;
  EXPECT_EQ(refusal_of(drive(head, std::span(key).first(1000))), Refusal::kBodyMismatch);
  const auto state = protocol::parse_key_state(text_of(ask(validator, route(RouteKind::kKeyState))));
  EXPECT_EQ(state->received_bytes, 0u);
}

TEST_F(ServiceTest, KeysAreBoundToTheirSigner) {
  ledger->add(miner_self.account(), false, 0);
  ledger->add(validator.account(), true, 1000);
  ledger->add(stranger.account(), true, 1000);
  start();
  put_key(validator);
  EXPECT_EQ(refusal_of(ask(stranger, route(RouteKind::kInfer), question())), Refusal::kUnknownKey);
}

TEST_F(ServiceTest, UploadsThatDoNotFitAreRefused) {
  start();
  const Bytes key = key_bytes();
  EXPECT_EQ(put_part(validator, 0, std::span(key).first(1000), kKeyFileBytes - 1), Refusal::kMismatch);
  EXPECT_EQ(put_part(validator, 0, Bytes(64 * 1024 + 1)), Refusal::kTooLarge);
  EXPECT_EQ(put_part(validator, 5, std::span(key).first(1000)), Refusal::kWrongOffset);
  // Whole, but not what its name says.
  Bytes wrong = key;
  wrong[7] ^= 1;
  Refusal last = Refusal::kNone;
  for (std::size_t at = 0; at < wrong.size(); at += 50'000) last = put_part(validator, at, std::span(wrong).subspan(at, 50'000));
  EXPECT_EQ(last, Refusal::kMalformed);
  put_key(validator);
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kInfer), Bytes(kQuestionBytes))), Refusal::kMismatch) << "a question under another key";
}

TEST_F(ServiceTest, FullQueueRefusesAndProgressSaysWhereOneIs) {
  options.queue = {.total = 8, .per_asker = 1, .workers = 1};
  start();
  put_key(validator);
  std::promise<void> gate;
  auto ready = gate.get_future().share();
  engine->before = [ready](const miner::JobControl& control) {
    if (control.progress) control.progress(0.5, "conv1");
    ready.wait();
  };
  const Bytes body = question();
  std::vector<std::future<net::Response>> answers;
  std::vector<std::string> uuids;
  for (int i = 0; i < 2; ++i) {
    const auto head = signed_head(validator, route(RouteKind::kInfer), body);
    uuids.emplace_back(protocol::header_value(head.headers, "Epistula-Uuid"));
    answers.push_back(std::async(std::launch::async, [this, head, &body] { return drive(head, body); }));
    while (service->metrics(nullptr).find(i == 0 ? "brainlock_miner_running_requests 1" : "brainlock_miner_queued_requests 1") == std::string::npos) std::this_thread::yield();
  }
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kInfer), body)), Refusal::kQueueFull);
  const auto progress = [&](const std::string& uuid) {
    auto to = route(RouteKind::kProgress);
    to.uuid = uuid;
    return protocol::parse_progress(text_of(ask(validator, to))).value();
  };
  auto running = progress(uuids[0]);
  while (running.layer.empty()) running = progress(uuids[0]);
  EXPECT_EQ(running.state, "running");
  EXPECT_EQ(running.fraction, 0.5);
  EXPECT_EQ(running.layer, "conv1");
  EXPECT_EQ(progress(uuids[1]).state, "queued");
  EXPECT_EQ(progress(uuids[1]).ahead, 1u);
  gate.set_value();
  for (auto& answer : answers) EXPECT_EQ(answer.get().status, 200);
  EXPECT_TRUE(service->drain(5000));
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kInfer), body)), Refusal::kShuttingDown);
}

// A validator that keeps a miner busy while it belongs to another would make it look slow to that one.
TEST_F(ServiceTest, QuestionsOfTheSlotsValidatorGoFirst) {
  const Person rival = person("rival");
  ledger->add(miner_self.account(), false, 0);
  ledger->add(validator.account(), true, 1000);
  ledger->add(rival.account(), true, 2000);
  ledger->serve(0, 5000);
  access.self = miner_self.account();
  const auto owner_uid = ledger::validator_in_slot(ledger->state, 0, access.slot_blocks);
  ASSERT_TRUE(owner_uid.has_value());
  const Person& owner = *owner_uid == 1 ? validator : rival;
  const Person& other = *owner_uid == 1 ? rival : validator;
  options.queue = {.total = 4, .per_asker = 4, .workers = 1};
  options.first_in_slot = 2;
  start();
  put_key(owner);
  put_key(other);
  std::promise<void> gate;
  engine->before = [ready = gate.get_future().share()](const miner::JobControl&) { ready.wait(); };
  const Bytes body = question();
  std::vector<std::future<net::Response>> answers;
  const auto ask_and_see = [&](const Person& who, const std::string& wanted) {
    const auto head = signed_head(who, route(RouteKind::kInfer), body);
    answers.push_back(std::async(std::launch::async, [this, head, &body] { return drive(head, body); }));
    while (service->metrics(nullptr).find(wanted) == std::string::npos) std::this_thread::yield();
    auto to = route(RouteKind::kProgress);
    to.uuid = std::string(protocol::header_value(head.headers, "Epistula-Uuid"));
    return protocol::parse_progress(text_of(ask(who, to))).value().ahead;
  };
  ask_and_see(other, "brainlock_miner_running_requests 1");
  for (int i = 1; i <= 4; ++i) ask_and_see(other, "brainlock_miner_queued_requests " + std::to_string(i));
  ASSERT_EQ(refusal_of(ask(other, route(RouteKind::kInfer), body)), Refusal::kQueueFull);
  EXPECT_EQ(ask_and_see(owner, "brainlock_miner_queued_requests 5"), 1u) << "behind the one that runs";
  EXPECT_EQ(ask_and_see(owner, "brainlock_miner_queued_requests 6"), 2u);
  EXPECT_EQ(refusal_of(ask(owner, route(RouteKind::kInfer), body)), Refusal::kQueueFull) << "so many a slot";
  gate.set_value();
  for (auto& answer : answers) EXPECT_EQ(answer.get().status, 200);
}

/// A question that anybody may ask, from somewhere.
net::RequestHead status_head() {
  net::RequestHead head;
  head.method = "GET";
  head.target = "/v1/status";
  head.peer_ip = "192.0.2.1";
  return head;
}

TEST_F(ServiceTest, FloodFromOneAddressIsCutOffBeforeSignaturesAreChecked) {
  options.requests_per_s_per_address = 1;
  start();
  net::RequestHead head = status_head();
  int refused = 0;
  for (int i = 0; i < 100; ++i) refused += refusal_of(drive(head, {})) == Refusal::kRateLimited ? 1 : 0;
  EXPECT_GE(refused, 95);
  head.peer_ip = "192.0.2.2";
  EXPECT_EQ(drive(head, {}).status, 200) << "another address is not concerned";
}

TEST_F(ServiceTest, WhoAsksMoreThanItMayLosesTheConnection) {
  options.requests_per_s_per_address = 1;
  start();
  net::RequestHead head = status_head();
  EXPECT_FALSE(drive(head, {}).close);
  net::Response last;
  for (int i = 0; i < 5; ++i) last = drive(head, {});
  EXPECT_EQ(last.status, 429);
  EXPECT_TRUE(last.close);
}

// A full disk stops a miner, and strangers would choose when it is full.
TEST_F(ServiceTest, AFloodOfRefusalsIsCountedAndDoesNotFillTheLog) {
  options.requests_per_s_per_address = 1e6;
  start();
  net::RequestHead lost;
  lost.method = "GET";
  lost.target = "/wp-admin";
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(refusal_of(drive(lost, {})), Refusal::kNoSuchRoute);
  EXPECT_EQ(events["refused"], 1000) << "for who wants to know everything";
  EXPECT_GE(told["refused"], 50);
  EXPECT_LT(told["refused"], 200) << "50, and one a second";
  EXPECT_NE(service->metrics(nullptr).find("outcome=\"no_such_route\"} 1000\n"), std::string::npos);
  const int before = told["refused"];
  EXPECT_EQ(refusal_of(ask(stranger, route(RouteKind::kKeyState))), Refusal::kNotRegistered);
  EXPECT_EQ(told["refused"], before + 1) << "another refusal is told of";
}

// The memory of an asker's questions is bounded before their bodies come, also when nobody waits in the queue.
TEST_F(ServiceTest, QuestionsOnTheirWayAreAsManyAsTheQueueTakes) {
  const Person other = person("other validator");
  start();
  ledger->add(other.account(), true, 1000);
  options.queue = {.total = 5, .per_asker = 3, .workers = 1};
  start();
  put_key(validator);
  put_key(other);
  const Bytes body = question();
  std::vector<std::unique_ptr<net::Exchange>> coming;
  const auto begin = [&](const Person& who) {
    auto decision = service->begin(signed_head(who, route(RouteKind::kInfer), body));
    if (auto* refused = std::get_if<net::Response>(&decision)) return refusal_of(*refused);
    coming.push_back(std::move(std::get<std::unique_ptr<net::Exchange>>(decision)));
    return Refusal::kNone;
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(begin(validator), Refusal::kNone);
  EXPECT_EQ(begin(validator), Refusal::kQueueFull);
  EXPECT_EQ(begin(other), Refusal::kNone) << "another's are not concerned";
  EXPECT_EQ(begin(other), Refusal::kNone);
  EXPECT_EQ(begin(other), Refusal::kQueueFull) << "so many in all";
  // Who goes away, and who is through, makes room.
  coming[3]->cancelled();
  coming.erase(coming.begin() + 3);
  EXPECT_EQ(begin(other), Refusal::kNone);
  std::promise<net::Response> answer;
  EXPECT_FALSE(coming[0]->body(body));
  coming[0]->complete([&](net::Response response) { answer.set_value(std::move(response)); });
  EXPECT_EQ(answer.get_future().get().status, 200);
  EXPECT_EQ(begin(validator), Refusal::kNone);
  EXPECT_EQ(begin(validator), Refusal::kQueueFull);
}

TEST_F(ServiceTest, TheSlotsValidatorHasPlacesOfItsOwnForQuestionsOnTheirWay) {
  ledger->add(miner_self.account(), false, 0);
  ledger->add(validator.account(), true, 1000);
  ledger->serve(0, 5000);
  access.self = miner_self.account();
  options.queue = {.total = 1, .per_asker = 1, .workers = 1};
  options.first_in_slot = 2;
  start();
  put_key(validator);
  const Bytes body = question();
  std::vector<std::unique_ptr<net::Exchange>> coming;
  for (int i = 0; i < 3; ++i) {
    auto decision = service->begin(signed_head(validator, route(RouteKind::kInfer), body));
    ASSERT_TRUE(std::holds_alternative<std::unique_ptr<net::Exchange>>(decision)) << i;
    coming.push_back(std::move(std::get<std::unique_ptr<net::Exchange>>(decision)));
  }
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kInfer), body)), Refusal::kQueueFull) << "and no more than those";
}

// Validators would have to send them again, on the miner's time.
TEST_F(ServiceTest, KeysSurviveALostDeviceAndALackOfMemory) {
  start();
  put_key(validator);
  const auto complete = [this] { return protocol::parse_key_state(text_of(ask(validator, route(RouteKind::kKeyState))))->complete; };
  for (const auto code : {ErrorCode::kUnavailable, ErrorCode::kResource, ErrorCode::kIo, ErrorCode::kInternal}) {
    EXPECT_TRUE(service->drain(1000));
    now_ms += 1;
    start();   // the keys are not in memory
    engine->loading = [code] { return Status(code, "not now"); };
    EXPECT_NE(refusal_of(ask(validator, route(RouteKind::kInfer), question())), Refusal::kNone);
    EXPECT_TRUE(complete()) << error_code_name(code);
  }
  engine->loading = [] { return Status(ErrorCode::kMismatch, "of other parameters"); };
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kInfer), question())), Refusal::kMismatch);
  EXPECT_FALSE(complete()) << "that is the key's fault";
}

TEST_F(ServiceTest, AnUploadThatCannotBeCheckedNowIsCheckedLater) {
  start();
  engine->loading = [] { return Status(ErrorCode::kResource, "no memory"); };
  const Bytes key = key_bytes();
  Refusal last = Refusal::kNone;
  for (std::size_t at = 0; at < key.size(); at += 50'000) last = put_part(validator, at, std::span(key).subspan(at, 50'000));
  EXPECT_EQ(last, Refusal::kOutOfResources);
  EXPECT_EQ(refusal_of(ask(validator, route(RouteKind::kKeyState))), Refusal::kOutOfResources);
  engine->loading = nullptr;
  EXPECT_TRUE(protocol::parse_key_state(text_of(ask(validator, route(RouteKind::kKeyState))))->complete) << "no byte was sent again";
}

TEST_F(ServiceTest, StatusIsForEverybodyAndSignedForThoseWhoSign) {
  start();
  net::RequestHead head;
  head.method = "GET";
  head.target = "/v1/status";
  const auto open = drive(head, {});
  EXPECT_EQ(open.status, 200);
  const auto status = protocol::parse_status(text_of(open));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->hotkey, crypto::ss58_encode(miner_self.account()));
  EXPECT_EQ(status->tasks.at(0).key_bytes, kKeyFileBytes);
  const auto proved = ask(stranger, route(RouteKind::kStatus));
  EXPECT_EQ(proved.status, 200);
  EXPECT_FALSE(protocol::header_value(proved.headers, "Brainlock-Answer-Signature").empty());
}

struct OverSockets : testing::Test {
  TemporaryFolder folder;
  std::shared_ptr<FakeLedger> ledger = std::make_shared<FakeLedger>();
  Person self = person("validator");
  FakeTaskClient task{folder.path / "client"};
  FakeMiner miner;
  void start(std::unique_ptr<FakeEngine> engine) {
    ledger->add(self.account(), true, 1000);
    miner = start_miner("miner", ledger, std::move(engine), folder.path);
  }
  client::MinerConnection connect() const { return {self.signer, {miner.self.account(), "127.0.0.1", miner.server->port(), true}}; }
};

TEST_F(OverSockets, UploadGoesOnWhereItWasBroken) {
  start(std::make_unique<FakeEngine>());
  auto first = connect();
  std::stop_source stop;
  const client::CallLimits limits;
  const auto broken = first.upload_key(kPackage, task.key_id(), task.key_file(), 20'000, limits,
                                       [&](std::uint64_t done, std::uint64_t) { if (done >= 100'000) stop.request_stop(); }, stop.get_token());
  EXPECT_FALSE(broken.ok());
  auto second = connect();
  std::uint64_t began_at = 0;
  const auto done = second.upload_key(kPackage, task.key_id(), task.key_file(), 20'000, limits, [&](std::uint64_t at, std::uint64_t) { if (began_at == 0) began_at = at; });
  ASSERT_TRUE(done.ok()) << done.detail;
  EXPECT_GE(began_at, 100'000u);
  EXPECT_LE(done.bytes_sent, 100'000u);
  const auto again = second.upload_key(kPackage, task.key_id(), task.key_file(), 20'000, limits);
  EXPECT_TRUE(again.ok());
  EXPECT_EQ(again.bytes_sent, 0u);
}

TEST_F(OverSockets, AskerWaitsForAMinerThatWasKilledAMomentAgo) {
  ledger->add(self.account(), true, 1000);
  MinerExtras extras;
  extras.fence = folder.path / "replay.fence";
  const auto start_again = [&] {
    miner.server.reset();
    miner.service.reset();   // not drained
    miner = start_miner("miner", ledger, std::make_unique<FakeEngine>(), folder.path, fast_options(), extras);
  };
  start_again();
  auto first = connect();
  ASSERT_TRUE(first.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).ok());
  start_again();
  auto second = connect();
  bool complete = false;
  protocol::Route route;
  route.kind = RouteKind::kKeyState;
  route.package = kPackage;
  route.key = task.key_id();
  const auto refused = second.call(route, {}, {});
  EXPECT_EQ(refused.refusal, Refusal::kStarting) << refused.detail;
  const auto state = second.key_state(kPackage, task.key_id(), complete);
  EXPECT_TRUE(state.ok() && complete) << state.detail;
  ASSERT_TRUE(second.infer(kPackage, task.key_id(), *task.encrypt(std::vector<float>(kInputs)), {}).ok());
  start_again();
  auto third = connect();
  const auto upload = third.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}, {}, {}, 1);
  EXPECT_TRUE(upload.ok()) << upload.detail;
  EXPECT_EQ(upload.bytes_sent, 0u);
}

TEST_F(OverSockets, EngineStopsWhenTheAskerGoesAway) {
  auto engine = std::make_unique<FakeEngine>();
  std::promise<void> started, stopped;
  engine->before = [&](const miner::JobControl& control) {
    started.set_value();
    while (!control.stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    stopped.set_value();
  };
  start(std::move(engine));
  auto connection = connect();
  ASSERT_TRUE(connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).ok());
  const auto question = *task.encrypt(std::vector<float>(kInputs));
  std::stop_source stop;
  std::jthread leaver([&] {
    started.get_future().wait();
    stop.request_stop();
  });
  EXPECT_FALSE(connection.infer(kPackage, task.key_id(), question, {}, stop.get_token()).ok());
  EXPECT_EQ(stopped.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

TEST_F(OverSockets, MeasuredTimeIsTheEnginesTime) {
  auto engine = std::make_unique<FakeEngine>();
  engine->before = [](const miner::JobControl&) { std::this_thread::sleep_for(std::chrono::milliseconds(200)); };
  start(std::move(engine));
  auto connection = connect();
  ASSERT_TRUE(connection.upload_key(kPackage, task.key_id(), task.key_file(), 1 << 16, {}).ok());
  const auto call = connection.infer(kPackage, task.key_id(), *task.encrypt(std::vector<float>(kInputs)), {});
  ASSERT_TRUE(call.ok()) << call.detail;
  EXPECT_GE(call.response_s, 0.2);
  EXPECT_LT(call.response_s, 0.6) << "loose: the machine may be busy";
  EXPECT_LT(call.network_s, call.response_s);
  EXPECT_GT(call.round_trip_s, 0);
  EXPECT_GE(call.network_s, call.round_trip_s);
}

}  // namespace
}  // namespace brainlock::test
