#include "brainlock/runtime/executor.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

#include "brainlock/ckks/uniform.hpp"
#include "replays.hpp"
#include "run.hpp"

namespace brainlock::runtime {
namespace {

Status check_input(const LoadedProgram& program, ckks::Ciphertext& in, std::size_t i) {
  const Machine& machine = program.machine();
  const ckks::Parameters& parameters = *machine.parameters;
  const plan::TensorMap& map = program.program().input;
  const std::string name = "input ciphertext " + std::to_string(i);
  if (in.limbs != map.limbs) {
    return {ErrorCode::kMismatch, name + ": " + std::to_string(in.limbs) + " limbs, expected " + std::to_string(map.limbs)};
  }
  if (!in.scale.matches(ckks::Scale::from_value(map.scale))) {
    return {ErrorCode::kMismatch, name + ": scale 2^" + std::to_string(in.scale.log2()) + ", expected 2^" +
                                      std::to_string(ckks::Scale::from_value(map.scale).log2())};
  }
  const std::size_t n = parameters.ring_degree();
  if (in.c1.empty() && in.seed) ckks::expand(in, parameters);
  if (in.c0.size() != in.limbs * n || in.c1.size() != in.limbs * n) {
    return {ErrorCode::kMalformed, name + ": " + std::to_string(in.c0.size()) + " and " + std::to_string(in.c1.size()) +
                                       " words, expected " + std::to_string(in.limbs * n)};
  }
  std::atomic<bool> in_range{true};
  machine.pool->parallel_for(in.limbs, {}, [&](std::size_t l, unsigned) {
    std::uint32_t largest = 0;
    for (std::size_t t = l * n; t < (l + 1) * n; ++t) largest = std::max({largest, in.c0[t], in.c1[t]});
    if (largest >= parameters.modulus(static_cast<std::uint32_t>(l)).q) in_range = false;
  });
  if (!in_range) return {ErrorCode::kMalformed, name + ": a word is not below its modulus"};
  return {};
}

}  // namespace

Result<std::vector<ckks::Ciphertext>> Executor::run(const LoadedProgram& program, const ckks::LoadedKeys& keys,
                                                    std::vector<ckks::Ciphertext> inputs, const RunOptions& options,
                                                    RunProfile* profile) const {
  if (inputs.size() != program.program().input.ciphertexts) {
    return {ErrorCode::kMismatch, std::to_string(inputs.size()) + " input ciphertexts, expected " +
                                      std::to_string(program.program().input.ciphertexts)};
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) BRAINLOCK_TRY(check_input(program, inputs[i], i));
  BRAINLOCK_TRY(program.check_keys(keys));
  if (profile != nullptr) {
    *profile = {};
    profile->device = program.machine().backend->name();
  }
  if (options.replay && profile == nullptr && program.impl().replays != nullptr) {
    BRAINLOCK_ASSIGN(auto replayed, program.impl().replays->run(program, keys, inputs, options));
    if (replayed) return std::move(*replayed);
  }
  return Run(program, keys, options, profile, *program.machine().backend)(inputs);
}

}  // namespace brainlock::runtime
