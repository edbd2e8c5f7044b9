// Encrypted runs of small programs against the slot interpreter, at every limb count and for one and two threads.
#include "brainlock/runtime/executor.hpp"

#include <gtest/gtest.h>

#include "brainlock/plan/slot_coefficients.hpp"
#include "toy_program.hpp"

namespace brainlock::runtime {
namespace {

using test::Builder;
using test::Client;

/// Runs `program` on one and on two threads; both must give equal words, and slots within `tolerance`.
void expect_matches_interpreter(const plan::Program& program, double tolerance, std::uint64_t seed = 7) {
  Client client(test::toy_parameters(program.parameters));
  const auto tensor = test::random_tensor(program.input, seed);
  const auto expected = plan::run_slots(program, tensor);
  auto inputs = client.encrypt(program, tensor);
  std::vector<ckks::Ciphertext> first;
  const auto key_set = client.keys(program);
  for (const unsigned threads : {1U, 2U}) {
    SCOPED_TRACE(std::to_string(threads) + " threads");
    auto machine = Machine::make(client.parameters(), threads);
    ASSERT_TRUE(machine.ok()) << machine.error().to_string();
    auto loaded = LoadedProgram::load(*machine, program);
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
    ckks::KeyLoader loader((*machine)->backend, (*machine)->pool, client.parameters(), key_requests(program));
    for (const auto& key : key_set.keys) ASSERT_TRUE(loader.add(key).ok());
    auto keys = loader.finish();
    ASSERT_TRUE(keys.ok()) << keys.error().to_string();
    std::vector<ckks::Ciphertext> copies;
    for (const auto& input : inputs) copies.push_back(input.clone());
    auto outputs = Executor().run(**loaded, **keys, std::move(copies));
    ASSERT_TRUE(outputs.ok()) << outputs.error().to_string();

    const auto got = client.decrypt(program, *outputs);
    ASSERT_EQ(got.size(), expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(got[i] - expected[i]));
    EXPECT_LT(worst, tolerance);

    if (first.empty()) {
      first = std::move(*outputs);
    } else {
      for (std::size_t i = 0; i < first.size(); ++i) {
        EXPECT_EQ(first[i].c0, (*outputs)[i].c0);
        EXPECT_EQ(first[i].c1, (*outputs)[i].c1);
      }
    }
  }
}

class ExecutorAtLimbs : public ::testing::TestWithParam<std::uint32_t> {};
class SquareAtLimbs : public ::testing::TestWithParam<std::uint32_t> {};  // a scale of 2^80 needs five limbs

TEST_P(ExecutorAtLimbs, SplitAndLinear) {
  expect_matches_interpreter(Builder(1, 2, GetParam()).split(2).linear({}).finish(), 1e-5);
}

TEST_P(ExecutorAtLimbs, SplitRealAndLinear) {
  expect_matches_interpreter(Builder(2, 1, GetParam()).split(1).linear({.giant_step = -3}).finish(), 1e-5);
}

TEST_P(ExecutorAtLimbs, CombineAndLinear) {
  expect_matches_interpreter(
      Builder(2, 2, GetParam()).split(2).combine({0, 0, 7, -2}).combine({3}).combine({0}).linear({}).finish(), 1e-5);
}

TEST_P(SquareAtLimbs, SquareTwoParts) {
  expect_matches_interpreter(Builder(1, 2, GetParam()).square(2).linear({.drop = 2}).finish(), 1e-5);
}

TEST_P(SquareAtLimbs, SquareOnePart) {
  expect_matches_interpreter(Builder(2, 1, GetParam()).square(1).linear({.drop = 2}).finish(), 1e-5);
}

TEST_P(SquareAtLimbs, SquareOfTheRealPart) {
  expect_matches_interpreter(Builder(2, 2, GetParam()).square_real_part().linear({.drop = 2}).finish(), 1e-5);
}

// A branch around two linears, dropped to fewer limbs before and after its own rescale.
TEST(Executor, ShortcutsAreDroppedAndAdded) {
  for (const std::uint32_t limbs : {6U, 8U})
    for (const std::uint32_t drop : {1U, 2U}) {
      SCOPED_TRACE(std::to_string(limbs) + " limbs, " + std::to_string(drop) + " dropped");
      expect_matches_interpreter(
          Builder(1, 2, limbs).split(2).keep().linear({}).split(2).linear({}).shortcut(drop).finish(), 1e-5);
    }
}

TEST(Executor, ShortcutOfOnePartAndItsSquare) {
  expect_matches_interpreter(
      Builder(2, 1, 8).split(1).keep().linear({.outputs = 1}).shortcut(1).square(2).linear({.drop = 2}).finish(), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(EveryLimbCount, ExecutorAtLimbs, ::testing::Range(3U, 9U));
INSTANTIATE_TEST_SUITE_P(EveryLimbCount, SquareAtLimbs, ::testing::Range(5U, 9U));

TEST(Executor, SplitThenSquareAfterLinear) {
  expect_matches_interpreter(
      Builder(1, 2, 8).split(2).linear({.outputs = 3}).square(2).linear({.rotations = {0, -1, 9}, .drop = 3}).finish(), 1e-3);
}

// A square of a real part does not share its batch with others.
TEST(Executor, SquaresOfEachKindSideBySide) {
  plan::Program program = Builder(3, 1, 6).square(1).linear({.drop = 2}).finish();
  std::get<plan::Square>(program.instructions[1].op).real_part = true;
  program.keys = plan::collect_keys(program);
  expect_matches_interpreter(program, 1e-5);
}

TEST(Executor, EveryPeriodFromOneToAll) {
  for (std::uint32_t period = 1; period <= test::kSlots; period *= 2) {
    SCOPED_TRACE("period " + std::to_string(period));
    expect_matches_interpreter(Builder(1, 2, 4).split(2).linear({.period = period}).finish(), 1e-5);
  }
}

TEST(Executor, SparseWeights) {
  expect_matches_interpreter(
      Builder(1, 2, 4).split(2).linear({.giants = 5, .period = test::kSlots, .density = 0.3, .sparse = true}).finish(), 1e-5);
}

// Of every period, and of single slots.
TEST(Executor, Masks) {
  for (std::uint32_t period = 1; period <= test::kSlots; period *= 4) {
    SCOPED_TRACE(period);
    expect_matches_interpreter(Builder(1, 2, 4).split(2).linear({.outputs = 3, .mask_period = period}).finish(), 5e-3);
  }
  expect_matches_interpreter(Builder(1, 2, 4).split(2).linear({.outputs = 1, .rotate_sums = {64}, .mask_period = test::kSlots}).finish(), 5e-3);
}

TEST(Executor, RotateSums) {
  expect_matches_interpreter(Builder(1, 2, 4).split(2).linear({.giants = 1, .rotate_sums = {1, 64, -128}}).finish(), 1e-4);
}

// Groups that are whole, and ones that are not; rounds of one step and of several.
TEST(Executor, GiantStepsInRounds) {
  for (const std::uint32_t giants : {3U, 4U, 5U, 7U, 8U, 9U})
    for (const std::uint32_t fan : {2U, 3U, 4U}) {
      if (fan >= giants) continue;
      SCOPED_TRACE(std::to_string(giants) + " giants, fan " + std::to_string(fan));
      expect_matches_interpreter(Builder(1, 2, 4).split(2).linear({.giants = giants, .giant_step = 5, .giant_fan = fan}).finish(), 1e-4);
    }
}

// Outputs with fewer giants than others are done after fewer rounds, and wait.
TEST(Executor, GiantStepsInRoundsOfUnevenOutputs) {
  plan::Program program = Builder(1, 2, 4).split(2).linear({.outputs = 4, .giants = 7, .giant_fan = 2}).finish();
  auto& linear = std::get<plan::Linear>(program.instructions[1].op);
  for (std::uint32_t o = 0; o < 4; ++o) {
    plan::Linear::Output& output = linear.outputs[o];
    const std::uint32_t giants = std::vector<std::uint32_t>{1, 7, 2, 5}[o];
    std::vector<std::int32_t> weights;
    for (std::size_t k = 0; k < output.columns.size(); ++k)
      for (std::uint32_t g = 0; g < giants; ++g) weights.push_back(output.weights[k * 7 + g]);
    output.giants = giants;
    output.weights = std::move(weights);
  }
  program.keys = plan::collect_keys(program);
  expect_matches_interpreter(program, 1e-4);
}

TEST(Executor, NoBiasManyColumnsOneGiant) {
  std::vector<std::int32_t> rotations;
  for (std::int32_t r = -40; r < 40; ++r) rotations.push_back(r);
  expect_matches_interpreter(
      Builder(2, 2, 4).split(2).linear({.rotations = rotations, .outputs = 1, .giants = 2, .bias = false}).finish(), 1e-4);
}

using Slots = std::vector<std::complex<double>>;

/// What the output registers hold.
std::vector<Slots> run_and_decrypt(const plan::Program& program, Client& client, std::span<const float> tensor) {
  const auto machine = Machine::make(client.parameters(), 2U).value();
  const auto loaded = LoadedProgram::load(machine, program).value();
  const auto keys =
      ckks::load_keys(machine->backend, machine->pool, client.parameters(), key_requests(program), client.keys(program))
          .value();
  auto outputs = Executor().run(*loaded, *keys, client.encrypt(program, tensor));
  if (!outputs) ADD_FAILURE() << outputs.error().to_string();
  if (!outputs) return {};
  for (const auto& output : *outputs) EXPECT_EQ(output.limbs, program.output.limbs);
  const std::vector<double> numbers = client.decrypt(program, *outputs);
  std::vector<Slots> out;
  for (std::size_t c = 0; c < outputs->size(); ++c) {
    Slots& slots = out.emplace_back();
    for (std::size_t s = 0; s < test::kSlots; ++s)
      slots.emplace_back(numbers[2 * c * test::kSlots + s], numbers[(2 * c + 1) * test::kSlots + s]);
  }
  return out;
}

/// `slots` without the message, as coefficients over q[0] / scale.
Slots beside_the_message(const plan::Program& program, Slots slots, const Slots& message) {
  const double units = program.input.scale / program.output.scale;
  for (std::size_t s = 0; s < slots.size(); ++s) slots[s] -= units * message[s];
  slots = plan::slot_coefficients(slots);
  for (auto& c : slots) c *= program.output.scale / program.parameters.q[0];
  return slots;
}

TEST(Executor, ARaisedMessageHasMultiplesOfTheFirstPrimeBesideIt) {
  for (const std::uint32_t limbs : {2U, 5U, 8U}) {
    SCOPED_TRACE(std::to_string(limbs) + " limbs");
    const plan::Program program = Builder(2, 2, 1).raise(limbs).finish();
    Client client(test::toy_parameters(program.parameters));
    const auto tensor = test::random_tensor(program.input, limbs);
    const auto raised = run_and_decrypt(program, client, tensor);
    const auto messages = plan::pack(program.input, test::kSlots, tensor);
    ASSERT_EQ(raised.size(), 2U);
    double squares = 0, sum = 0, fresh = 0;
    for (std::size_t i = 0; i < 2; ++i)
      for (const auto& c : beside_the_message(program, raised[i], messages[i]))
        for (const double x : {c.real(), c.imag()}) {
          const double error = x - std::round(x);
          ASSERT_LT(std::fabs(error), 1e-6);
          squares += std::round(x) * std::round(x);
          sum += std::round(x);
          fresh += error * error;
        }
    const double count = 2.0 * test::kDegree, variance = (1 + 2.0 * test::kDegree / 3) / 12;
    // The key's own part in the variance is its number of coefficients that are not zero, here that of one key.
    EXPECT_NEAR(squares / count / variance, 1, 0.2);
    EXPECT_LT(std::fabs(sum / count), 5 * std::sqrt(variance / count));
    EXPECT_NEAR(std::sqrt(fresh / count) * program.parameters.q[0], std::sqrt(3.2 * 3.2 + 1.0 / 12), 0.3)
        << "the error of the encryption, and nothing else";
  }
}

TEST(Executor, EachCiphertextHasItsOwnMultiples) {
  const plan::Program program = Builder(2, 2, 1).raise(4).finish();
  Client client(test::toy_parameters(program.parameters));
  const std::vector<float> zero(test::random_tensor(program.input, 1).size());
  const auto raised = run_and_decrypt(program, client, zero);
  std::size_t equal = 0;
  for (std::size_t s = 0; s < test::kSlots; ++s) equal += std::abs(raised[0][s] - raised[1][s]) < 0.01 ? 1 : 0;
  EXPECT_LT(equal, test::kSlots / 10);
}

/// A raised message times a number, plus another.
plan::Program raised_times(const plan::SlotVector& weight, const plan::SlotVector& bias) {
  plan::Program p = Builder(1, 2, 1)
                        .raise(5)
                        .split(1)
                        .linear({.rotations = {0}, .outputs = 1, .giants = 1, .period = 1, .drop = 1})
                        .finish();
  plan::Instruction& instruction = p.instructions.back();
  auto& linear = std::get<plan::Linear>(instruction.op);
  linear.vectors = {weight};
  linear.outputs[0].bias = bias;
  linear.weight_scale = std::exp2(53.0);
  p.output.scale = instruction.scale_out = instruction.scale_in * linear.weight_scale / p.parameters.q[4];
  const Status status = plan::validate(p);
  EXPECT_TRUE(status.ok()) << status.error().to_string();
  return p;
}

// Answers are all at one limb count, so that the raised message itself cannot be one: its product by one stands for it.
TEST(Executor, ComplexSlotsAndWeightsInDoublePrecision) {
  const std::complex<double> number(1.0 / 3, -1.0 / 7), constant(0.1, 0.3);
  const plan::SlotVector one{1, {}, {{1, 0}}, {}}, none{1, {}, {{0, 0}}, {}};
  const plan::Program plain = raised_times(one, none);
  const plan::Program times =
      raised_times(plan::SlotVector::precise({&number, 1}), plan::SlotVector::precise({&constant, 1}));
  Client client(test::toy_parameters(plain.parameters));
  const auto machine = Machine::make(client.parameters(), 2U).value();
  const auto inputs = client.encrypt(plain, test::random_tensor(plain.input, 3));
  const auto run = [&](const plan::Program& program) {
    const auto loaded = LoadedProgram::load(machine, program).value();
    const auto keys = ckks::load_keys(machine->backend, machine->pool, client.parameters(), key_requests(program),
                                      client.keys(program))
                          .value();
    std::vector<ckks::Ciphertext> copies;
    for (const auto& input : inputs) copies.push_back(input.clone());
    return client.decrypt(program, Executor().run(*loaded, *keys, std::move(copies)).value());
  };
  const auto a = run(plain), b = run(times);
  double worst = 0, largest = 0, floats = 0;
  const auto narrow =
      std::complex<double>(std::complex<float>(static_cast<float>(number.real()), static_cast<float>(number.imag())));
  for (std::size_t s = 0; s < test::kSlots; ++s) {
    const std::complex<double> raised(a[s], a[test::kSlots + s]), got(b[s], b[test::kSlots + s]);
    worst = std::max(worst, std::abs(got - (number * raised + constant)));
    floats = std::max(floats, std::abs(got - (narrow * raised + constant)));
    largest = std::max(largest, std::fabs(raised.imag()));
  }
  EXPECT_GT(largest, 5) << "imaginary parts, which the split kept";
  EXPECT_LT(worst, 1e-11);
  EXPECT_GT(floats, 1e-8) << "what floats would have made of it";
}

/// A machine, program and keys for the refusals.
class ExecutorErrors : public ::testing::Test {
 protected:
  void SetUp() override {
    program_ = Builder(2, 2, 4).split(2).linear({}).finish();
    machine_ = *Machine::make(client_.parameters(), 2);
    loaded_ = *LoadedProgram::load(machine_, program_);
    keys_ = *ckks::load_keys(machine_->backend, machine_->pool, client_.parameters(), key_requests(program_), client_.keys(program_));
    inputs_ = client_.encrypt(program_, test::random_tensor(program_.input, 3));
  }
  ErrorCode run_code(const RunOptions& options = {}) {
    auto result = Executor().run(*loaded_, *keys_, std::move(inputs_), options);
    return result.ok() ? ErrorCode::kInternal : result.error().code;
  }

  Client client_{test::toy_parameters()};
  plan::Program program_;
  std::shared_ptr<const Machine> machine_;
  std::shared_ptr<const LoadedProgram> loaded_;
  std::shared_ptr<const ckks::LoadedKeys> keys_;
  std::vector<ckks::Ciphertext> inputs_;
};

TEST_F(ExecutorErrors, InputCount) {
  inputs_.pop_back();
  EXPECT_EQ(run_code(), ErrorCode::kMismatch);
}

TEST_F(ExecutorErrors, InputLimbs) {
  inputs_[1].limbs = 3;
  EXPECT_EQ(run_code(), ErrorCode::kMismatch);
}

TEST_F(ExecutorErrors, InputScale) {
  inputs_[0].scale = ckks::Scale::from_log2(39);
  EXPECT_EQ(run_code(), ErrorCode::kMismatch);
}

TEST_F(ExecutorErrors, InputSize) {
  inputs_[0].c1.pop_back();
  EXPECT_EQ(run_code(), ErrorCode::kMalformed);
}

TEST_F(ExecutorErrors, InputWordOutOfRange) {
  inputs_[1].c1.back() = program_.parameters.q[3];
  EXPECT_EQ(run_code(), ErrorCode::kMalformed);
}

TEST_F(ExecutorErrors, SeededInputIsExpanded) {
  for (auto& input : inputs_) input.c1.clear();
  EXPECT_TRUE(Executor().run(*loaded_, *keys_, std::move(inputs_)).ok());
}

TEST_F(ExecutorErrors, Cancelled) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(run_code({.progress = {}, .stop = stop.get_token()}), ErrorCode::kCancelled);
}

TEST_F(ExecutorErrors, CancelledInFlight) {
  std::stop_source stop;
  EXPECT_EQ(run_code({.progress = [&](std::size_t, std::size_t, const std::string&) { stop.request_stop(); }, .stop = stop.get_token()}),
            ErrorCode::kCancelled);
}

TEST_F(ExecutorErrors, KeysOfAnotherProgram) {
  const auto other = Builder(1, 1, 4).split(1).linear({.rotations = {0, 2}}).finish();
  keys_ = *ckks::load_keys(machine_->backend, machine_->pool, client_.parameters(), key_requests(other), client_.keys(other));
  EXPECT_EQ(run_code(), ErrorCode::kNotFound);
}

TEST_F(ExecutorErrors, KeysTooShort) {
  auto requests = key_requests(program_);
  for (auto& request : requests) request.limbs = 3;
  keys_ = *ckks::load_keys(machine_->backend, machine_->pool, client_.parameters(), requests, client_.keys(program_));
  EXPECT_EQ(run_code(), ErrorCode::kMismatch);
}

TEST_F(ExecutorErrors, ProgressAndProfileCoverEveryInstruction) {
  std::vector<std::size_t> done;
  RunProfile profile;
  const auto result = Executor().run(*loaded_, *keys_, std::move(inputs_),
                                     {.progress = [&](std::size_t i, std::size_t n, const std::string&) {
                                        done.push_back(i);
                                        EXPECT_EQ(n, program_.instructions.size());
                                      },
                                      .stop = {}},
                                     &profile);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(done, (std::vector<std::size_t>{1, 2, 3}));
  ASSERT_EQ(profile.entries.size(), 3U);
  EXPECT_EQ(profile.entries[0].op, "split");
  EXPECT_EQ(profile.entries[2].op, "linear");
  EXPECT_GT(profile.entries[2].key_switches, 0U);
}

TEST_F(ExecutorErrors, ProgramForOtherParameters) {
  auto program = program_;
  program.parameters.digit_limbs = 1;
  const auto result = LoadedProgram::load(machine_, program);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kMismatch);
}

TEST_F(ExecutorErrors, InvalidProgram) {
  auto program = program_;
  program.output_registers[0] = 99;
  const auto result = LoadedProgram::load(machine_, program);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
}

TEST_F(ExecutorErrors, ForecastCoversLoadedSizes) {
  const MemoryForecast forecast = forecast_memory(program_);
  // Padding between limbs is left out of the forecast: a tenth at this toy size, nothing at real ones.
  EXPECT_NEAR(static_cast<double>(forecast.keys) / static_cast<double>(keys_->bytes()), 1, 0.1);
  EXPECT_NEAR(static_cast<double>(forecast.weights) / static_cast<double>(loaded_->weight_bytes()), 1, 0.1);
  EXPECT_GT(forecast.working, 0U);
  EXPECT_EQ(forecast.total(), forecast_memory_bytes(program_));
}

TEST(Executor, RaisesAreInTheProfile) {
  const plan::Program program = Builder(1, 2, 1).raise(4).finish();
  Client client(test::toy_parameters(program.parameters));
  const auto machine = Machine::make(client.parameters(), 1U).value();
  const auto loaded = LoadedProgram::load(machine, program).value();
  EXPECT_TRUE(key_requests(program).empty());
  const auto keys = ckks::load_keys(machine->backend, machine->pool, client.parameters(), {}, {}).value();
  RunProfile profile;
  ASSERT_TRUE(Executor()
                  .run(*loaded, *keys, client.encrypt(program, test::random_tensor(program.input, 3)), {}, &profile)
                  .ok());
  ASSERT_EQ(profile.entries.size(), 1U);
  EXPECT_EQ(profile.entries[0].op, "raise");
  EXPECT_EQ(profile.entries[0].limbs, 1U);
}

TEST(Executor, MasksAreForecast) {
  const plan::Program program = Builder(1, 2, 4).split(2).linear({.outputs = 3, .mask_period = test::kSlots}).finish();
  auto machine = Machine::make(test::toy_parameters(program.parameters), 1U);
  auto loaded = LoadedProgram::load(*machine, program);
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_NEAR(static_cast<double>(forecast_memory(program).weights) / static_cast<double>((*loaded)->weight_bytes()), 1, 0.1);
}

}  // namespace
}  // namespace brainlock::runtime
