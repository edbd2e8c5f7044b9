// compile, inspect, client-half: from a model to a package, what a package says of itself, and what its clients need of it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "brainlock/base/file.hpp"
#include "brainlock/base/parallel.hpp"
#include "brainlock/base/processors.hpp"
#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"
#include "brainlock/package/client_codec.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/plan/op_name.hpp"
#include "brainlock/runtime/loaded_program.hpp"
#include "brainlock/sampler/calibration.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "inference.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

constexpr int kCalibrationInputs = 8;
// Of each kind, for the ranges of polynomials.
constexpr int kRangeInputs = 96;
// Errors of polynomials grow faster than the forecast's gains once they are no longer small: a package whose simulated answers leave its bound is made again, more exactly.
constexpr std::size_t kSimulatedInputs = 8;
constexpr int kMostCompilations = 4;
constexpr double kTighter = 1.0 / 8;

struct CompileOptions {
  std::string model, out, profile = "precise", refresh = "needed", dataset;
  double target_error = 0;
  bool json = false, overwrite = false, candidates = false;
};

bool has_polynomials(const compiler::Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const compiler::Node& node) { return node.kind == compiler::OpKind::kPolynomial; });
}

/// Largest error of simulated answers to some of the inputs, in units of the package's bound.
double simulated_error(const std::shared_ptr<const package::Package>& package, const compiler::Graph& graph, const std::vector<std::vector<float>>& inputs) {
  const auto simulator = must(package::Simulator::make(package, usable_processors()));
  const std::size_t count = std::min(inputs.size(), kSimulatedInputs);
  std::vector<double> errors(count);
  parallel_for(count, usable_processors(), [&](std::size_t i) {
    const auto clear = compiler::run_float(graph, inputs[i]);
    const auto answer = simulator->run(inputs[i], i + 1);
    for (std::size_t k = 0; k < clear.size(); ++k) {
      const double error = std::fabs(answer[k] - static_cast<double>(clear[k]));
      errors[i] = std::max(errors[i], std::isfinite(error) ? error : HUGE_VAL);
    }
  });
  return *std::max_element(errors.begin(), errors.end()) / package->program().error_bound;
}

void run_compile(const CompileOptions& options) {
  const Stopwatch watch;
  // Before the work, not after it.
  if (!options.overwrite) must(package::Package::check_vacant(options.out));
  std::vector<std::uint8_t> bytes = must(read_file(options.model, package::kMaxModelBytes));
  compiler::Graph graph = must(compiler::import_onnx(std::as_bytes(std::span(bytes))));
  graph = must(compiler::normalise(std::move(graph)));

  compiler::CompileOptions compile_options;
  compile_options.profile = must(compiler::find_profile(options.profile));
  using Refreshes = compiler::CompileOptions::Refreshes;
  compile_options.refreshes = options.refresh == "never" ? Refreshes::kNever : options.refresh == "always" ? Refreshes::kAlways : Refreshes::kWhereNeeded;
  if (options.target_error > 0) compile_options.profile.target_error = options.target_error;
  const compiler::TensorShape shape = graph.nodes.front().shape;
  const bool polynomials = has_polynomials(graph);
  if (!options.dataset.empty()) {
    const auto set = must(sampler::Cifar10::read_directory(options.dataset, /*training=*/true));
    for (int i = 0; i < kCalibrationInputs; ++i) compile_options.calibration.push_back(set.image(static_cast<std::size_t>(i)).pixels);
    for (int i = kCalibrationInputs; polynomials && i < kCalibrationInputs + kRangeInputs && static_cast<std::size_t>(i) < set.size(); ++i)
      compile_options.range_inputs.push_back(set.image(static_cast<std::size_t>(i)).pixels);
  }
  for (auto& input : sampler::calibration_inputs(kCalibrationInputs, shape.channels, shape.height, shape.width, usable_processors()))
    compile_options.calibration.push_back(std::move(input));
  for (int i = 0; polynomials && i < kRangeInputs; ++i)
    compile_options.range_inputs.push_back(sampler::synthetic_values(static_cast<std::uint64_t>(i) + 1, shape.channels, shape.height, shape.width));

  compiler::CompileReport report;
  std::shared_ptr<const package::Package> package;
  for (int attempt = 1;; ++attempt) {
    Progress progress("compiling", options.json);
    std::size_t step = 0;   // stages, layouts, levels, biases
    compile_options.progress = [&](const std::string& text) { progress.update(step++, polynomials ? 5 : 4, text); };
    report = {};
    plan::Program program = must(compiler::compile(graph, compile_options, &report));
    package = must(package::Package::create(options.out, std::move(program), bytes, options.overwrite || attempt > 1));
    if (!polynomials) break;
    progress.update(4, 5, "simulation");
    const double error = simulated_error(package, graph, compile_options.calibration);
    if (error <= 1) break;
    if (attempt == kMostCompilations) {
      report.notes.push_back("simulated answers are up to " + std::to_string(error) + " times as far off as the bound says: the network makes much of small errors; approximate it with lower degrees");
      break;
    }
    compile_options.profile.target_error *= kTighter;
  }
  const plan::Program& p = package->program();
  const runtime::MemoryForecast memory = runtime::forecast_memory(p);
  const double seconds = watch.seconds();

  if (options.json) {
    nlohmann::json candidates = nlohmann::json::array();
    for (const auto& c : report.candidates)
      candidates.push_back({{"layout", c.layout}, {"predicted_ms", c.predicted_ms}, {"predicted_error", c.predicted_error},
                            {"key_bytes", c.key_bytes}, {"chosen", c.chosen}, {"refusal", c.refusal}});
    nlohmann::json json = {{"package", options.out},
                           {"hash", package->hash_hex()},
                           {"profile", p.profile},
                           {"compile_s", seconds},
                           {"security_bits", package->parameters()->security_bits()},
                           {"ring_degree", package->parameters()->ring_degree()},
                           {"log_qp", package->parameters()->log_qp()},
                           {"predicted_ms_one_core", report.predicted_ms},
                           {"error_bound", p.error_bound},
                           {"eval_key_bytes", uploaded_key_bytes(*package)},
                           {"memory_forecast_bytes", memory.total()},
                           {"notes", report.notes}};
    if (options.candidates) json["candidates"] = candidates;
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s: %s, profile %s, compiled in %s\n", options.out.c_str(), p.model_name.c_str(), p.profile.c_str(), human_seconds(seconds).c_str());
  std::printf("  hash       %s\n", package->hash_hex().c_str());
  std::printf("  security   %d bits: N = %u, log2(QP) = %.1f of at most %.0f\n", package->parameters()->security_bits(),
              package->parameters()->ring_degree(), package->parameters()->log_qp(),
              ckks::max_log_qp_128(package->parameters()->ring_degree()));
  std::printf("  keys       %zu, %s to upload\n", p.keys.size(), human_bytes(uploaded_key_bytes(*package)).c_str());
  std::printf("  memory     %s forecast (keys %s, weights %s, working %s)\n", human_bytes(memory.total()).c_str(),
              human_bytes(memory.keys).c_str(), human_bytes(memory.weights).c_str(), human_bytes(memory.working).c_str());
  std::printf("  time       %s predicted on one core\n", human_seconds(report.predicted_ms * 1e-3).c_str());
  std::printf("  precision  logits within %.3g of the clear model (rms %.3g predicted)\n", p.error_bound, p.error_estimate);
  for (const std::string& note : report.notes) std::printf("  note       %s\n", note.c_str());
  if (options.candidates)
    for (const auto& c : report.candidates) {
      if (!c.refusal.empty()) std::printf("    refused   %s: %s\n", c.layout.c_str(), c.refusal.c_str());
      else std::printf("  %c %7.0f ms  error %.4f  keys %s  %s\n", c.chosen ? '*' : ' ', c.predicted_ms, c.predicted_error,
                       human_bytes(static_cast<std::uint64_t>(c.key_bytes)).c_str(), c.layout.c_str());
    }
}

void run_inspect(const std::string& directory, bool json) {
  const auto package = must(package::Package::load(directory));
  if (json) {
    std::printf("%s", package->manifest().c_str());
    return;
  }
  const plan::Program& p = package->program();
  std::printf("%s: %s, profile %s\n  hash      %s\n", directory.c_str(), p.model_name.c_str(), p.profile.c_str(), package->hash_hex().c_str());
  std::printf("  security  %d bits, N = %u, log2(QP) = %.1f, %zu + %zu primes, digits of %u\n", package->parameters()->security_bits(),
              p.parameters.ring_degree, package->parameters()->log_qp(), p.parameters.q.size(), p.parameters.p.size(), p.parameters.digit_limbs);
  std::printf("  input     %u ciphertext(s) at %u limbs, scale 2^%.1f; output %u at %u limbs, scale 2^%.1f\n", p.input.ciphertexts,
              p.input.limbs, std::log2(p.input.scale), p.output.ciphertexts, p.output.limbs, std::log2(p.output.scale));
  std::printf("  keys      %zu, %s to upload\n\n", p.keys.size(), human_bytes(uploaded_key_bytes(*package)).c_str());
  std::printf("  %-12s %-8s %5s %8s %8s %9s %8s %10s\n", "layer", "step", "limbs", "scale", "hoisted", "switches", "macs", "weights");
  for (const auto& instruction : p.instructions) {
    const plan::Cost cost = plan::count_cost(p, instruction);
    std::printf("  %-12s %-8s %2u>%2u %8.1f %8llu %9llu %8llu %10s\n", instruction.layer.c_str(), plan::op_name(instruction),
                instruction.limbs_in, instruction.limbs_out, std::log2(instruction.scale_out),
                static_cast<unsigned long long>(cost.hoisted_rotations), static_cast<unsigned long long>(cost.key_switches),
                static_cast<unsigned long long>(cost.plaintext_macs), human_bytes(cost.weight_bytes).c_str());
  }
}

struct ClientHalfOptions {
  std::string package, out, check;
  bool overwrite = false, json = false;
};

void run_client_half(const ClientHalfOptions& options) {
  const auto package = must(package::Package::load(options.package));
  const auto bytes = must(package->client_bytes());
  const bool checks = !options.check.empty();
  if (checks) {
    const auto found = must(read_file(options.check, package::kMaxClientBytes));
    if (found != bytes) {
      // Damage, and another version or package, have words of their own; what remains was made to deceive.
      const auto half = package::ClientHalf::from_bytes(found);
      if (!half.ok()) fail(half.error().in(options.check));
      if ((*half)->hash() != package->hash())
        fail({ErrorCode::kMismatch, options.check + ": the client's half of another package, " + (*half)->hash_hex() + "; this is " + package->hash_hex()});
      fail({ErrorCode::kCorrupted, options.check + ": names this package, but is not its client's half; write it again, and do not trust who gave you this one"});
    }
  } else {
    must(write_file(options.out, bytes, {.overwrite = options.overwrite}));
  }
  const std::string& file = checks ? options.check : options.out;
  if (options.json) {
    std::printf("%s\n", nlohmann::json{{"file", file}, {"bytes", bytes.size()}, {"package", package->hash_hex()}}.dump(2).c_str());
    return;
  }
  std::printf("%s: the client's half of package %s, %s%s\n", file.c_str(), package->hash_hex().c_str(), human_bytes(bytes.size()).c_str(),
              checks ? ", as it should be" : "");
}

}  // namespace

void add_package_commands(CLI::App& app) {
  auto compile = std::make_shared<CompileOptions>();
  auto* command = app.add_subcommand("compile", "compile an ONNX model into a package");
  command->add_option("model", compile->model, "ONNX file")->required();
  command->add_option("-o,--output,--out", compile->out, "package folder to write")->required();
  command->add_option("--profile", compile->profile, "precise (N = 2^15), fast (N = 2^14), or deep (N = 2^16, for some twenty layers, more than a hundred with refreshes)")->capture_default_str();
  command->add_option("--refresh", compile->refresh, "needed: refresh ciphertexts on the way (bootstrapping) where no chain of primes is long enough for the precision that is aimed at; never; always: use a chain that has room for refreshes where a plain one would do")
      ->check(CLI::IsMember({"needed", "never", "always"}))->capture_default_str();
  command->add_option("--dataset", compile->dataset, "CIFAR-10 folder to take value ranges from, besides synthetic images");
  command->add_option("--target-error", compile->target_error, "relative rms error of the logits to aim at; the profile's own without it")->check(CLI::PositiveNumber);
  command->add_flag("--overwrite", compile->overwrite, "replace the package if it is there");
  command->add_flag("--candidates", compile->candidates, "list the layouts and chains that were considered");
  command->add_flag("--json", compile->json, "report as JSON");
  command->callback([compile] { run_compile(*compile); });

  auto directory = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  auto* inspect = app.add_subcommand("inspect", "show what a package holds: security, levels, keys, cost per layer");
  inspect->add_option("package", *directory, "package folder")->required();
  inspect->add_flag("--json", *json, "the manifest as JSON");
  inspect->callback([directory, json] { run_inspect(*directory, *json); });

  auto half = std::make_shared<ClientHalfOptions>();
  auto* client = app.add_subcommand("client-half", "write what a package's clients need of it (client.bin: no weights, no model), or check such a file");
  client->add_option("package", half->package, "package folder")->required();
  auto* mode = client->add_option_group("what to do");
  mode->add_option("-o,--output,--out", half->out, "file to write");
  mode->add_option("--check", half->check, "a file that must be this package's client half, byte for byte");
  mode->require_option(1);
  client->add_flag("--overwrite", half->overwrite, "replace the file if it is there");
  client->add_flag("--json", half->json, "report as JSON");
  client->callback([half] { run_client_half(*half); });
}

}  // namespace brainlock::app
