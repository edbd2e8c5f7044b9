// Recorded runs: the same words as plain ones, request after request, for several sets of keys and lanes.
#include <gtest/gtest.h>

#include <thread>

#include "brainlock/device_cuda/cuda_backend.hpp"
#include "brainlock/device_cuda/emulated_backend.hpp"
#include "toy_program.hpp"

namespace brainlock::runtime {
namespace {

using device_cuda::DeviceChoice;
using test::Builder;
using test::Client;

/// A client with its keys on a machine's device.
struct Party {
  Client client;
  std::shared_ptr<const ckks::LoadedKeys> keys;

  Party(const Machine& machine, const plan::Program& program) : client(machine.parameters) {
    ckks::KeyLoader loader(machine.backend, machine.pool, machine.parameters, key_requests(program));
    for (const auto& key : client.keys(program).keys) EXPECT_TRUE(loader.add(key).ok());
    keys = loader.finish().value();
  }
};

std::vector<ckks::Ciphertext> copy(const std::vector<ckks::Ciphertext>& in) {
  std::vector<ckks::Ciphertext> out;
  for (const auto& c : in) out.push_back(c.clone());
  return out;
}

void expect_equal(const std::vector<ckks::Ciphertext>& a, const std::vector<ckks::Ciphertext>& b) {
  ASSERT_EQ(a.size(), b.size());
  ASSERT_FALSE(a.empty());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].c0, b[i].c0);
    EXPECT_EQ(a[i].c1, b[i].c1);
  }
}

class Replays : public ::testing::TestWithParam<DeviceChoice::Kind> {
 protected:
  void SetUp() override {
    if (GetParam() != DeviceChoice::Kind::kCuda) return;
    if (const auto devices = device_cuda::list_devices(); !devices) GTEST_SKIP() << devices.error().message;
  }
  std::shared_ptr<const LoadedProgram> load(const plan::Program& program, unsigned lanes = 1, std::uint64_t memory_bytes = 0) {
    auto machine = std::make_shared<Machine>();
    machine->parameters = test::toy_parameters(program.parameters);
    machine->pool = std::make_shared<device::ThreadPool>(2U);
    const auto ring = ckks::make_ring(*machine->parameters);
    if (memory_bytes != 0) {
      machine->backend = device_cuda::make_emulated_backend(ring, {.memory_bytes = memory_bytes}).value();
    } else {
      machine->backend = device_cuda::select_backend({GetParam(), 0}, ring, machine->pool).value().backend;
    }
    machine->lanes = lanes;
    return LoadedProgram::load(machine, program).value();
  }
  /// The words of a plain run.
  static std::vector<ckks::Ciphertext> plain(const LoadedProgram& program, const Party& party, const std::vector<ckks::Ciphertext>& inputs) {
    return Executor().run(program, *party.keys, copy(inputs), {.progress = {}, .stop = {}, .replay = false}).value();
  }
  static void expect_plain_words(const LoadedProgram& program, Party& party, std::uint32_t seed) {
    const auto inputs = party.client.encrypt(program.program(), test::random_tensor(program.program().input, seed));
    const auto outputs = Executor().run(program, *party.keys, copy(inputs));
    ASSERT_TRUE(outputs.ok()) << outputs.error().to_string();
    expect_equal(*outputs, plain(program, party, inputs));
  }
};

TEST_P(Replays, EqualPlainRunsForTwoSetsOfKeysInTurn) {
  const std::vector<plan::Program> programs{
      Builder(1, 2, 8).split(2).linear({.outputs = 3}).square(2).linear({.rotations = {0, -1, 9}, .drop = 3}).finish(),
      Builder(2, 1, 5).split(1).combine({0, 7, -2}).linear({.giants = 1, .rotate_sums = {1, 64}}).finish(),
      Builder(1, 2, 4).split(2).linear({.giants = 5, .period = test::kSlots, .density = 0.3, .sparse = true}).finish(),
      Builder(1, 2, 4).split(2).linear({.giants = 5, .giant_fan = 2}).finish(),
      Builder(2, 2, 1).raise(5).split(1).linear({}).finish()};
  for (const plan::Program& program : programs) {
    const auto loaded = load(program);
    Party a(loaded->machine(), program), b(loaded->machine(), program);
    std::uint32_t seed = 1;
    for (Party* party : {&a, &a, &a, &b, &a, &b, &b, &a}) expect_plain_words(*loaded, *party, seed++);
    const auto report = loaded->replay_report();
    EXPECT_EQ(report.reason, "");
    EXPECT_EQ(report.plain, 2U);
    EXPECT_EQ(report.recorded, 2U);
    EXPECT_EQ(report.replayed, 6U);
    EXPECT_GT(report.kernels, 10U);
  }
}

TEST_P(Replays, KernelsAreTimedInARecordingOfTheKeys) {
  const plan::Program program = Builder(1, 2, 5).split(2).linear({.outputs = 2, .giants = 4, .giant_fan = 2}).finish();
  const auto loaded = load(program);
  Party a(loaded->machine(), program), b(loaded->machine(), program);
  for (std::uint32_t seed = 0; seed < 2; ++seed) expect_plain_words(*loaded, a, seed);
  const auto none = loaded->kernel_times(*b.keys);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
  const auto times = loaded->kernel_times(*a.keys);
  ASSERT_TRUE(times.ok()) << times.error().to_string();
  std::uint64_t launches = 0;
  for (const device::KernelTime& k : *times) launches += k.launches;
  EXPECT_EQ(launches, loaded->replay_report().kernels);
  expect_plain_words(*loaded, a, 3);   // and leaves nothing behind
}

TEST_P(Replays, OutlivePoolsThatAreTrimmedAndTakeNoOtherSetInTheirKeysPlace) {
  const plan::Program program = Builder(1, 2, 5).split(2).linear({.outputs = 2}).finish();
  const auto loaded = load(program);
  for (int round = 0; round < 4; ++round) {   // freed memory of one set is the next one's
    Party party(loaded->machine(), program);
    for (std::uint32_t seed = 0; seed < 3; ++seed) {
      expect_plain_words(*loaded, party, seed);
      loaded->machine().backend->trim();
    }
  }
  EXPECT_EQ(loaded->replay_report().recorded, 4U);
  EXPECT_EQ(loaded->replay_report().plain, 4U);
}

TEST_P(Replays, MoreSetsThanAreKept) {
  const plan::Program program = Builder(1, 1, 3).split(1).linear({.giants = 1}).finish();
  const auto loaded = load(program);
  std::vector<std::unique_ptr<Party>> parties;
  for (int i = 0; i < 18; ++i) parties.push_back(std::make_unique<Party>(loaded->machine(), program));
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (auto& party : parties) expect_plain_words(*loaded, *party, round);
  }
  const auto report = loaded->replay_report();
  EXPECT_EQ(report.plain, 18U);
  EXPECT_EQ(report.recorded, 36U);   // each was forgotten before its turn came again
  EXPECT_EQ(report.replayed, 36U);
}

TEST_P(Replays, SeveralLanesAtTheSameTime) {
  const plan::Program program = Builder(1, 2, 6).split(2).linear({.outputs = 2}).square(2).linear({.drop = 2}).finish();
  const auto loaded = load(program, 3);
  Party a(loaded->machine(), program), b(loaded->machine(), program);
  struct Request {
    const Party* party;
    std::vector<ckks::Ciphertext> inputs, expected;
  };
  std::vector<Request> requests;
  for (std::uint32_t i = 0; i < 12; ++i) {
    Party& party = i % 3 == 0 ? b : a;
    auto inputs = party.client.encrypt(program, test::random_tensor(program.input, i));
    auto expected = plain(*loaded, party, inputs);
    requests.push_back({&party, std::move(inputs), std::move(expected)});
  }
  std::vector<std::jthread> threads;
  std::vector<std::vector<ckks::Ciphertext>> outputs(requests.size());
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < requests.size(); i += 4) {
        auto out = Executor().run(*loaded, *requests[i].party->keys, copy(requests[i].inputs));
        if (out) outputs[i] = std::move(*out);
      }
    });
  }
  threads.clear();
  for (std::size_t i = 0; i < requests.size(); ++i) expect_equal(outputs[i], requests[i].expected);
  const auto report = loaded->replay_report();
  EXPECT_EQ(report.lanes, 3U);
  EXPECT_EQ(report.plain, 2U);
  EXPECT_EQ(report.replayed, 10U);
}

TEST_P(Replays, AStopLeavesNothingBehind) {
  const plan::Program program = Builder(1, 2, 5).split(2).linear({.outputs = 2}).finish();
  const auto loaded = load(program);
  Party party(loaded->machine(), program);
  expect_plain_words(*loaded, party, 1);
  std::stop_source stopped;
  stopped.request_stop();
  const auto inputs = party.client.encrypt(program, test::random_tensor(program.input, 2));
  const auto outputs = Executor().run(*loaded, *party.keys, copy(inputs), {.progress = {}, .stop = stopped.get_token()});
  ASSERT_FALSE(outputs.ok());
  EXPECT_EQ(outputs.error().code, ErrorCode::kCancelled);
  expect_plain_words(*loaded, party, 3);
  expect_plain_words(*loaded, party, 4);
  EXPECT_EQ(loaded->replay_report().replayed, 2U);
}

TEST_P(Replays, ProgressComesOnceAndTheOptionSwitchesItOff) {
  const plan::Program program = Builder(1, 2, 5).split(2).linear({.outputs = 2}).finish();
  const auto loaded = load(program);
  Party party(loaded->machine(), program);
  const auto inputs = party.client.encrypt(program, test::random_tensor(program.input, 2));
  for (int i = 0; i < 3; ++i) (void)plain(*loaded, party, inputs);
  EXPECT_EQ(loaded->replay_report().plain + loaded->replay_report().replayed, 0U);
  std::vector<std::size_t> calls;
  for (int i = 0; i < 2; ++i) {
    std::size_t count = 0;
    RunOptions options;
    options.progress = [&](std::size_t done, std::size_t total, const std::string&) {
      ++count;
      EXPECT_LE(done, total);
    };
    ASSERT_TRUE(Executor().run(*loaded, *party.keys, copy(inputs), options).ok());
    calls.push_back(count);
  }
  EXPECT_EQ(calls, (std::vector<std::size_t>{program.instructions.size(), 1}));
  RunProfile profile;
  ASSERT_TRUE(Executor().run(*loaded, *party.keys, copy(inputs), {}, &profile).ok());
  EXPECT_EQ(profile.entries.size(), program.instructions.size());   // plain
  EXPECT_EQ(loaded->replay_report().replayed, 1U);
}

std::string kind_name(const ::testing::TestParamInfo<DeviceChoice::Kind>& info) {
  return info.param == DeviceChoice::Kind::kCuda ? "Gpu" : "Emulated";
}
INSTANTIATE_TEST_SUITE_P(Devices, Replays, ::testing::Values(DeviceChoice::Kind::kEmulated, DeviceChoice::Kind::kCuda), kind_name);

class ReplaysEmulated : public Replays {};
INSTANTIATE_TEST_SUITE_P(Devices, ReplaysEmulated, ::testing::Values(DeviceChoice::Kind::kEmulated), kind_name);

TEST_P(ReplaysEmulated, LittleMemoryMeansPlainRuns) {
  const plan::Program program = Builder(1, 2, 5).split(2).linear({.outputs = 2}).finish();
  const auto loaded = load(program, 1, std::uint64_t{480} << 20);
  Party party(loaded->machine(), program);
  for (std::uint32_t seed = 0; seed < 3; ++seed) expect_plain_words(*loaded, party, seed);
  const auto report = loaded->replay_report();
  EXPECT_EQ(report.plain, 3U);
  EXPECT_EQ(report.replayed, 0U);
  EXPECT_NE(report.reason.find("should be free"), std::string::npos) << report.reason;
}

TEST_P(ReplaysEmulated, AFailedLaunchOfAReplayFailsTheRequest) {
  const plan::Program program = Builder(1, 2, 4).split(2).linear({}).finish();
  std::size_t in_replay = 0;
  for (std::uint64_t failing = 40;; failing += 17) {
    auto machine = std::make_shared<Machine>();
    machine->parameters = test::toy_parameters(program.parameters);
    machine->pool = std::make_shared<device::ThreadPool>(2U);
    machine->backend = device_cuda::make_emulated_backend(ckks::make_ring(*machine->parameters), {.failing_launch = failing}).value();
    const auto loaded = LoadedProgram::load(machine, program).value();
    Client client(machine->parameters);
    ckks::KeyLoader loader(machine->backend, machine->pool, machine->parameters, key_requests(program));
    bool added = true;
    for (const auto& key : client.keys(program).keys) added = added && loader.add(key).ok();
    if (!added) continue;
    const auto keys = loader.finish();
    if (!keys) continue;
    const auto inputs = client.encrypt(program, test::random_tensor(program.input, 3));
    const auto first = Executor().run(*loaded, **keys, copy(inputs));
    if (!first) continue;
    const auto second = Executor().run(*loaded, **keys, copy(inputs));
    if (second) break;   // no launch has that number
    EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
    ++in_replay;
  }
  EXPECT_GT(in_replay, 0U);
}

TEST(ReplaysOnTheCpu, ThereAreNone) {
  const plan::Program program = Builder(1, 1, 3).split(1).linear({.giants = 1}).finish();
  const auto machine = Machine::make(test::toy_parameters(program.parameters), 2U).value();
  const auto loaded = LoadedProgram::load(machine, program).value();
  EXPECT_EQ(loaded->replay_report().lanes, 0U);
}

}  // namespace
}  // namespace brainlock::runtime
