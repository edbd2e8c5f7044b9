// Inputs that an honest miner cannot answer rightly: the answer's coefficients leave the modulus. With the real engine.
#include "brainlock/base/file.hpp"
#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "brainlock/miner/fhe_engine.hpp"
#include "brainlock/sampler/calibration.hpp"
#include "brainlock/sampler/synthetic.hpp"
#include "brainlock/validator/board.hpp"
#include "fake_subnet.hpp"

namespace brainlock::test {
namespace {

using protocol::Reason;

constexpr int kSide = 16;   // tiny-cnn: one channel of 16x16

sampler::Sample synthetic(std::uint64_t seed) {
  sampler::Sample sample;
  sample.image = *sampler::synthetic_image(seed, 1, kSide, kSide);
  sample.kind = "synthetic";
  sample.seed = seed;
  return sample;
}

/// Squares of 2x2 around mid grey. Three squarings make 25,000 times the limit of full contrast (docs/package.md).
sampler::Sample checkerboard(double contrast) {
  sampler::Sample sample = synthetic(0);
  for (std::size_t i = 0; i < sample.image.pixels.size(); ++i) {
    const std::size_t row = i / kSide % kSide, column = i % kSide;
    sample.image.pixels[i] = static_cast<float>(0.5 + ((row / 2 + column / 2) % 2 == 0 ? -0.5 : 0.5) * contrast);
  }
  sample.kind = "checkerboard";
  return sample;
}

struct OutOfRange : testing::Test {
  TemporaryFolder folder;
  std::shared_ptr<FakeLedger> ledger = std::make_shared<FakeLedger>();
  Person self = person("validator");
  std::shared_ptr<const package::Package> package;
  FakeMiner miner;
  std::vector<std::string> rejected;   ///< "wraps" of each event
  std::vector<std::string> key_events;
  std::vector<sampler::Sample> drawn;  ///< what the validator is given, one after the other; the last for ever
  std::size_t next = 0;

  void SetUp() override {
    const fs::path model = fs::path(BRAINLOCK_SOURCE_DIR) / "models/tiny-cnn/tiny.onnx";
    const auto bytes = read_file(model, package::kMaxModelBytes);
    ASSERT_TRUE(bytes.ok()) << bytes.error().to_string();
    auto graph = compiler::import_onnx(std::as_bytes(std::span(*bytes)));
    ASSERT_TRUE(graph.ok());
    graph = compiler::normalise(std::move(*graph));
    ASSERT_TRUE(graph.ok());
    compiler::CompileOptions options{compiler::find_profile("fast").value(), {}, {}};
    options.calibration = sampler::calibration_inputs(8, 1, kSide, kSide, 1);
    auto program = compiler::compile(*graph, options);
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    auto made = package::Package::create(folder.path / "package", std::move(*program), *bytes, false);
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    package = *made;
    ledger->add(self.account(), true, 1000);
    const auto uid = ledger->add(person("honest").account(), false, 0);
    miner::ServiceOptions service;
    service.requests_per_s_per_address = 1e6;
    miner = start_miner("honest", ledger, miner::make_fhe_engine({package}, 2).value(), folder.path, service);
    ledger->serve(uid, miner.server->port());
  }

  std::unique_ptr<validator::Validator> make(bool checked, decltype(validator::Task::renew) renew = {}) {
    validator::ValidatorParts parts;
    parts.self = self.signer;
    parts.ledger_signer = self.ledger_signer;
    parts.ledger = ledger;
    parts.store = std::move(store::Store::open(std::move(store::open_sqlite(folder.path / (checked ? "a.sqlite" : "b.sqlite"))).value())).value();
    parts.tasks.push_back(validator::open_task(folder.path / "package", std::vector{package->hash()}, folder.path / "keys", 2).value());
    if (!checked) parts.tasks.back().range = {};
    if (renew) parts.tasks.back().renew = renew;
    parts.draw = [this](const validator::Task&, std::uint64_t) -> Result<sampler::Sample> { return drawn.at(std::min(next++, drawn.size() - 1)); };
    parts.log = [this](net::EventLevel, std::string_view event, const net::EventFields& fields) {
      if (event.starts_with("keys_")) key_events.emplace_back(event);
      if (event != "input_rejected") return;
      for (const auto& [name, value] : fields) {
        if (name == "wraps") rejected.push_back(value);
      }
    };
    validator::ValidatorOptions options;
    options.allow_private_addresses = true;
    options.draws = 5;
    return std::move(validator::Validator::make(std::move(parts), options)).value();
  }
};

TEST_F(OutOfRange, AnotherInputIsDrawnCountedAndLogged) {
  drawn = {checkerboard(1), checkerboard(104.0 / 255), synthetic(7)};
  const auto validator = make(true);
  const validator::Task& task = validator->parts().tasks[0];
  // The inputs are what they are taken for.
  ASSERT_TRUE(task.range(drawn[0].image.pixels)->wraps());
  ASSERT_FALSE(task.range(drawn[1].image.pixels)->wraps());
  ASSERT_FALSE(task.range(drawn[1].image.pixels)->inside());
  ASSERT_TRUE(task.range(drawn[2].image.pixels)->inside());
  EXPECT_EQ(task.range(std::vector<float>(5)).error().code, ErrorCode::kInvalidArgument);

  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->succeeded, 1U);
  EXPECT_EQ(validator->rejected_inputs().wrapping, 1U);
  EXPECT_EQ(validator->rejected_inputs().beyond_limit, 1U);
  EXPECT_EQ(rejected, (std::vector<std::string>{"yes", "no"}));
  const auto row = validator->parts().store->requests({})->at(0);
  EXPECT_EQ(row.input_kind, "synthetic");
  EXPECT_EQ(row.input_seed, 7U);
  const std::string metrics = validator::board_metrics(*validator).value();
  EXPECT_NE(metrics.find("brainlock_validator_rejected_inputs_total{why=\"wraps\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("brainlock_validator_rejected_inputs_total{why=\"beyond_limit\"} 1\n"), std::string::npos);
}

// Keys that have served their time give way to others, which miners are sent; when that fails the old ones go on.
TEST_F(OutOfRange, OldKeysAreRenewedBetweenRounds) {
  drawn = {synthetic(7)};
  const fs::path secret = folder.path / "keys" / client::kSecretKeyFile;
  const auto first = make(true)->parts().tasks[0].client->key_id();
  const auto kept = make(true);
  ASSERT_EQ(kept->run_round()->succeeded, 1U);
  EXPECT_EQ(kept->parts().tasks[0].client->key_id(), first);

  fs::last_write_time(secret, fs::last_write_time(secret) - std::chrono::hours(24 * 8));
  const auto renewing = make(true);
  EXPECT_EQ(renewing->parts().tasks[0].client->key_id(), first);
  ASSERT_EQ(renewing->run_round()->succeeded, 1U);
  const auto second = renewing->parts().tasks[0].client->key_id();
  EXPECT_NE(second, first);
  ASSERT_EQ(renewing->run_round()->succeeded, 1U);
  EXPECT_EQ(renewing->parts().tasks[0].client->key_id(), second);

  fs::last_write_time(secret, fs::last_write_time(secret) - std::chrono::hours(24 * 8));
  const auto failing = make(true, [] { return Result<std::shared_ptr<const client::TaskClient>>(ErrorCode::kIo, "no space left"); });
  ASSERT_EQ(failing->run_round()->succeeded, 1U);
  EXPECT_EQ(failing->parts().tasks[0].client->key_id(), second);
  EXPECT_EQ(key_events, (std::vector<std::string>{"keys_renewed", "keys_not_renewed"}));
}

// Why it is done: the same image, asked, has an honest miner's answer judged wrong.
TEST_F(OutOfRange, WithoutTheCheckAnHonestMinerWouldFail) {
  drawn = {checkerboard(1)};
  const auto validator = make(false);
  EXPECT_EQ(validator->run_round()->failed, 1U);
  EXPECT_EQ(validator->parts().store->requests({})->at(0).reason, protocol::reason_name(Reason::kWrongOutput));
}

TEST_F(OutOfRange, WhereNoInputFitsNobodyIsAskedAndNobodyBlamed) {
  drawn = {checkerboard(1)};
  const auto validator = make(true);
  const auto report = validator->run_round();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->not_counted, 1U);
  EXPECT_EQ(report->failed, 0U);
  EXPECT_EQ(validator->rejected_inputs().wrapping, 5U);
  EXPECT_EQ(miner.server->counters().requests, 0U);
  const auto row = validator->parts().store->requests({})->at(0);
  EXPECT_EQ(row.reason, protocol::reason_name(Reason::kValidatorError));
  EXPECT_NE(row.detail.find("5 inputs in a row leave the package's range"), std::string::npos) << row.detail;
  EXPECT_EQ(validator->standings()->at(0).standing.requests, 0U);
}

}  // namespace
}  // namespace brainlock::test
