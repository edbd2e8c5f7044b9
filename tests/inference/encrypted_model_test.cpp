// From an ONNX file to decrypted logits, with real keys: the compiler, the package, the client and the server at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "brainlock/base/file.hpp"
#include "brainlock/ckks_client/client.hpp"
#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "brainlock/package/foretold.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/runtime/executor.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "net_builder.hpp"
#include "samples.hpp"

namespace brainlock {
namespace {

const std::string kModels = std::string(BRAINLOCK_SOURCE_DIR) + "/models/";

// Compiled once, then client and server of it.
class Model {
 public:
  using Refreshes = compiler::CompileOptions::Refreshes;

  static std::unique_ptr<Model> make(const std::string& file, const std::string& profile, Refreshes refreshes = Refreshes::kWhereNeeded) {
    auto bytes = read_file(kModels + file, package::kMaxModelBytes);
    EXPECT_TRUE(bytes.ok()) << bytes.error().to_string();
    auto graph = compiler::import_onnx(std::as_bytes(std::span(*bytes)));
    EXPECT_TRUE(graph.ok()) << graph.error().to_string();
    return make(std::move(*graph), std::move(*bytes), *compiler::find_profile(profile), refreshes);
  }

  static std::unique_ptr<Model> make(compiler::Graph graph, std::vector<std::uint8_t> bytes, const compiler::Profile& profile,
                                     Refreshes refreshes = Refreshes::kWhereNeeded) {
    auto model = std::make_unique<Model>();
    auto normal = compiler::normalise(std::move(graph));
    EXPECT_TRUE(normal.ok()) << normal.error().to_string();
    model->graph_ = std::move(*normal);
    compiler::CompileOptions options;
    options.profile = profile;
    options.refreshes = refreshes;
    options.calibration = calibration(model->shape());
    auto program = compiler::compile(model->graph_, options);
    EXPECT_TRUE(program.ok()) << program.error().to_string();
    if (!program.ok()) return nullptr;
    auto package = package::Package::from_bytes(package::encode_program(*program), std::move(bytes));
    EXPECT_TRUE(package.ok()) << package.error().to_string();
    model->package_ = *package;
    model->simulator_ = *package::Simulator::make(*package, 2);
    auto machine = runtime::Machine::make(model->package_->parameters(), 2U);
    auto loaded = runtime::LoadedProgram::load(*machine, model->package_->program());
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
    model->program_ = *loaded;
    auto secret = ckks_client::SecretKey::generate(model->package_->parameters());
    model->secret_ = std::make_unique<ckks_client::SecretKey>(std::move(*secret));
    auto keys = ckks_client::generate_keys(*model->secret_, model->package_->key_requests(), 2);
    auto held = ckks::load_keys((*machine)->backend, (*machine)->pool, model->package_->parameters(),
                                model->package_->key_requests(), std::move(*keys));
    EXPECT_TRUE(held.ok()) << held.error().to_string();
    model->keys_ = *held;
    return model;
  }

  const compiler::TensorShape& shape() const { return graph_.nodes.front().shape; }
  const plan::Program& program() const { return package_->program(); }
  const ckks::Parameters& parameters() const { return *package_->parameters(); }

  std::vector<double> encrypted(const std::vector<float>& input) const {
    const ckks::Encoder encoder(package_->parameters());
    std::vector<ckks::Ciphertext> ciphertexts;
    for (const auto& slots : plan::pack(program().input, parameters().slots(), input)) {
      auto c = ckks_client::encrypt(*secret_, encoder, slots, ckks::Scale::from_value(program().input.scale), program().input.limbs);
      ciphertexts.push_back(std::move(*c));
    }
    auto outputs = runtime::Executor().run(*program_, *keys_, std::move(ciphertexts));
    EXPECT_TRUE(outputs.ok()) << outputs.error().to_string();
    std::vector<std::vector<std::complex<double>>> slots;
    for (const auto& c : *outputs) slots.push_back(*ckks_client::decrypt(*secret_, encoder, c));
    return plan::unpack(program().output, slots);
  }

  std::vector<float> clear(const std::vector<float>& input) const { return compiler::run_float(graph_, input); }

  /// By so many simulated runs, and by nothing else.
  package::Foretold foretold(const std::vector<float>& input, unsigned runs) const { return package::foretell(*simulator_, 0, input, runs); }

  // Every logit within the package's promise, and the same class.
  void check(const std::vector<float>& input, const std::string& what) const {
    const std::vector<float> clear = compiler::run_float(graph_, input);
    const std::vector<double> got = encrypted(input);
    ASSERT_EQ(got.size(), clear.size()) << what;
    for (std::size_t i = 0; i < clear.size(); ++i)
      EXPECT_NEAR(got[i], static_cast<double>(clear[i]), program().error_bound) << what << ", logit " << i;
    // Two classes closer than the promised error may swap; further apart they may not.
    const auto best = std::max_element(clear.begin(), clear.end()) - clear.begin();
    for (std::size_t i = 0; i < clear.size(); ++i)
      if (static_cast<double>(clear[static_cast<std::size_t>(best)] - clear[i]) > 2 * program().error_bound) {
        EXPECT_GT(got[static_cast<std::size_t>(best)], got[i]) << what;
      }
  }

 private:
  compiler::Graph graph_;
  std::shared_ptr<const package::Package> package_;
  std::shared_ptr<const package::Simulator> simulator_;
  std::shared_ptr<const runtime::LoadedProgram> program_;
  std::unique_ptr<ckks_client::SecretKey> secret_;
  std::shared_ptr<const ckks::LoadedKeys> keys_;
};

class SmallModel : public testing::TestWithParam<const char*> {};

TEST_P(SmallModel, AnswersAsInTheClear) {
  const auto model = Model::make(GetParam(), "precise");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  for (std::uint64_t seed : {1, 2}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
}

// The errors of encrypted answers are those that the simulator draws. So many runs and no estimate, because six runs of an input are a sample of their
// own: of some inputs of the residual network, where few causes make most of the error, they show six tenths of its variance.
TEST_P(SmallModel, ErrsAsForetold) {
  constexpr int kInputs = 24;
  constexpr unsigned kRuns = 16;
  const auto model = Model::make(GetParam(), "fast");
  ASSERT_NE(model, nullptr);
  double squares = 0;
  for (std::uint64_t seed = 1; seed <= kInputs; ++seed) {
    const auto input = sample(seed, model->shape());
    const double ratio = model->foretold(input, kRuns).ratio(model->encrypted(input));
    EXPECT_LT(ratio, 4) << seed;
    squares += ratio * ratio / kInputs;
  }
  // The mean of 24 has a deviation of 0.15 for the residual network, of less for the others.
  EXPECT_LT(squares, 1.65);
  EXPECT_GT(squares, 0.5);
}

INSTANTIATE_TEST_SUITE_P(Models, SmallModel, testing::Values("test/mlp.onnx", "test/lenet.onnx", "test/strided.onnx", "test/residual.onnx",
                                                                "test/quartic.onnx"));

/// Branches and polynomials of all kinds, on a ring of 2^14.
struct SmallNet {
  const char* name;
  std::function<void(compiler::NetBuilder&)> build;
  compiler::TensorShape input{1, 16, 16};
};

std::vector<SmallNet> small_nets() {
  using compiler::NetBuilder;
  const auto polynomial = [](int degree) {
    return [degree](NetBuilder& net) { net.conv(4, 3).polynomial(degree).dense(5); };
  };
  return {
      {"IdentityShortcut", [](NetBuilder& net) {
         const int skip = net.conv(4, 3, 1, 1).quadratic().here();
         net.conv(4, 3, 1, 1).quadratic().conv(4, 1).add(skip).dense(5);
       }},
      {"StridedShortcut", [](NetBuilder& net) {
         const int start = net.conv(4, 3, 1, 1).quadratic().here();
         const int branch = net.conv(6, 3, 2, 1).quadratic().conv(6, 1).here();
         net.from(start).conv(6, 1, 2).add(branch).quadratic().dense(5);
       }},
      {"SumOfThree", [](NetBuilder& net) {
         const int start = net.conv(3, 3).quadratic().here();
         const int left = net.conv(4, 1).quadratic().conv(3, 1).here();
         net.from(start).conv(3, 1).add(left).add(start).dense(5);
       }},
      {"ResidualMlp", [](NetBuilder& net) {
         const int image = net.here();
         net.dense(20).quadratic().dense(64).add(image).quadratic().dense(5);
       }, {64, 1, 1}},
      {"Degree3", polynomial(3)},
      {"Degree4", polynomial(4)},
      {"Degree5", polynomial(5)},
      {"Degree8", polynomial(8)},
      {"GatedMap", [](NetBuilder& net) {
         const int start = net.conv(4, 3).quadratic().here();
         const int gate = net.conv(3, 3).here();
         const int value = net.from(start).conv(3, 3).quadratic().conv(3, 1).here();
         net.from(gate).product(value).conv(4, 3).quadratic().dense(5);
       }},
      {"ProductOfVectors", [](NetBuilder& net) {   // wide ones, whose weights repeat over few slots
         const int start = net.conv(4, 3, 2).quadratic().pool(7).dense(24).quadratic().here();
         const int left = net.dense(4096).here();
         net.from(start).dense(4096).product(left).dense(5);
       }},
      {"ProductOfRanks", [](NetBuilder& net) {
         const int start = net.conv(4, 3).quadratic().dense(24).here();
         const int left = net.quadratic().dense(40).here();
         net.from(start).dense(40).product(left).dense(5);
       }},
      {"OneChannelCubic", [](NetBuilder& net) { net.conv(1, 3).polynomial(3).dense(5); }},
  };
}

class Branches : public testing::TestWithParam<std::size_t> {};

TEST_P(Branches, AnswerAsInTheClear) {
  const SmallNet net = small_nets()[GetParam()];
  SCOPED_TRACE(net.name);
  compiler::NetBuilder builder(60 + GetParam(), net.input);
  net.build(builder);
  const auto model = Model::make(builder.graph(), {}, {"small", 1U << 14, 0.02});
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  double size = 0;
  for (std::uint64_t seed : {1, 2, 3}) {
    const auto input = sample(seed, model->shape());
    for (float v : model->clear(input)) size = std::max(size, std::fabs(static_cast<double>(v)));
    model->check(input, "synthetic " + std::to_string(seed));
  }
  // A promise that says something: well below the size of the answers.
  EXPECT_LT(model->program().error_estimate, 0.1 * size);
}

INSTANTIATE_TEST_SUITE_P(Nets, Branches, testing::Range<std::size_t>(0, small_nets().size()),
                         [](const auto& test) { return std::string(small_nets()[test.param].name); });

// Pale calibration images make for small values and so for large scales: the weights must still fit the modulus that they are encoded for.
TEST(BranchesOfPaleImages, WeightsFitTheirModulusHoweverPaleTheyAre) {
  const SmallNet net = small_nets()[1];
  for (const float contrast : {1.0F, 0.5F, 0.25F, 0.1F, 0.05F, 0.02F}) {
    SCOPED_TRACE(contrast);
    compiler::NetBuilder builder(61, net.input);
    net.build(builder);
    const auto graph = compiler::normalise(builder.graph());
    ASSERT_TRUE(graph.ok());
    compiler::CompileOptions options;
    options.profile = {"small", 1U << 14, 0.02};
    for (std::uint64_t seed : {1000, 1001, 1002, 1003}) {
      options.calibration.push_back(sample(seed, net.input));
      for (float& value : options.calibration.back()) value = 0.5F + contrast * (value - 0.5F);
    }
    const auto program = compiler::compile(*graph, options);
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    const auto package = package::Package::from_bytes(package::encode_program(*program), {});
    ASSERT_TRUE(package.ok()) << package.error().to_string();
    const auto machine = runtime::Machine::make((*package)->parameters(), 2U);
    const auto loaded = runtime::LoadedProgram::load(*machine, (*package)->program());
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
  }
}

// Twice as many layers as a ring of 2^15 holds, padded, with shortcuts.
TEST(Deep, AnswersAsInTheClear) {
  compiler::NetBuilder net(70, {3, 12, 12});
  net.conv(6, 3, 1, 1).quadratic();
  for (int block = 0; block < 10; ++block) {
    const int skip = net.here();
    net.conv(6, 3, 1, 1).quadratic().conv(6, 3, 1, 1).add(skip).quadratic();
  }
  net.pool(2).dense(5);
  const auto refused = compiler::normalise(net.graph());
  ASSERT_TRUE(refused.ok());
  compiler::CompileOptions options;
  options.profile = *compiler::find_profile("precise");
  options.calibration = calibration({3, 12, 12});
  const auto program = compiler::compile(*refused, options);
  ASSERT_FALSE(program.ok());
  EXPECT_EQ(program.error().code, ErrorCode::kResource);
  EXPECT_NE(program.error().message.find("try the profile deep"), std::string::npos) << program.error().message;

  const auto model = Model::make(net.graph(), {}, *compiler::find_profile("deep"));
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  EXPECT_GT(model->parameters().log_qp(), 868);
  model->check(sample(1, model->shape()), "synthetic 1");
}

// Four gigabytes and a minute.
TEST(ResNet20, AnswersAsInTheClear) {
  if (std::getenv("BRAINLOCK_SLOW_TESTS") == nullptr) GTEST_SKIP() << "only with BRAINLOCK_SLOW_TESTS=1";
  const auto model = Model::make("resnet20-cifar10/resnet20.onnx", "deep");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  for (std::uint64_t seed : {1, 2}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
}

// The same with refreshes, which it does not need. Nine gigabytes and a minute and a half.
TEST(ResNet20, RefreshedAnswersAsInTheClear) {
  if (std::getenv("BRAINLOCK_SLOW_TESTS") == nullptr) GTEST_SKIP() << "only with BRAINLOCK_SLOW_TESTS=1";
  const auto model = Model::make("resnet20-cifar10/resnet20.onnx", "deep", compiler::CompileOptions::Refreshes::kAlways);
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  const auto& instructions = model->program().instructions;
  EXPECT_EQ(std::count_if(instructions.begin(), instructions.end(), [](const auto& i) { return std::holds_alternative<plan::Raise>(i.op); }), 2);
  for (std::uint64_t seed : {1, 2}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
}

// Deeper than a chain of primes that a server could hold the weights of. Ten gigabytes and three minutes.
TEST(ResNet32, IsRefreshedAndAnswersAsInTheClear) {
  if (std::getenv("BRAINLOCK_SLOW_TESTS") == nullptr) GTEST_SKIP() << "only with BRAINLOCK_SLOW_TESTS=1";
  const auto model = Model::make("resnet32-cifar10/resnet32.onnx", "deep");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  const auto& instructions = model->program().instructions;
  EXPECT_GE(std::count_if(instructions.begin(), instructions.end(), [](const auto& i) { return std::holds_alternative<plan::Raise>(i.op); }), 1);
  for (std::uint64_t seed : {1, 2}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
}

TEST(Attention, FastAnswersAsInTheClear) {
  const auto model = Model::make("attention-cifar10/attention.onnx", "fast");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  for (std::uint64_t seed : {1, 2, 3}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
}

TEST(Vgg9, FastAnswersAsInTheClear) {
  const auto model = Model::make("vgg9-cifar10/vgg9.onnx", "fast");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  for (std::uint64_t seed : {1, 2, 3}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
}

TEST(Vgg9, PreciseAnswersAsInTheClear) {
  const auto model = Model::make("vgg9-cifar10/vgg9.onnx", "precise");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->parameters().security_bits(), 128);
  for (std::uint64_t seed : {1, 2, 3}) model->check(sample(seed, model->shape()), "synthetic " + std::to_string(seed));
  // Real images where they are at hand; the data set is no part of the project.
  const char* dataset = std::getenv("BRAINLOCK_CIFAR10");
  if (dataset == nullptr) return;
  const auto set = sampler::Cifar10::read_directory(dataset);
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  for (std::size_t i = 0; i < 5; ++i) model->check(set->image(i).pixels, "CIFAR-10 test image " + std::to_string(i));
}

}  // namespace
}  // namespace brainlock
