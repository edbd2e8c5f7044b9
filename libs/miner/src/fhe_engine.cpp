#include "brainlock/miner/fhe_engine.hpp"

#include <algorithm>
#include <map>

#include "brainlock/ckks/loaded_keys.hpp"
#include "brainlock/runtime/executor.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "brainlock/wire/file.hpp"

namespace brainlock::miner {
namespace {

struct LoadedKeySet final : Engine::Keys {
  std::shared_ptr<const ckks::LoadedKeys> keys;
  [[nodiscard]] std::uint64_t memory_bytes() const override { return keys->bytes(); }
};

class FheEngine final : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> make(std::vector<std::shared_ptr<const package::Package>> packages, unsigned threads,
                                              const device_cuda::DeviceChoice& device, unsigned lanes) {
    auto engine = std::make_unique<FheEngine>();
    for (auto& package : packages) {
      Task task;
      BRAINLOCK_ASSIGN(auto machine, engine->pool_ ? runtime::Machine::make(package->parameters(), engine->pool_, device, lanes)
                                                   : runtime::Machine::make(package->parameters(), threads, device, lanes));
      engine->pool_ = machine->pool;  // one pool for all packages: they share the processors
      BRAINLOCK_ASSIGN(task.program, runtime::LoadedProgram::load(std::move(machine), package->program()));
      const plan::Program& program = package->program();
      const auto requests = package->key_requests();
      task.package = package;
      task.offer = {package->hash(), program.model_name.substr(0, 100),
                    wire::evaluation_keys_bytes(requests, *package->parameters()),
                    wire::ciphertexts_bytes(*package->parameters(), program.input.ciphertexts, program.input.limbs, /*seeded=*/false)};
      for (char& c : task.offer.model) c = c >= 0x20 && c <= 0x7e ? c : '?';
      engine->tasks_.emplace(package->hash(), std::move(task));
    }
    return std::unique_ptr<Engine>(std::move(engine));
  }

  std::vector<Device> devices() const override { return {{tasks_.begin()->second.program->machine().description(), false}}; }
  /// Weights are loaded by now. A lane keeps its working memory, and a request that cannot be recorded takes some of its own; a recording is made
  /// only where a set of keys still has room (runtime/src/replays.cpp).
  std::optional<std::size_t> room_for_key_sets() const override {
    std::uint64_t keys = 1, working = 0;
    for (const auto& [hash, task] : tasks_) {
      const auto forecast = runtime::forecast_memory(task.package->program());
      keys = std::max(keys, forecast.keys);
      working = std::max(working, forecast.working);
    }
    const auto& machine = tasks_.begin()->second.program->machine();
    const auto budget = machine.backend->memory_budget();
    if (!budget) return {};
    const std::uint64_t requests = (machine.lanes + 1) * (working + budget->scratch_bytes);
    if (budget->free_bytes < requests + keys) return 1;
    return std::max<std::size_t>(1, std::min<std::size_t>(kMostKeySets, (budget->free_bytes - requests) / keys - 1));
  }
  std::vector<protocol::TaskOffer> offers() const override {
    std::vector<protocol::TaskOffer> out;
    for (const auto& [hash, task] : tasks_) out.push_back(task.offer);
    return out;
  }

  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package, const std::filesystem::path& file) override {
    BRAINLOCK_ASSIGN(const Task* task, find(package));
    const auto& machine = task->program->machine();
    const auto requests = task->package->key_requests();
    ckks::KeyLoader loader(machine.backend, machine.pool, machine.parameters, requests);
    BRAINLOCK_TRY(wire::read_evaluation_keys_file(
        file, machine.parameters, task->offer.key_bytes,
        [&](std::span<const ckks::KeyRequest> manifest) { return wire::check_manifest(manifest, requests); },
        [&](ckks::EvaluationKey&& key) { return loader.add(key); }));
    auto set = std::make_shared<LoadedKeySet>();
    BRAINLOCK_ASSIGN(set->keys, loader.finish());
    BRAINLOCK_TRY(task->program->check_keys(*set->keys));
    task->program->make_ready();
    return std::shared_ptr<const Keys>(std::move(set));
  }

  Result<Bytes> infer(const protocol::ContentId& package, const Keys& keys, std::span<const std::uint8_t> question,
                      const JobControl& control) override {
    BRAINLOCK_ASSIGN(const Task* task, find(package));
    const auto* set = dynamic_cast<const LoadedKeySet*>(&keys);
    if (set == nullptr) return {ErrorCode::kInternal, "keys of another engine"};
    const plan::Program& program = task->package->program();
    BRAINLOCK_ASSIGN(auto inputs, wire::parse_ciphertexts(question, *task->package->parameters(), program.input.ciphertexts));
    runtime::RunOptions options;
    options.stop = control.stop;
    if (control.progress) {
      options.progress = [&control](std::size_t done, std::size_t total, const std::string& layer) {
        control.progress(total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total), layer);
      };
    }
    BRAINLOCK_ASSIGN(const auto outputs, runtime::Executor().run(*task->program, *set->keys, std::move(inputs), options));
    return wire::serialize_ciphertexts(outputs, *task->package->parameters());
  }

 private:
  struct Task {
    std::shared_ptr<const package::Package> package;
    std::shared_ptr<const runtime::LoadedProgram> program;
    protocol::TaskOffer offer;
  };

  Result<const Task*> find(const protocol::ContentId& package) const {
    const auto it = tasks_.find(package);
    if (it == tasks_.end()) return {ErrorCode::kNotFound, "this miner does not serve the package"};
    return &it->second;
  }

  std::shared_ptr<device::ThreadPool> pool_;
  std::map<protocol::ContentId, Task> tasks_;
};

}  // namespace

Result<std::unique_ptr<Engine>> make_fhe_engine(std::vector<std::shared_ptr<const package::Package>> packages, unsigned threads,
                                                const device_cuda::DeviceChoice& device, unsigned lanes) {
  if (packages.empty() || packages.size() > protocol::kMaxTasks) {
    return {ErrorCode::kInvalidArgument, "a miner serves 1 to " + std::to_string(protocol::kMaxTasks) + " packages"};
  }
  return FheEngine::make(std::move(packages), threads, device, lanes);
}

RamForecast forecast_ram(const std::vector<std::shared_ptr<const package::Package>>& packages) {
  RamForecast out;
  for (const auto& package : packages) {
    const auto memory = runtime::forecast_memory(package->program());
    out.weights += memory.weights;
    out.largest_keys = std::max(out.largest_keys, memory.keys);
    out.largest_working = std::max(out.largest_working, memory.working);
  }
  return out;
}

}  // namespace brainlock::miner
