#include "brainlock/runtime/loaded_program.hpp"

#include <algorithm>
#include <limits>

#include "loaded_program_impl.hpp"
#include "same_weights.hpp"

namespace brainlock::runtime {
namespace {

constexpr std::uint32_t kMaxConversionSources = 15;  // of one base conversion: special primes and dropped primes together

std::uint32_t element_of(const plan::KeyUse& use, std::uint32_t ring_degree) {
  switch (use.kind) {
    case plan::KeyUse::Kind::kRotation: return ckks::rotation_element(ring_degree, use.rotation);
    case plan::KeyUse::Kind::kConjugation: return ckks::conjugation_element(ring_degree);
    case plan::KeyUse::Kind::kRelinearisation: return 0;
  }
  return 0;
}

/// A device of its own memory must hold weights, one set of keys and one request; said before minutes of loading, not after.
Status check_memory(const device::Backend& backend, const plan::Program& program) {
  const auto budget = backend.memory_budget();
  if (!budget) return {};
  const MemoryForecast forecast = forecast_memory(program);
  const std::uint64_t needed = forecast.total() + budget->scratch_bytes;
  if (needed <= budget->free_bytes) return {};
  const auto mib = [](std::uint64_t bytes) { return std::to_string((bytes >> 20) + 1) + " MiB"; };
  return {ErrorCode::kResource, backend.name() + ": program '" + program.model_name + "' needs about " + mib(needed) + " of device memory (weights " +
                                    mib(forecast.weights) + ", keys " + mib(forecast.keys) + ", working memory " +
                                    mib(forecast.working + budget->scratch_bytes) + "), " + mib(budget->free_bytes) +
                                    " are free; free some, or take another device"};
}

}  // namespace

std::vector<ckks::KeyRequest> key_requests(const plan::Program& program) {
  std::vector<ckks::KeyRequest> out;
  for (const plan::KeyUse& use : program.keys) {
    const std::uint32_t element = element_of(use, program.parameters.ring_degree);
    // Rotations that differ by a whole turn share a key.
    const auto same = std::find_if(out.begin(), out.end(), [&](const auto& r) { return r.galois_element == element; });
    if (same == out.end()) {
      out.push_back({element, use.limbs});
    } else {
      same->limbs = std::max(same->limbs, use.limbs);
    }
  }
  return out;
}

Lifetimes find_lifetimes(const plan::Program& program) {
  Lifetimes out;
  out.value.assign(program.register_count, 0);
  out.digits.assign(program.register_count, 0);
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const auto& op = program.instructions[i].op;
    if (const auto* split = std::get_if<plan::Split>(&op)) {
      out.value[split->in] = i;
    } else if (const auto* square = std::get_if<plan::Square>(&op)) {
      out.value[square->in] = i;
    } else if (const auto* combine = std::get_if<plan::Combine>(&op)) {
      for (const auto& term : combine->terms) {
        out.value[term.in] = i;
        if (term.rotation != 0) out.digits[term.in] = i;
      }
    } else if (const auto* linear = std::get_if<plan::Linear>(&op)) {
      for (const plan::Register r : linear->inputs) out.value[r] = i;
      for (const auto& column : linear->columns) {
        if (column.rotation != 0) out.digits[linear->inputs[column.input]] = i;
      }
    } else if (const auto* drop = std::get_if<plan::Drop>(&op)) {
      out.value[drop->in] = i;
    } else if (const auto* raise = std::get_if<plan::Raise>(&op)) {
      out.value[raise->in] = i;
    } else {
      for (const plan::Register r : std::get<plan::Add>(op).terms) out.value[r] = i;
    }
  }
  for (const plan::Register r : program.output_registers) out.value[r] = std::numeric_limits<std::size_t>::max();
  return out;
}

LoadedProgram::LoadedProgram() : impl_(std::make_unique<Impl>()) {}
LoadedProgram::~LoadedProgram() = default;

Result<std::shared_ptr<const LoadedProgram>> LoadedProgram::load(std::shared_ptr<const Machine> machine, plan::Program program,
                                                                const Progress& progress) {
  BRAINLOCK_TRY(plan::validate(program));
  const ckks::Parameters& parameters = *machine->parameters;
  const plan::ParameterChoice& choice = program.parameters;
  const ckks::ParameterSpec spec{choice.ring_degree, choice.q, choice.p, choice.digit_limbs};
  if (spec != parameters.spec()) {
    return {ErrorCode::kMismatch, "program '" + program.model_name + "' is compiled for other parameters than the machine has"};
  }
  BRAINLOCK_TRY(check_memory(*machine->backend, program));
  const std::shared_ptr<LoadedProgram> loaded(new LoadedProgram());
  Impl& impl = *loaded->impl_;
  impl.lifetimes = find_lifetimes(program);
  impl.forecast = forecast_memory(program);
  impl.linear.resize(program.instructions.size());
  const std::vector<std::size_t> same = find_same_weights(program);
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    plan::Instruction& instruction = program.instructions[i];
    auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    const std::uint32_t drop = instruction.limbs_in - instruction.limbs_out;
    if (drop + parameters.p_count() > kMaxConversionSources) {
      return {ErrorCode::kUnsupported, "instruction " + std::to_string(i) + ": rescale by " + std::to_string(drop) + " primes and " +
                                           std::to_string(parameters.p_count()) + " special ones, at most " +
                                           std::to_string(kMaxConversionSources) + " together"};
    }
    auto prepared = prepare_linear(*machine, instruction, *linear, impl.linear[same[i]].weights, impl.weight_bytes);
    if (!prepared) return prepared.error().in("instruction " + std::to_string(i) + " (" + instruction.layer + ")");
    impl.linear[i] = std::move(*prepared);
    linear->vectors = {};
    if (progress) progress(i + 1, program.instructions.size(), instruction.layer);
  }
  BRAINLOCK_TRY(machine->backend->finish({}));
  machine->backend->trim();
  impl.machine = std::move(machine);
  impl.program = std::move(program);
  impl.replays = Replays::make(*impl.machine);
  return std::shared_ptr<const LoadedProgram>(loaded);
}

const Machine& LoadedProgram::machine() const { return *impl_->machine; }
const plan::Program& LoadedProgram::program() const { return impl_->program; }
std::size_t LoadedProgram::weight_bytes() const { return impl_->weight_bytes; }
LoadedProgram::ReplayReport LoadedProgram::replay_report() const { return impl_->replays == nullptr ? ReplayReport{} : impl_->replays->report(); }

Result<std::vector<device::KernelTime>> LoadedProgram::kernel_times(const ckks::LoadedKeys& keys) const {
  if (impl_->replays == nullptr) return {ErrorCode::kUnsupported, "kernels are timed on a GPU"};
  return impl_->replays->kernel_times(keys.serial());
}

void LoadedProgram::make_ready() const { impl_->machine->backend->touch(impl_->forecast.working / sizeof(device::Word)); }

Status LoadedProgram::check_keys(const ckks::LoadedKeys& keys) const {
  if (keys.parameters_id() != machine().parameters->id()) {
    return {ErrorCode::kMismatch, "evaluation keys belong to other parameters than the program"};
  }
  for (const ckks::KeyRequest& request : key_requests(program())) {
    const device::SwitchingKey* key = keys.find(request.galois_element);
    const std::string name = "evaluation key of Galois element " + std::to_string(request.galois_element);
    if (key == nullptr) return {ErrorCode::kNotFound, name + ": missing"};
    if (key->limbs < request.limbs) {
      return {ErrorCode::kMismatch, name + ": " + std::to_string(key->limbs) + " limbs, expected " + std::to_string(request.limbs)};
    }
  }
  return {};
}

}  // namespace brainlock::runtime
