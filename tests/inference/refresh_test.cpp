// Bootstrapping with real keys: a ciphertext of few limbs comes back with many, and the same values.
#include "refresh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "brainlock/ckks_client/client.hpp"
#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/device_cuda/devices.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/runtime/executor.hpp"
#include "net_builder.hpp"
#include "random_slots.hpp"
#include "samples.hpp"

namespace brainlock {
namespace {

using Complex = std::complex<double>;

constexpr std::uint32_t kLimbs = 4;  // after the refresh, at most
constexpr double kScale = 0x1p38, kRoom = 2;

double largest_part(const Slots& values) {
  double largest = 0;
  for (const Complex& z : values) largest = std::max({largest, std::fabs(z.real()), std::fabs(z.imag())});
  return largest;
}

/// A program that refreshes its one input, and nothing else.
plan::Program refresh_program(const compiler::RefreshChain& chain, const compiler::Refresh& refresh) {
  const std::uint32_t n = chain.parameters.ring_degree / 2;
  plan::Program program;
  program.model_name = "refresh";
  program.parameters = chain.parameters;
  plan::TensorMap map{2, 1, n, 1, 2, {}, refresh.limbs_in, refresh.scale_in, 1};
  for (std::uint32_t part = 0; part < 2; ++part)
    for (std::uint32_t s = 0; s < n; ++s) map.places.push_back({part * n + s, 0, s, part});
  program.input = map;
  map.limbs = refresh.limbs;
  map.scale = refresh.scale;
  program.output = map;
  program.register_count = 2;
  program.output_registers = {1};
  program.instructions = compiler::make_refresh(
      chain, compiler::make_refresh_transforms(chain.parameters.ring_degree, compiler::TransformDepth::kWeights),
      refresh, 0, 1, "refresh", program.register_count);
  program.keys = plan::collect_keys(program);
  const Status status = plan::validate(program);
  EXPECT_TRUE(status.ok()) << status.error().to_string();
  return program;
}

/// One client and one server of a program, without a package: those refuse toy rings.
class Session {
 public:
  explicit Session(plan::Program program) : program_(std::move(program)) {
    const plan::ParameterChoice& choice = program_.parameters;
    const ckks::ParameterSpec spec{choice.ring_degree, choice.q, choice.p, choice.digit_limbs};
    auto parameters = choice.ring_degree < (1U << 16) ? ckks::Parameters::create_insecure_for_tests(spec)
                                                      : ckks::Parameters::create(spec);
    EXPECT_TRUE(parameters.ok()) << parameters.error().to_string();
    parameters_ = *parameters;
    auto machine = runtime::Machine::make(parameters_, 2U);
    auto loaded = runtime::LoadedProgram::load(*machine, program_);
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
    loaded_ = *loaded;
    auto secret = ckks_client::SecretKey::generate(parameters_);
    secret_ = std::make_unique<ckks_client::SecretKey>(std::move(*secret));
    const auto requests = runtime::key_requests(program_);
    auto keys = ckks_client::generate_keys(*secret_, requests, 2);
    auto held = ckks::load_keys((*machine)->backend, (*machine)->pool, parameters_, requests, std::move(*keys));
    EXPECT_TRUE(held.ok()) << held.error().to_string();
    keys_ = *held;
  }

  std::vector<Slots> run(const std::vector<Slots>& inputs) const {
    const ckks::Encoder encoder(parameters_);
    std::vector<ckks::Ciphertext> ciphertexts;
    for (const Slots& slots : inputs) {
      auto c = ckks_client::encrypt(*secret_, encoder, slots, ckks::Scale::from_value(program_.input.scale),
                                    program_.input.limbs);
      ciphertexts.push_back(std::move(*c));
    }
    auto out = runtime::Executor().run(*loaded_, *keys_, std::move(ciphertexts));
    EXPECT_TRUE(out.ok()) << out.error().to_string();
    std::vector<Slots> slots;
    for (const auto& c : *out) slots.push_back(*ckks_client::decrypt(*secret_, encoder, c));
    return slots;
  }

  std::vector<double> run(const std::vector<float>& tensor) const {
    return plan::unpack(program_.output, run(plan::pack(program_.input, parameters_->slots(), tensor)));
  }

 private:
  plan::Program program_;
  std::shared_ptr<const ckks::Parameters> parameters_;
  std::shared_ptr<const runtime::LoadedProgram> loaded_;
  std::unique_ptr<ckks_client::SecretKey> secret_;
  std::shared_ptr<const ckks::LoadedKeys> keys_;
};

/// One that ends with `limbs` limbs, of values up to `largest`.
compiler::Refresh refresh_of(const compiler::RefreshChain& chain, double largest, bool real, std::uint32_t limbs_in,
                             std::uint32_t limbs) {
  compiler::Refresh refresh;
  refresh.limbs_in = limbs_in;
  refresh.limbs = limbs;
  refresh.scale = kScale;
  refresh.largest = kRoom * largest;
  refresh.rms = 1;
  refresh.real = real;
  refresh.limit = refresh.largest / std::sqrt(static_cast<double>(chain.slots()));
  const auto end = compiler::refresh_end(chain, refresh);
  EXPECT_TRUE(end.has_value());
  refresh.scale_in =
      std::exp2(compiler::refresh_scale_in_log2(chain, *end, limbs_in, limbs_in == chain.most_limbs_in() ? 6 : 1));
  return refresh;
}

struct RefreshCase {
  std::uint32_t degree = 0;
  bool real = false;
  std::uint32_t spared = 0, dropped = 0;  ///< limbs fewer before and after than there can be
};

class Refreshes : public testing::TestWithParam<RefreshCase> {};

TEST_P(Refreshes, ValuesWithinTheErrorThatIsForetold) {
  const auto [degree, real, spared, dropped] = GetParam();
  const std::uint32_t n = degree / 2;
  const auto chain = compiler::make_refresh_chain(compiler::make_refresh_ring(degree), {29, 9, 9, 2}, kLimbs);
  ASSERT_TRUE(chain.has_value());
  const Slots message = random_slots(n, 5);
  const compiler::Refresh refresh =
      refresh_of(*chain, largest_part(message), real, chain->most_limbs_in() - spared, kLimbs - dropped);
  const plan::Program program = refresh_program(*chain, refresh);

  // In the clear it is the identity, of the real parts alone where those are all that count.
  std::vector<float> tensor(2 * n);
  for (std::uint32_t s = 0; s < n; ++s)
    tensor[s] = static_cast<float>(message[s].real()), tensor[n + s] = static_cast<float>(message[s].imag());
  const std::vector<double> clear = plan::run_slots(program, tensor);
  for (std::uint32_t s = 0; s < 2 * n; ++s) ASSERT_NEAR(clear[s], real && s >= n ? 0 : tensor[s], 0.02) << s;

  const Slots got = Session(program).run(std::vector<Slots>{message}).front();
  double error = 0, imaginary = 0;
  for (std::uint32_t s = 0; s < n; ++s) {
    const Complex difference = got[s] - message[s];
    error += real ? 2 * difference.real() * difference.real() : std::norm(difference);
    imaginary += got[s].imag() * got[s].imag();
  }
  error = std::sqrt(error / (2 * n));
  const double foretold =
      compiler::RefreshNoise(*chain, *compiler::refresh_end(*chain, refresh), refresh).of(refresh.limbs_in, refresh.scale_in);
  RecordProperty("error", std::to_string(error));
  EXPECT_LT(error, 1.5 * foretold);
  EXPECT_GT(error, foretold / 3);
  if (real) {
    EXPECT_LT(std::sqrt(imaginary / n), 2 * foretold);
  }
}

INSTANTIATE_TEST_SUITE_P(Rings, Refreshes,
                         testing::Values(RefreshCase{1U << 10, true, 1, 0}, RefreshCase{1U << 10, false, 1, 1},
                                         RefreshCase{1U << 12, true, 0, 1}, RefreshCase{1U << 12, false, 0, 0},
                                         RefreshCase{1U << 16, true, 1, 0}),
                         [](const auto& test) {
                           const RefreshCase& c = test.param;
                           return "Degree" + std::to_string(c.degree) + (c.real ? "RealFrom" : "ComplexFrom") +
                                  std::to_string(c.spared) + "FewerTo" + std::to_string(c.dropped) + "Fewer";
                         });

// The same words on every device.
class RefreshOnDevice : public testing::TestWithParam<std::tuple<device_cuda::DeviceChoice::Kind, bool>> {};

TEST_P(RefreshOnDevice, GivesTheWordsOfTheCpu) {
  using device_cuda::DeviceChoice;
  const auto [kind, real] = GetParam();
  if (kind == DeviceChoice::Kind::kCuda)
    if (const auto devices = device_cuda::list_devices(); !devices) GTEST_SKIP() << devices.error().message;
  constexpr std::uint32_t kDegree = 1U << 10;
  const auto chain = compiler::make_refresh_chain(compiler::make_refresh_ring(kDegree), {29, 6, 6, 2}, kLimbs);
  ASSERT_TRUE(chain.has_value());
  const Slots message = random_slots(kDegree / 2, 6);
  const compiler::Refresh refresh = refresh_of(*chain, largest_part(message), real, chain->least_limbs_in(), kLimbs);
  const plan::Program program = refresh_program(*chain, refresh);
  auto parameters = ckks::Parameters::create_insecure_for_tests(
      {kDegree, program.parameters.q, program.parameters.p, program.parameters.digit_limbs});
  ASSERT_TRUE(parameters.ok());
  auto secret = ckks_client::SecretKey::generate(*parameters);
  const ckks::Encoder encoder(*parameters);
  const auto in = ckks_client::encrypt(*secret, encoder, message, ckks::Scale::from_value(program.input.scale),
                                       program.input.limbs);
  const auto requests = runtime::key_requests(program);
  const auto keys = ckks_client::generate_keys(*secret, requests, 2);

  const auto run = [&](DeviceChoice device) {
    auto machine = runtime::Machine::make(*parameters, 2U, device);
    EXPECT_TRUE(machine.ok()) << machine.error().to_string();
    auto loaded = runtime::LoadedProgram::load(*machine, program);
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
    ckks::KeyLoader loader((*machine)->backend, (*machine)->pool, *parameters, requests);
    for (const auto& key : keys->keys) EXPECT_TRUE(loader.add(key).ok());
    std::vector<ckks::Ciphertext> inputs;
    inputs.push_back(in->clone());
    auto out = runtime::Executor().run(**loaded, **loader.finish(), std::move(inputs));
    EXPECT_TRUE(out.ok()) << out.error().to_string();
    return std::move(out->front());
  };
  const ckks::Ciphertext cpu = run({DeviceChoice::Kind::kCpu, 0}), device = run({kind, 0});
  EXPECT_EQ(cpu.c0, device.c0);
  EXPECT_EQ(cpu.c1, device.c1);
}

INSTANTIATE_TEST_SUITE_P(Devices, RefreshOnDevice,
                         testing::Combine(testing::Values(device_cuda::DeviceChoice::Kind::kEmulated,
                                                          device_cuda::DeviceChoice::Kind::kCuda),
                                          testing::Bool()),
                         [](const auto& test) {
                           const bool gpu = std::get<0>(test.param) == device_cuda::DeviceChoice::Kind::kCuda;
                           return std::string(gpu ? "Gpu" : "Emulated") +
                                  (std::get<1>(test.param) ? "Real" : "Complex");
                         });

/// Networks that are deeper than their chain of primes, on a toy ring.
struct DeepNet {
  const char* name;
  std::function<void(compiler::NetBuilder&)> build;
  compiler::TensorShape input;
};

std::vector<DeepNet> deep_nets() {
  using compiler::NetBuilder;
  return {
      {"Mlp",
       [](NetBuilder& net) {
         net.dense(24);
         for (int i = 0; i < 15; ++i) {
           const int skip = net.here();
           net.quadratic().dense(24).add(skip);
         }
         net.dense(5);
       },
       {64, 1, 1}},
      {"Blocks",
       [](NetBuilder& net) {  // shortcuts end where refreshes may be
         net.conv(4, 3, 1, 1).quadratic();
         for (int i = 0; i < 7; ++i) {
           const int skip = net.here();
           net.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).add(skip).quadratic();
         }
         net.pool(2).dense(5);
       },
       {1, 8, 8}},
      {"Polynomials",
       [](NetBuilder& net) {
         for (int i = 0; i < 7; ++i) net.dense(16).polynomial(4);
         net.dense(5);
       },
       {32, 1, 1}},
  };
}

class DeepNets : public testing::TestWithParam<std::size_t> {};

TEST_P(DeepNets, AnswerAsInTheClear) {
  const DeepNet net = deep_nets()[GetParam()];
  compiler::NetBuilder builder(90 + GetParam(), net.input);
  net.build(builder);
  const auto graph = compiler::normalise(builder.graph());
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  compiler::CompileOptions options;
  options.profile = {"toy", 1U << 12, 0.02, 1300};
  options.calibration = calibration(net.input);
  options.refreshes = compiler::CompileOptions::Refreshes::kAlways;
  compiler::CompileReport report;
  const auto program = compiler::compile(*graph, options, &report);
  ASSERT_TRUE(program.ok()) << program.error().to_string();
  const auto raises = std::count_if(program->instructions.begin(), program->instructions.end(),
                                    [](const auto& i) { return std::holds_alternative<plan::Raise>(i.op); });
  ASSERT_GE(raises, 1);
  EXPECT_NE(report.notes.back().find(std::to_string(raises) + " ciphertexts are refreshed"), std::string::npos)
      << report.notes.back();

  const Session session(*program);
  double size = 0, squares = 0;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    const auto input = sample(seed, net.input);
    const std::vector<float> clear = compiler::run_float(*graph, input);
    const std::vector<double> got = session.run(input);
    for (std::size_t i = 0; i < clear.size(); ++i) {
      size = std::max(size, std::fabs(static_cast<double>(clear[i])));
      squares += std::pow(got[i] - static_cast<double>(clear[i]), 2) / static_cast<double>(4 * clear.size());
      EXPECT_NEAR(got[i], static_cast<double>(clear[i]), program->error_bound) << "input " << seed << ", logit " << i;
    }
  }
  EXPECT_LT(std::sqrt(squares), 3 * program->error_estimate);
  EXPECT_LT(program->error_estimate, 0.1 * size);
}

INSTANTIATE_TEST_SUITE_P(Nets, DeepNets, testing::Range<std::size_t>(0, deep_nets().size()),
                         [](const auto& test) { return std::string(deep_nets()[test.param].name); });

// As deep as its chain of primes can be, a network is less exact than it is to be; with refreshes it is exact enough.
TEST(DeepNet, IsRefreshedWhereAPlainChainIsNotExactEnough) {
  const compiler::TensorShape input{64, 1, 1};
  compiler::NetBuilder builder(7, input);
  builder.dense(24);
  for (int i = 0; i < 42; ++i) builder.quadratic().dense(24);
  builder.dense(5);
  const auto graph = compiler::normalise(builder.graph());
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  compiler::CompileOptions options;
  options.profile = {"toy", 1U << 12, 0.002, 1300};
  options.calibration = calibration(input);
  options.refreshes = compiler::CompileOptions::Refreshes::kNever;
  compiler::CompileReport plain, refreshed;
  const auto without = compiler::compile(*graph, options, &plain);
  ASSERT_TRUE(without.ok()) << without.error().to_string();
  ASSERT_EQ(plain.notes.size(), 1U);
  EXPECT_NE(plain.notes.back().find("no chain is as exact"), std::string::npos) << plain.notes.back();

  options.refreshes = compiler::CompileOptions::Refreshes::kWhereNeeded;
  const auto with = compiler::compile(*graph, options, &refreshed);
  ASSERT_TRUE(with.ok()) << with.error().to_string();
  EXPECT_LT(with->error_estimate, without->error_estimate);
  ASSERT_EQ(refreshed.notes.size(), 1U);
  EXPECT_NE(refreshed.notes.back().find("ciphertexts are refreshed"), std::string::npos) << refreshed.notes.back();
  EXPECT_EQ(
      std::count_if(refreshed.candidates.begin(), refreshed.candidates.end(), [](const auto& c) { return c.chosen; }),
      1);
}

}  // namespace
}  // namespace brainlock
