#include "inference.hpp"


#include "brainlock/base/processors.hpp"
#include "brainlock/compiler/clear_model.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/wire/evaluation_keys.hpp"
#include "ui.hpp"

namespace brainlock::app {

unsigned default_threads() { return usable_processors(); }

Result<Server> Server::make(const package::Package& package, unsigned threads, bool quiet, const device_cuda::DeviceChoice& device, unsigned lanes) {
  Server server;
  BRAINLOCK_ASSIGN(server.machine, runtime::Machine::make(package.parameters(), threads, device, lanes));
  Progress progress("encoding weights", quiet);
  const auto show = [&](std::size_t done, std::size_t total, const std::string& layer) { progress.update(done, total, layer); };
  BRAINLOCK_ASSIGN(server.program, runtime::LoadedProgram::load(server.machine, package.program(), show));
  return server;
}

std::string Server::description() const { return machine->description(); }

void DeviceOption::add_to(CLI::App& command) {
  command.add_option("--device", text, "where the encrypted run takes place: cpu, cuda (the first GPU), cuda:N, or auto (a GPU if one can be used)")
      ->capture_default_str()
      ->check(CLI::Validator(
          [](const std::string& value) {
            const auto choice = device_cuda::parse_device(value);
            return choice ? std::string() : choice.error().message;
          },
          "DEVICE"));
}

device_cuda::DeviceChoice DeviceOption::choice() const { return device_cuda::parse_device(text).value(); }

Result<compiler::Graph> clear_model(const package::Package& package) {
  auto graph = compiler::clear_model(std::as_bytes(std::span(package.model())), package.program());
  if (!graph) return graph.error().in("package " + package.hash_hex());
  return graph;
}

Result<package::Foretelling> foretelling(const std::shared_ptr<const package::Package>& package, unsigned threads) {
  package::Foretelling out;
  BRAINLOCK_ASSIGN(out.simulator, package::Simulator::make(package, threads));
  BRAINLOCK_ASSIGN(auto graph, clear_model(*package));
  out.clear = [graph = std::make_shared<const compiler::Graph>(std::move(graph))](std::span<const float> input) {
    const auto values = compiler::run_float(*graph, input);
    return std::vector<double>(values.begin(), values.end());
  };
  return out;
}

Comparison compare(std::span<const double> encrypted, std::span<const float> clear) {
  return keyholder::compare(encrypted, std::vector<double>(clear.begin(), clear.end()));
}

Result<Keys> make_keys(const package::Package& package, unsigned threads, bool quiet) {
  BRAINLOCK_ASSIGN(ckks_client::SecretKey secret, ckks_client::SecretKey::generate(package.parameters()));
  Progress progress("keys", quiet);
  BRAINLOCK_ASSIGN(ckks::EvaluationKeySet keys,
                   ckks_client::generate_keys(secret, package.key_requests(), threads,
                                              [&](std::size_t done, std::size_t total) { progress.update(done, total); }));
  return Keys{std::move(secret), std::move(keys)};
}

std::uint64_t uploaded_key_bytes(const package::Package& package) {
  return wire::evaluation_keys_bytes(package.key_requests(), *package.parameters());
}

}  // namespace brainlock::app
