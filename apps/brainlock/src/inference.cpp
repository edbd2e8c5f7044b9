#include "inference.hpp"

#include <algorithm>
#include <cmath>

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

Result<std::vector<ckks::Ciphertext>> encrypt_input(const package::Package& package, const ckks_client::SecretKey& key,
                                                    const ckks::Encoder& encoder, std::span<const float> values) {
  const plan::TensorMap& map = package.program().input;
  std::vector<ckks::Ciphertext> out;
  for (const auto& slots : plan::pack(map, package.parameters()->slots(), values)) {
    BRAINLOCK_ASSIGN(ckks::Ciphertext ciphertext,
                     ckks_client::encrypt(key, encoder, slots, ckks::Scale::from_value(map.scale), map.limbs));
    out.push_back(std::move(ciphertext));
  }
  return out;
}

Result<std::vector<double>> decrypt_output(const package::Package& package, const ckks_client::SecretKey& key,
                                           const ckks::Encoder& encoder, std::span<const ckks::Ciphertext> outputs) {
  ckks_client::DecryptedSlots decrypted;
  for (const ckks::Ciphertext& ciphertext : outputs) {
    BRAINLOCK_ASSIGN(auto values, ckks_client::decrypt(key, encoder, ciphertext));
    decrypted.add(std::move(values));
  }
  const auto& slots = decrypted.slots();
  if (slots.size() != package.program().output.ciphertexts)
    return Error{ErrorCode::kMismatch, "expected " + std::to_string(package.program().output.ciphertexts) + " output ciphertexts, got " + std::to_string(slots.size())};
  return plan::unpack(package.program().output, slots);
}

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
  Comparison c;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < clear.size(); ++i) {
    const double error = std::fabs(encrypted[i] - static_cast<double>(clear[i]));
    c.max_abs_error = std::max(c.max_abs_error, error);
    difference += error * error;
    norm += static_cast<double>(clear[i]) * static_cast<double>(clear[i]);
    if (encrypted[i] > encrypted[c.encrypted_class]) c.encrypted_class = i;
    if (clear[i] > clear[c.clear_class]) c.clear_class = i;
  }
  c.relative_error = std::sqrt(difference / norm);
  return c;
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
