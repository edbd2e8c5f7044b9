// Miners that keep a validator waiting: none of them for long, and not at the cost of others.
#include <gmock/gmock.h>

#include <thread>

#include "fake_subnet.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;
using protocol::Refusal;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// A server that answers some requests itself and leaves the others to the miner.
class Hindering final : public net::Application {
 public:
  using Hinder = std::function<std::optional<net::Response>(const net::RequestHead&)>;
  Hindering(std::shared_ptr<net::Application> miner, Hinder hinder) : miner_(std::move(miner)), hinder_(std::move(hinder)) {}
  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead& head) override {
    if (auto response = hinder_(head)) return std::move(*response);
    return miner_->begin(head);
  }

 private:
  std::shared_ptr<net::Application> miner_;
  Hinder hinder_;
};

bool is_key_part(const net::RequestHead& head) { return head.method == "PUT"; }

net::Response refusal(Refusal refusal) {
  return {protocol::refusal_http_status(refusal), "application/json", {}, net::text_bytes(protocol::refusal_body(refusal, ""))};
}

class Stalling : public testing::Test {
 protected:
  void SetUp() override { ledger->add(self.account(), true, 1000); }

  FakeMiner& add(const std::string& name, Hindering::Hinder hinder = {}, std::unique_ptr<FakeEngine> engine = std::make_unique<FakeEngine>()) {
    const auto uid = ledger->add(person(name).account(), false, 0);
    miners.push_back(start_miner(name, ledger, std::move(engine), folder.path));
    FakeMiner& miner = miners.back();
    if (hinder) {
      miner.server.reset();
      net::ServerOptions options{.address = "127.0.0.1"};
      options.tls = miner::make_server_tls(miner.self.signer).value();
      miner.server = std::move(net::Server::start(options, std::make_shared<Hindering>(miner.service, std::move(hinder)))).value();
    }
    ledger->serve(uid, miner.server->port());
    return miner;
  }
  store::RequestRow newest(const validator::Validator& validator) const { return validator.parts().store->requests({}).value().at(0); }

  const TemporaryFolder folder;
  const std::shared_ptr<FakeLedger> ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  std::vector<FakeMiner> miners;
};

TEST_F(Stalling, AMinerThatTakesNoPartEndsTheUpload) {
  // It says that the rest is wanted each time it is asked, and has no room for it whenever it comes.
  const auto parts = std::make_shared<std::atomic<int>>(0);
  add("full", [parts](const net::RequestHead& head) -> std::optional<net::Response> {
    if (!is_key_part(head)) return std::nullopt;
    ++*parts;
    return refusal(Refusal::kQuotaExceeded);
  });
  const auto validator = make_validator(self, ledger, folder.path);
  const auto begin = steady_clock::now();
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->failed, 1u);
  EXPECT_LT(steady_clock::now() - begin, seconds(5));
  EXPECT_LE(*parts, 4);
  EXPECT_EQ(newest(*validator).reason, protocol::reason_name(Reason::kKeyUpload));
}

TEST_F(Stalling, ASlowUploadEndsInTimeAndGoesOnLater) {
  const auto parts = std::make_shared<std::atomic<int>>(0);
  const auto slow = std::make_shared<std::atomic<bool>>(true);
  add("slow", [parts, slow](const net::RequestHead& head) -> std::optional<net::Response> {
    if (!is_key_part(head)) return std::nullopt;
    ++*parts;
    if (*slow && *parts > 2) std::this_thread::sleep_for(seconds(2));
    return std::nullopt;
  });
  validator::ValidatorOptions options;
  options.upload_timeout_ms = 700;
  const auto validator = make_validator(self, ledger, folder.path, options);
  const auto begin = steady_clock::now();
  EXPECT_EQ(validator->run_round()->failed, 1u);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(1900));
  // The next one waits, which is a failure all the same: nobody shall live on old scores by taking a key for ever.
  const int tried = *parts;
  EXPECT_EQ(validator->run_round()->failed, 1u);
  EXPECT_EQ(*parts, tried);
  EXPECT_THAT(newest(*validator).detail, testing::HasSubstr("the next one is in"));
  // Another validator process with the same keys, as after a restart: the parts that arrived are not sent again.
  *slow = false;
  const auto again = make_validator(self, ledger, folder.path, options);
  EXPECT_EQ(again->run_round()->succeeded, 1u);
  EXPECT_LE(*parts - tried, 3);
}

TEST_F(Stalling, AKeyThatIsLostEachTimeIsNotSentForEver) {
  const auto uid = ledger->add(person("forgetful").account(), false, 0);
  validator::ValidatorOptions options;
  options.uploads_an_hour = 2;
  const auto validator = make_validator(self, ledger, folder.path, options);
  for (int round = 0; round < 4; ++round) {
    const FakeMiner miner = start_miner("forgetful", ledger, std::make_unique<FakeEngine>(), folder.path);
    ledger->serve(uid, miner.server->port());
    EXPECT_EQ(validator->run_round()->succeeded, round < 2 ? 1u : 0u);
    EXPECT_EQ(miner.server->counters().bytes_in >= kKeyFileBytes, round < 2) << round;
    fs::remove_all(folder.path / "forgetful");
  }
  EXPECT_EQ(newest(*validator).reason, protocol::reason_name(Reason::kKeyUpload));
  EXPECT_THAT(newest(*validator).detail, testing::HasSubstr("2 times within an hour"));
}

// It would think while it is not timed, and answer the second time at once.
TEST_F(Stalling, AQuestionIsNotAskedAgainOfWhoSaysThatItHasNoKey) {
  const auto asked = std::make_shared<std::atomic<int>>(0);
  const auto denies = std::make_shared<std::atomic<bool>>(false);
  add("thinker", [asked, denies](const net::RequestHead& head) -> std::optional<net::Response> {
    if (head.method != "POST") return std::nullopt;
    ++*asked;
    if (*denies) return refusal(Refusal::kUnknownKey);
    return std::nullopt;
  });
  const auto validator = make_validator(self, ledger, folder.path);
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
  *denies = true;
  for (int round = 2; round < 5; ++round) {
    EXPECT_EQ(validator->run_round()->failed, 1u);
    EXPECT_EQ(*asked, round);
  }
  *denies = false;
  EXPECT_EQ(validator->run_round()->succeeded, 1u);
}

TEST_F(Stalling, ThoseWhoAreSilentAreAskedLastAndTogether) {
  struct Order {
    std::mutex mutex;
    std::vector<std::string> names;
  };
  const auto order = std::make_shared<Order>();
  const auto engine = [&](const std::string& name, bool silent) {
    auto out = std::make_unique<FakeEngine>();
    out->before = [order, name, silent](const miner::JobControl&) {
      {
        const std::lock_guard lock(order->mutex);
        order->names.push_back(name);
      }
      if (silent) std::this_thread::sleep_for(milliseconds(1400));
    };
    return out;
  };
  add("silent", {}, engine("silent", true));
  add("refuses late", [](const net::RequestHead& head) -> std::optional<net::Response> {
    if (head.method != "POST") return std::nullopt;
    std::this_thread::sleep_for(milliseconds(900));
    return refusal(Refusal::kQueueFull);
  });
  for (const char* name : {"prompt 1", "prompt 2", "prompt 3", "prompt 4"}) add(name, {}, engine("prompt", false));
  validator::ValidatorOptions options;
  options.parallel = 2;
  options.request_timeout_ms = 1000;
  const auto validator = make_validator(self, ledger, folder.path, options);
  ASSERT_TRUE(validator->run_round().ok());
  for (int round = 0; round < 2; ++round) {
    std::this_thread::sleep_for(milliseconds(600));   // the silent ones' engines are free again
    {
      const std::lock_guard lock(order->mutex);
      order->names.clear();
    }
    int batches = 0;
    const auto begin = steady_clock::now();
    ASSERT_TRUE(validator->run_round({}, [&] { ++batches; }).ok());
    EXPECT_EQ(batches, 3);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(1900)) << "each of the slow miners held up a batch of its own";
    const std::lock_guard lock(order->mutex);
    ASSERT_GE(order->names.size(), 5u);
    EXPECT_THAT(std::vector<std::string>(order->names.begin(), order->names.begin() + 4), testing::Each("prompt"));
  }
}

TEST_F(Stalling, VotesAreSentInTheMiddleOfALongRound) {
  add("honest");
  auto slow = std::make_unique<FakeEngine>();
  slow->before = [](const miner::JobControl&) { std::this_thread::sleep_for(milliseconds(300)); };
  add("slow", {}, std::move(slow));
  validator::ValidatorOptions options;
  options.parallel = 1;
  const auto validator = make_validator(self, ledger, folder.path, options);
  int between = 0;
  ASSERT_TRUE(validator->run_round({}, [&] {
    if (++between == 1) {
      EXPECT_TRUE(validator->vote().ok());
    }
  }).ok());
  EXPECT_EQ(between, 2);
  EXPECT_EQ(validator->parts().store->votes(5)->size(), 1u);
}

}  // namespace
}  // namespace brainlock::test
