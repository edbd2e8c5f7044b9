// Real programs on their way through files, and what simulation and range checks foretell of encrypted runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "brainlock/base/file.hpp"
#include "brainlock/ckks_client/client.hpp"
#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/program_codec.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/package/value_range.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/runtime/executor.hpp"
#include "samples.hpp"

namespace brainlock {
namespace {

std::vector<float> sample_of(std::uint64_t seed, const plan::TensorMap& map) {
  return sample(seed, {static_cast<int>(map.channels), static_cast<int>(map.height), static_cast<int>(map.width)});
}

/// A compiled test model; each is compiled once.
std::shared_ptr<const package::Package> compiled(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const package::Package>> packages;
  auto& package = packages[name];
  if (package != nullptr) return package;
  auto bytes = read_file(std::string(BRAINLOCK_SOURCE_DIR) + "/models/" + name, package::kMaxModelBytes);
  EXPECT_TRUE(bytes.ok());
  auto graph = compiler::normalise(*compiler::import_onnx(std::as_bytes(std::span(*bytes))));
  EXPECT_TRUE(graph.ok());
  compiler::CompileOptions options;
  options.profile = *compiler::find_profile("precise");
  options.calibration = calibration(graph->nodes[0].shape);
  auto program = compiler::compile(*graph, options);
  EXPECT_TRUE(program.ok()) << program.error().to_string();
  auto made = package::Package::from_bytes(package::encode_program(*program), std::move(*bytes));
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return package = *made;
}

class RealProgram : public testing::TestWithParam<const char*> {};

TEST_P(RealProgram, SurvivesItsFile) {
  const auto package = compiled(GetParam());
  const auto bytes = package::encode_program(package->program());
  const auto decoded = package::decode_program(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
  EXPECT_EQ(package::encode_program(*decoded), bytes);
  const auto input = sample_of(5, package->program().input);
  EXPECT_EQ(plan::run_slots(*decoded, input), plan::run_slots(package->program(), input));
  std::mt19937_64 random(1);
  for (int i = 0; i < 12; ++i) {
    auto bad = bytes;
    std::uint8_t& byte = bad[random() % bad.size()];
    byte = static_cast<std::uint8_t>(byte ^ (1 + random() % 255));
    EXPECT_FALSE(package::decode_program(bad).ok());
    bad = bytes;
    bad.resize(random() % bad.size());
    EXPECT_FALSE(package::decode_program(bad).ok());
  }
}

TEST_P(RealProgram, StatesItsLimitsAndKeepsThem) {
  const auto package = compiled(GetParam());
  const package::RangeChecker checker(package);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto range = checker.check(sample_of(seed, package->program().input));
    EXPECT_TRUE(range.inside()) << range.status().error().to_string();
    for (const auto& layer : range.layers) EXPECT_GT(layer.limit, 0) << layer.layer;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealProgram, testing::Values("test/mlp.onnx", "test/lenet.onnx", "test/residual.onnx", "test/quartic.onnx"));

/// Client and server of a package.
struct Party {
  explicit Party(std::shared_ptr<const package::Package> p) : package(std::move(p)) {
    const auto parameters = package->parameters();
    const auto machine = *runtime::Machine::make(parameters, 2U);
    program = *runtime::LoadedProgram::load(machine, package->program());
    secret = std::make_unique<ckks_client::SecretKey>(ckks_client::SecretKey::generate(parameters).value());
    keys = *ckks::load_keys(machine->backend, machine->pool, parameters, package->key_requests(),
                            ckks_client::generate_keys(*secret, package->key_requests(), 2).value());
  }
  std::vector<double> encrypted(const std::vector<float>& input) const {
    const ckks::Encoder encoder(package->parameters());
    const plan::TensorMap& map = package->program().input;
    std::vector<ckks::Ciphertext> ciphertexts;
    for (const auto& slots : plan::pack(map, package->parameters()->slots(), input))
      ciphertexts.push_back(ckks_client::encrypt(*secret, encoder, slots, ckks::Scale::from_value(map.scale), map.limbs).value());
    std::vector<std::vector<std::complex<double>>> slots;
    const auto outputs = runtime::Executor().run(*program, *keys, std::move(ciphertexts));
    EXPECT_TRUE(outputs.ok()) << outputs.error().to_string();
    for (const auto& c : *outputs) slots.push_back(*ckks_client::decrypt(*secret, encoder, c));
    return plan::unpack(package->program().output, slots);
  }
  std::shared_ptr<const package::Package> package;
  std::shared_ptr<const runtime::LoadedProgram> program;
  std::unique_ptr<ckks_client::SecretKey> secret;
  std::shared_ptr<const ckks::LoadedKeys> keys;
};

double rms(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

// The errors of encrypted runs and of simulated ones are draws from about the same distribution.
class Simulation : public testing::TestWithParam<const char*> {};

TEST_P(Simulation, ForetellsTheErrorOfEncryptedRuns) {
  const Party party(compiled(GetParam()));
  const auto simulator = package::Simulator::make(party.package);
  ASSERT_TRUE(simulator.ok()) << simulator.error().to_string();
  double encrypted = 0, simulated = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto input = sample_of(seed, party.package->program().input);
    const auto exact = plan::run_slots(party.package->program(), input);
    const double e = rms(party.encrypted(input), exact), s = rms((*simulator)->run(input, seed), exact);
    encrypted += e * e;
    simulated += s * s;
  }
  const double ratio = std::sqrt(encrypted / simulated);
  EXPECT_GT(ratio, 0.5);
  EXPECT_LT(ratio, 2.0);
}

INSTANTIATE_TEST_SUITE_P(Models, Simulation, testing::Values("test/lenet.onnx", "test/quartic.onnx"));

}  // namespace
}  // namespace brainlock
