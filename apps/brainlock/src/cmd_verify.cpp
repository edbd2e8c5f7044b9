// verify: encrypted answers against frozen ones, and a device's words against the CPU's. devices: what there is to run on.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/device_cuda/devices.hpp"
#include "brainlock/math/kernels.hpp"
#include "brainlock/package/value_range.hpp"
#include "bench_device.hpp"
#include "expectation.hpp"
#include "inference.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct VerifyOptions {
  std::string package, expected;
  std::size_t images = 0;   ///< 0: all of the file
  DeviceOption device;
  unsigned threads = default_threads();
  bool json = false;
};

/// A device with the program and one set of keys.
struct Loaded {
  Server server;
  std::shared_ptr<const ckks::LoadedKeys> keys;

  Loaded(const package::Package& package, const VerifyOptions& options, const device_cuda::DeviceChoice& device, const ckks::EvaluationKeySet& set)
      : server(must(Server::make(package, options.threads, options.json, device))) {
    ckks::KeyLoader loader(server.machine->backend, server.machine->pool, package.parameters(), package.key_requests());
    for (const auto& key : set.keys) must(loader.add(key));
    keys = must(loader.finish());
  }
  [[nodiscard]] std::vector<ckks::Ciphertext> run(std::span<const ckks::Ciphertext> inputs) const {
    return must(runtime::Executor().run(*server.program, *keys, copy_ciphertexts(inputs)));
  }
};

void run_verify(const VerifyOptions& options) {
  must(device_cuda::check_device(options.device.choice()));
  const auto package = must(package::Package::load(options.package));
  const plan::Program& program = package->program();
  const Expectation expected = must(read_expectation(options.expected, program.input, program.output));
  const compiler::Graph graph = must(clear_model(*package));
  const ckks::Encoder encoder(package->parameters());
  const package::RangeChecker ranges(package, must(foretelling(package, options.threads)));
  const Keys keys = must(make_keys(*package, options.threads, options.json));
  const Loaded device(*package, options, options.device.choice(), keys.evaluation);
  const std::string name = device.server.machine->backend->name();
  std::optional<Loaded> cpu;
  if (name != "cpu") cpu.emplace(*package, options, device_cuda::DeviceChoice{}, keys.evaluation);

  const std::size_t count = options.images == 0 ? expected.images.size() : std::min(options.images, expected.images.size());
  std::size_t good = 0;
  nlohmann::json images = nlohmann::json::array();
  if (!options.json) std::printf("%s, profile %s, on %s\n  %5s %6s %6s %12s %12s %10s\n", program.model_name.c_str(), program.profile.c_str(),
                                 device.server.description().c_str(), "image", "class", "answer", "difference", "allowed", "as the CPU");
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<float> frozen(expected.logits[i].begin(), expected.logits[i].end());
    const std::vector<float> clear = compiler::run_float(graph, expected.images[i]);
    const auto question = must(keyholder::encrypt_tensor(*package, keys.secret, encoder, expected.images[i]));
    const auto answer = device.run(question);
    const bool equal = !cpu || same_words(answer, cpu->run(question));
    const Comparison c = compare(must(keyholder::decrypt_tensor(*package, keys.secret, encoder, answer)), frozen);
    // The network in single precision may differ from the frozen logits by rounding; that is no error of the encrypted run.
    const double rounding = compare(std::vector<double>(clear.begin(), clear.end()), frozen).max_abs_error;
    const double rms = std::sqrt(std::inner_product(frozen.begin(), frozen.end(), frozen.begin(), 0.0) / static_cast<double>(frozen.size()));
    const bool inside = ranges.check(expected.images[i]).inside();
    const bool right = inside && rounding <= 1e-3 * rms && c.max_abs_error <= program.error_bound + rounding;
    good += right && equal ? 1 : 0;
    images.push_back({{"class", c.clear_class}, {"encrypted_class", c.encrypted_class}, {"max_abs_error", c.max_abs_error}, {"relative_error", c.relative_error},
                      {"clear_difference", rounding}, {"in_range", inside}, {"right", right}, {"equal_to_cpu", cpu ? nlohmann::json(equal) : nlohmann::json()}});
    if (!options.json)
      std::printf("  %5zu %6zu %6zu %12.4g %12.4g %10s%s\n", i, c.clear_class, c.encrypted_class, c.max_abs_error, program.error_bound,
                  !cpu ? "-" : equal ? "equal" : "DIFFERS", right ? "" : inside ? "  WRONG" : "  OUT OF RANGE");
  }
  if (options.json) {
    std::printf("%s\n", nlohmann::json({{"package", package->hash_hex()}, {"profile", program.profile}, {"device", name}, {"error_bound", program.error_bound},
                                        {"images", images}, {"good", good}, {"of", count}}).dump(2).c_str());
  } else {
    std::printf("  %zu of %zu as expected\n", good, count);
  }
  if (good != count) fail({ErrorCode::kMismatch, std::to_string(count - good) + " of " + std::to_string(count) + " answers are not as expected"});
}

struct DevicesOptions {
  bool json = false, need_gpu = false;
};

void run_devices(const DevicesOptions& options) {
  const auto gpus = device_cuda::list_devices();
  const std::string kernels(math::kernels().name);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    if (gpus)
      for (const auto& gpu : *gpus)
        list.push_back({{"device", "cuda:" + std::to_string(gpu.index)}, {"name", gpu.name}, {"compute_capability", std::to_string(gpu.major) + "." + std::to_string(gpu.minor)},
                        {"memory_bytes", gpu.memory_bytes}, {"multiprocessors", gpu.multiprocessors}, {"last_cache_bytes", gpu.last_cache_bytes}});
    nlohmann::json json = {{"cpu_kernels", kernels}, {"threads", default_threads()}, {"gpus", list}};
    if (!gpus) json["no_gpu"] = gpus.error().message;
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("cpu     %u thread(s), kernels %s\n", default_threads(), kernels.c_str());
    if (gpus)
      for (const auto& gpu : *gpus)
        std::printf("cuda:%-2d %s, compute capability %d.%d, %s, %u multiprocessors\n", gpu.index, gpu.name.c_str(), gpu.major, gpu.minor,
                    human_bytes(gpu.memory_bytes).c_str(), gpu.multiprocessors);
    else
      std::printf("no GPU  %s\n", gpus.error().message.c_str());
  }
  if (options.need_gpu && !gpus) throw ExitWith{kExitFailed};
}

}  // namespace

void add_verify_commands(CLI::App& app) {
  auto verify = std::make_shared<VerifyOptions>();
  auto* command = app.add_subcommand("verify", "check encrypted answers against frozen ones, and a GPU's words against the CPU's");
  command->add_option("package", verify->package, "package folder")->required();
  command->add_option("--expect", verify->expected, "frozen images and logits (models/NAME/NAME.expect.txt)")->required();
  command->add_option("--images", verify->images, "how many of them; 0: all")->capture_default_str();
  verify->device.add_to(*command);
  command->add_option("--threads", verify->threads)->capture_default_str()->check(CLI::Range(1, 1024));
  command->add_flag("--json", verify->json, "report as JSON");
  command->callback([verify] { run_verify(*verify); });

  auto devices = std::make_shared<DevicesOptions>();
  command = app.add_subcommand("devices", "list what --device can name on this machine");
  command->add_flag("--need-gpu", devices->need_gpu, "exit with 1 where no GPU can be used");
  command->add_flag("--json", devices->json, "report as JSON");
  command->callback([devices] { run_devices(*devices); });
}

}  // namespace brainlock::app
