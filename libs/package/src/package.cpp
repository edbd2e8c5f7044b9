#include "brainlock/package/package.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/package/program_codec.hpp"

namespace brainlock::package {
namespace {

std::array<std::uint8_t, 32> package_hash(std::span<const std::uint8_t> plan, std::span<const std::uint8_t> model) {
  static constexpr std::string_view kDomain = "brainlock-package-1";
  std::vector<std::uint8_t> bytes(kDomain.begin(), kDomain.end());
  for (const auto part : {plan, model}) {
    const crypto::Hash256 hash = crypto::blake2b_256(part);
    bytes.insert(bytes.end(), hash.begin(), hash.end());
  }
  return crypto::blake2b_256(bytes);
}

nlohmann::json tensor_json(const plan::TensorMap& map) {
  return {{"shape", {map.channels, map.height, map.width}},
          {"ciphertexts", map.ciphertexts},
          {"limbs", map.limbs},
          {"scale_log2", std::log2(map.scale)},
          {"bound", map.bound}};
}

}  // namespace

Package::Package(plan::Program program, std::shared_ptr<const ckks::Parameters> parameters, std::vector<std::uint8_t> model,
                 const std::array<std::uint8_t, 32>& hash)
    : ClientHalf(plan::client_fields(program), std::move(parameters), hash), program_(std::move(program)), model_(std::move(model)) {}

std::string Package::manifest() const {
  nlohmann::json layers = nlohmann::json::array();
  for (const auto& instruction : program_.instructions) {
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    const plan::Cost cost = plan::count_cost(program_, instruction);
    layers.push_back({{"name", instruction.layer},
                      {"limbs", instruction.limbs_in},
                      {"plaintext_macs", cost.plaintext_macs},
                      {"key_switches", cost.key_switches},
                      {"hoisted_rotations", cost.hoisted_rotations},
                      {"weight_bytes", cost.weight_bytes},
                      {"value_limit", linear->limit}});
  }
  const nlohmann::json json = {
      {"format", "brainlock-package-1"},
      {"hash", hash_hex()},
      {"model", program_.model_name},
      {"profile", program_.profile},
      {"security",
       {{"bits", parameters()->security_bits()},
        {"ring_degree", parameters()->ring_degree()},
        {"log_qp", parameters()->log_qp()},
        {"log_qp_limit", ckks::max_log_qp_128(parameters()->ring_degree())},
        {"secret", "uniform ternary"},
        {"table", "Security Guidelines for Implementing Homomorphic Encryption (2024), classical"}}},
      {"parameters",
       {{"q", program_.parameters.q}, {"p", program_.parameters.p}, {"digit_limbs", program_.parameters.digit_limbs}}},
      {"input", tensor_json(program_.input)},
      {"output", tensor_json(program_.output)},
      {"error_bound", program_.error_bound},
      {"error_estimate", program_.error_estimate},
      {"keys", program_.keys.size()},
      {"layers", layers},
  };
  return json.dump(2) + "\n";
}

Result<std::shared_ptr<const Package>> Package::from_bytes(std::vector<std::uint8_t> plan_bytes, std::vector<std::uint8_t> model) {
  if (model.size() > kMaxModelBytes) return Error{ErrorCode::kTooLarge, "model.onnx is above the limit of 512 MiB"};
  BRAINLOCK_ASSIGN(plan::Program program, decode_program(plan_bytes));
  BRAINLOCK_ASSIGN(auto parameters, make_parameters(program.parameters));
  const auto hash = package_hash(plan_bytes, model);
  return std::shared_ptr<const Package>(new Package(std::move(program), std::move(parameters), std::move(model), hash));
}

}  // namespace brainlock::package
