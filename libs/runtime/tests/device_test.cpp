// Whole encrypted programs on another device than the CPU: the same package, keys and ciphertexts, and the same words.
#include <gtest/gtest.h>

#include "brainlock/device_cuda/cuda_backend.hpp"
#include "brainlock/device_cuda/emulated_backend.hpp"
#include "toy_program.hpp"

namespace brainlock::runtime {
namespace {

using device_cuda::DeviceChoice;
using test::Builder;
using test::Client;

class ProgramsOnDevice : public ::testing::TestWithParam<DeviceChoice::Kind> {
 protected:
  void SetUp() override {
    if (GetParam() != DeviceChoice::Kind::kCuda) return;
    if (const auto devices = device_cuda::list_devices(); !devices) GTEST_SKIP() << devices.error().message;
  }

  struct Answer {
    std::vector<ckks::Ciphertext> ciphertexts;
    RunProfile profile;
  };
  static Answer run(const plan::Program& program, const DeviceChoice& device, Client& client, const ckks::EvaluationKeySet& keys,
                    const std::vector<ckks::Ciphertext>& inputs) {
    Answer answer;
    auto machine = Machine::make(client.parameters(), 2U, device);
    EXPECT_TRUE(machine.ok()) << machine.error().to_string();
    auto loaded = LoadedProgram::load(*machine, program);
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
    ckks::KeyLoader loader((*machine)->backend, (*machine)->pool, client.parameters(), key_requests(program));
    for (const auto& key : keys.keys) EXPECT_TRUE(loader.add(key).ok());
    auto loaded_keys = loader.finish();
    EXPECT_TRUE(loaded_keys.ok());
    std::vector<ckks::Ciphertext> copies;
    for (const auto& input : inputs) copies.push_back(input.clone());
    auto outputs = Executor().run(**loaded, **loaded_keys, std::move(copies), {}, &answer.profile);
    EXPECT_TRUE(outputs.ok()) << outputs.error().to_string();
    if (outputs.ok()) answer.ciphertexts = std::move(*outputs);
    return answer;
  }

  /// The device's words equal the CPU's. Returns what they decrypt to.
  static std::vector<double> expect_equal_words(const plan::Program& program, std::span<const float> tensor) {
    Client client(test::toy_parameters(program.parameters));
    const auto inputs = client.encrypt(program, tensor);
    const auto keys = client.keys(program);
    const Answer cpu = run(program, {DeviceChoice::Kind::kCpu, 0}, client, keys, inputs);
    const Answer device = run(program, {GetParam(), 0}, client, keys, inputs);
    EXPECT_EQ(cpu.ciphertexts.size(), device.ciphertexts.size());
    EXPECT_FALSE(cpu.ciphertexts.empty());
    if (cpu.ciphertexts.size() != device.ciphertexts.size()) return {};
    for (std::size_t i = 0; i < cpu.ciphertexts.size(); ++i) {
      EXPECT_EQ(cpu.ciphertexts[i].c0, device.ciphertexts[i].c0);
      EXPECT_EQ(cpu.ciphertexts[i].c1, device.ciphertexts[i].c1);
    }
    EXPECT_EQ(cpu.profile.device, "cpu");
    EXPECT_NE(device.profile.device, "cpu");
    return client.decrypt(program, device.ciphertexts);
  }
  /// And they decrypt to what the program computes.
  static void expect_equal(const plan::Program& program, double tolerance) {
    const auto tensor = test::random_tensor(program.input, 7);
    const auto got = expect_equal_words(program, tensor), expected = plan::run_slots(program, tensor);
    ASSERT_EQ(got.size(), expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(got[i] - expected[i]));
    EXPECT_LT(worst, tolerance);
  }
};

TEST_P(ProgramsOnDevice, SplitLinearSquareLinear) {
  expect_equal(Builder(1, 2, 8).split(2).linear({.outputs = 3}).square(2).linear({.rotations = {0, -1, 9}, .drop = 3}).finish(), 1e-3);
}

TEST_P(ProgramsOnDevice, SquaresOfRealParts) {
  expect_equal(Builder(3, 2, 6).square_real_part().linear({.drop = 2}).finish(), 1e-4);
}

TEST_P(ProgramsOnDevice, RealPartsCombinedSumsRotated) {
  expect_equal(Builder(2, 1, 5).split(1).combine({0, 7, -2}).linear({.giants = 1, .rotate_sums = {1, 64}}).finish(), 1e-4);
}

TEST_P(ProgramsOnDevice, Masks) {
  expect_equal(Builder(1, 2, 8).split(2).linear({.outputs = 3, .mask_period = test::kSlots}).square(2).linear({.drop = 3, .mask_period = 16}).finish(), 0.05);
}

// Behind a Raise are multiples that depend on the key: no interpreter can know them. (What they are:
// executor_test.cpp.)
TEST_P(ProgramsOnDevice, Raises) {
  for (const plan::Program& program :
       {Builder(3, 2, 1).raise(8).finish(),
        Builder(2, 2, 1).raise(6).split(1).linear({.precise = true}).square(2).linear({.drop = 2}).finish()}) {
    const auto got = expect_equal_words(program, test::random_tensor(program.input, 7));
    EXPECT_EQ(got.size(), std::size_t{2} * program.output.ciphertexts * test::kSlots);
  }
}

TEST_P(ProgramsOnDevice, PreciseWeights) {
  expect_equal(Builder(1, 2, 5).split(2).linear({.outputs = 3, .precise = true}).finish(), 1e-5);
}

TEST_P(ProgramsOnDevice, GiantStepsInRounds) {
  expect_equal(Builder(1, 2, 5).split(2).linear({.outputs = 3, .giants = 7, .giant_fan = 2}).finish(), 1e-4);
  expect_equal(Builder(2, 1, 4).split(1).linear({.outputs = 1, .giants = 6, .giant_step = -3, .giant_fan = 4}).finish(), 1e-4);
}

TEST_P(ProgramsOnDevice, FullWeights) {
  expect_equal(Builder(1, 2, 4).split(2).linear({.giants = 5, .period = test::kSlots, .density = 0.3, .sparse = true}).finish(), 1e-5);
}

std::string kind_name(const ::testing::TestParamInfo<DeviceChoice::Kind>& info) {
  return info.param == DeviceChoice::Kind::kCuda ? "Gpu" : "Emulated";
}
INSTANTIATE_TEST_SUITE_P(Devices, ProgramsOnDevice, ::testing::Values(DeviceChoice::Kind::kEmulated, DeviceChoice::Kind::kCuda), kind_name);

/// The emulated device with faults.
class DeviceFaults : public ::testing::Test {
 protected:
  std::shared_ptr<const Machine> machine(const device_cuda::EmulationOptions& options) {
    auto machine = std::make_shared<Machine>();
    machine->parameters = client_.parameters();
    machine->pool = std::make_shared<device::ThreadPool>(2U);
    machine->backend = device_cuda::make_emulated_backend(ckks::make_ring(*machine->parameters), options).value();
    return machine;
  }
  Client client_{test::toy_parameters()};
  plan::Program program_ = Builder(1, 2, 4).split(2).linear({}).finish();
};

TEST_F(DeviceFaults, TooLittleMemoryIsSaidBeforeLoading) {
  const auto loaded = LoadedProgram::load(machine({.memory_bytes = std::uint64_t{200} << 20}), program_);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kResource);
  EXPECT_NE(loaded.error().message.find("needs about"), std::string::npos) << loaded.error().message;
}

/// What an emulated device holds for a request, seen between its instructions.
TEST_F(DeviceFaults, ARunTakesTheMemoryThatIsForecast) {
  const plan::Program programs[] = {
      program_, Builder(2, 2, 1).raise(8).finish(),
      Builder(1, 2, 4).split(2).linear({.giants = 3, .giant_fan = 2}).finish(),
      Builder(2, 2, 1).raise(8).split(1).linear({.rotations = {0}, .outputs = 1, .giants = 1}).finish()};
  for (const plan::Program& program : programs) {
    const auto machine = this->machine({});
    const auto loaded = LoadedProgram::load(machine, program).value();
    const auto keys = ckks::load_keys(machine->backend, machine->pool, client_.parameters(), key_requests(program),
                                      client_.keys(program))
                          .value();
    const std::uint64_t free_bytes = machine->backend->memory_budget()->free_bytes;
    std::uint64_t most = 0;
    RunOptions options;
    options.replay = false;
    options.progress = [&](std::size_t, std::size_t, const std::string&) {
      most = std::max(most, free_bytes - machine->backend->memory_budget()->free_bytes);
    };
    const auto outputs =
        Executor().run(*loaded, *keys, client_.encrypt(program, test::random_tensor(program.input, 3)), options);
    ASSERT_TRUE(outputs.ok()) << outputs.error().to_string();
    const std::uint64_t forecast = forecast_memory(program).working;
    EXPECT_LE(most, forecast);
    EXPECT_GT(most, forecast / 6);
    EXPECT_EQ(machine->backend->memory_budget()->free_bytes, free_bytes);
  }
}

TEST_F(DeviceFaults, AFailedLaunchFailsTheRun) {
  // Launches of loading the keys come first; the run's own are later ones. Every one of them is made to fail in turn.
  const auto inputs = client_.encrypt(program_, test::random_tensor(program_.input, 3));
  const auto keys = client_.keys(program_);
  std::size_t in_keys = 0, in_run = 0;
  for (std::uint64_t failing = 1;; failing += 3) {
    const auto machine = this->machine({.failing_launch = failing});
    const auto loaded = LoadedProgram::load(machine, program_);
    ASSERT_TRUE(loaded.ok());
    ckks::KeyLoader loader(machine->backend, machine->pool, client_.parameters(), key_requests(program_));
    Status added;
    for (const auto& key : keys.keys) {
      if (added.ok()) added = loader.add(key);
    }
    if (!added.ok()) {
      EXPECT_EQ(added.error().code, ErrorCode::kUnavailable);
      ++in_keys;
      continue;
    }
    const auto loaded_keys = loader.finish();
    ASSERT_TRUE(loaded_keys.ok());
    std::vector<ckks::Ciphertext> copies;
    for (const auto& input : inputs) copies.push_back(input.clone());
    const auto outputs = Executor().run(**loaded, **loaded_keys, std::move(copies));
    if (outputs.ok()) break;   // no launch has that number
    EXPECT_EQ(outputs.error().code, ErrorCode::kUnavailable);
    ++in_run;
  }
  EXPECT_GT(in_keys, 2U);
  EXPECT_GT(in_run, 5U);
}

}  // namespace
}  // namespace brainlock::runtime
