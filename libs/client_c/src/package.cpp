// Packages: what they are, and what they compute in the clear.
#include <algorithm>
#include <cstdlib>

#include "brainlock/base/file.hpp"
#include "brainlock/base/processors.hpp"
#include "brainlock/math/kernels.hpp"
#include "brainlock/package/client_codec.hpp"
#include "brainlock/sampler/cifar10.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "brainlock/wire/evaluation_keys.hpp"
#include "objects.hpp"

namespace brainlock::client_c {
namespace {

/// The libraries end the process where the variable names what the machine has not; here it is an error before anything
/// uses it.
Outcome check_instruction_set() {
  const char* forced = std::getenv("BRAINLOCK_ISA");
  if (forced == nullptr || *forced == '\0') return {};
  std::string known;
  for (const math::Kernels* table : math::available_kernels()) {
    if (table->name == std::string_view(forced)) return {};
    known += " ";
    known += table->name;
  }
  return {BRAINLOCK_INVALID_ARGUMENT,
          std::string("the environment's BRAINLOCK_ISA=") + forced + " is none of this machine's:" + known};
}

/// A package has no names of its outputs. Pictures of 3 x 32 x 32 in ten classes are CIFAR-10's as a rule; ten outputs
/// alone say nothing (digits have ten as well).
bool looks_like_cifar10(const plan::TensorMap& input, std::size_t outputs) {
  return outputs == sampler::kCifar10Classes && input.channels == 3 && input.height == 32 && input.width == 32;
}

brainlock_package_info info_of(const PackageObject& object) {
  const package::ClientHalf& client = *object.client();
  const plan::ClientFields& fields = client.fields();
  const auto& parameters = *client.parameters();
  const auto requests = client.key_requests();
  brainlock_package_info info{};
  info.security_bits = static_cast<std::uint32_t>(parameters.security_bits());
  info.ring_degree = parameters.ring_degree();
  info.input_channels = fields.input.channels;
  info.input_height = fields.input.height;
  info.input_width = fields.input.width;
  info.input_count = static_cast<std::uint32_t>(object.input_count());
  info.output_count = static_cast<std::uint32_t>(object.output_count());
  info.evaluation_key_count = static_cast<std::uint32_t>(requests.size());
  info.is_client_half = object.is_whole() ? 0 : 1;
  info.input_bound = fields.input.bound;
  info.error_bound = fields.error_bound;
  info.error_estimate = fields.error_estimate;
  info.evaluation_key_bytes = wire::evaluation_keys_bytes(requests, parameters);
  info.question_bytes =
      wire::ciphertexts_bytes(parameters, fields.input.ciphertexts, fields.input.limbs, /*seeded=*/true);
  info.answer_bytes =
      wire::ciphertexts_bytes(parameters, fields.output.ciphertexts, fields.output.limbs, /*seeded=*/false);
  copy_text(client.hash_hex(), info.hash);
  copy_text(fields.model_name, info.model);
  copy_text(fields.profile, info.profile);
  return info;
}

}  // namespace

Registry<brainlock_package, PackageObject>& packages() {
  static auto& registry =
      *new Registry<brainlock_package, PackageObject>;  // never destroyed: threads may outlive main()
  return registry;
}

Result<PackageObject::Clear> PackageObject::clear() {
  const std::lock_guard lock(mutex_);
  if (clear_.checker == nullptr) {
    Clear fresh;
    BRAINLOCK_ASSIGN(fresh.simulator, package::Simulator::make(package_, usable_processors()));
    fresh.checker =
        std::make_shared<const package::RangeChecker>(package_, package::Foretelling{fresh.simulator, {}, 1});
    clear_ = std::move(fresh);
  }
  return clear_;
}

Outcome check_whole(const PackageObject& package) {
  if (package.is_whole()) return {};
  return {Act::kRunClear, BRAINLOCK_UNSUPPORTED,
          "running the model needs the whole package, and this is its client's half alone"};
}

Outcome judge(PackageObject& package, std::span<const float> values, std::uint32_t policy, Judged& judged) {
  const plan::TensorMap& input = package.client()->input();
  if (policy > BRAINLOCK_RANGE_UNCHECKED) {
    return {BRAINLOCK_INVALID_ARGUMENT, "range is " + std::to_string(policy) + ", expected one of BRAINLOCK_RANGE_..."};
  }
  const Status bound = keyholder::check_input_bound(input, values);
  judged.inside_bound = bound.ok();
  if (policy != BRAINLOCK_RANGE_UNCHECKED) {
    BRAINLOCK_CHECK(check_whole(package));
    BRAINLOCK_ASSIGN(const auto clear, package.clear());
    judged.range = clear.checker->check(values);
    judged.checked = true;
    std::string warning;
    const Status admitted = keyholder::admit(judged.range, policy == BRAINLOCK_RANGE_ALLOW, warning);
    if (!admitted.ok()) return {BRAINLOCK_OUT_OF_RANGE, admitted.error().message};
  }
  if (!bound.ok() && policy != BRAINLOCK_RANGE_ALLOW) return {BRAINLOCK_OUT_OF_RANGE, bound.error().message};
  return {};
}

brainlock_range range_report(const Judged& judged, double error_bound) {
  brainlock_range out{};
  const package::ValueRange& range = judged.range;
  out.inside = judged.checked && judged.inside() ? 1 : 0;
  out.wraps = judged.checked && range.wraps() ? 1 : 0;
  out.wrap = range.wrap;
  out.foretold_error = range.error;
  out.error_bound = error_bound;
  if (const auto* worst = range.worst(); worst != nullptr) {
    out.worst_value = worst->largest;
    out.worst_limit = worst->limit;
    copy_text(worst->layer, out.worst_layer);
  }
  return out;
}

}  // namespace brainlock::client_c

using namespace brainlock;
using namespace brainlock::client_c;

extern "C" {

brainlock_status brainlock_package_open(const char* folder, brainlock_package** package) {
  return guarded(Act::kOpenPackage, [&]() -> Outcome {
    if (package == nullptr) return is_null("package");
    *package = nullptr;
    if (folder == nullptr) return is_null("folder");
    BRAINLOCK_CHECK(check_instruction_set());
    BRAINLOCK_ASSIGN(auto loaded, package::Package::load(folder));
    *package = packages().add(std::make_shared<PackageObject>(std::move(loaded)));
    return {};
  });
}

brainlock_status brainlock_client_half_open(const char* file, brainlock_package** package) {
  return guarded(Act::kOpenClientHalf, [&]() -> Outcome {
    if (package == nullptr) return is_null("package");
    *package = nullptr;
    if (file == nullptr) return is_null("file");
    BRAINLOCK_CHECK(check_instruction_set());
    BRAINLOCK_ASSIGN(const auto bytes, read_file(file, package::kMaxClientBytes));
    auto half = package::ClientHalf::from_bytes(bytes);
    if (!half.ok()) return half.error().in(file);
    *package = packages().add(std::make_shared<PackageObject>(std::move(*half)));
    return {};
  });
}

brainlock_status brainlock_package_close(brainlock_package* package) {
  return close_handle(packages(), package, "package");
}

brainlock_status brainlock_package_get_info(brainlock_package* package, brainlock_package_info* info) {
  return guarded(Act::kLook, [&]() -> Outcome {
    const auto object = packages().find(package);
    if (object == nullptr) return bad_handle(package, "package");
    if (info == nullptr) return is_null("info");
    BRAINLOCK_CHECK(check_report(info, "info"));
    write_report(info, info_of(*object));
    return {};
  });
}

brainlock_status brainlock_package_output_name(brainlock_package* package, uint32_t output, char* buffer, size_t size,
                                               size_t* needed) {
  return guarded(Act::kLook, [&]() -> Outcome {
    const auto object = packages().find(package);
    if (object == nullptr) return bad_handle(package, "package");
    const std::size_t outputs = object->output_count();
    if (output >= outputs) {
      return {BRAINLOCK_INVALID_ARGUMENT, "output " + std::to_string(output) + " of " + std::to_string(outputs)};
    }
    const std::string name = looks_like_cifar10(object->client()->input(), outputs)
                                 ? std::string(sampler::cifar10_class_name(static_cast<int>(output)))
                                 : std::to_string(output);
    if (needed != nullptr) *needed = name.size() + 1;
    if (buffer == nullptr && size == 0) return {};
    if (buffer == nullptr) return is_null("buffer");
    if (size <= name.size())
      return {BRAINLOCK_TOO_LARGE,
              "the name takes " + std::to_string(name.size() + 1) + " bytes, the buffer has " + std::to_string(size)};
    copy_text(name, {buffer, name.size() + 1});
    return {};
  });
}

brainlock_status brainlock_check_input(brainlock_package* package, const float* values, size_t count,
                                       brainlock_range* range) {
  return guarded(Act::kLook, [&]() -> Outcome {
    const auto object = packages().find(package);
    if (object == nullptr) return bad_handle(package, "package");
    if (range == nullptr) return is_null("range");
    BRAINLOCK_CHECK(check_report(range, "range"));
    BRAINLOCK_CHECK(check_values(values, count, object->input_count()));
    Judged judged;
    BRAINLOCK_CHECK(judge(*object, {values, count}, BRAINLOCK_RANGE_ALLOW, judged));
    write_report(range, range_report(judged, object->client()->fields().error_bound));
    return {};
  });
}

brainlock_status brainlock_run_clear(brainlock_package* package, const float* values, size_t count, double* outputs,
                                     size_t output_count) {
  return guarded(Act::kLook, [&]() -> Outcome {
    const auto object = packages().find(package);
    if (object == nullptr) return bad_handle(package, "package");
    BRAINLOCK_CHECK(check_values(values, count, object->input_count()));
    BRAINLOCK_CHECK(check_outputs(outputs, output_count, object->output_count()));
    BRAINLOCK_CHECK(check_whole(*object));
    BRAINLOCK_ASSIGN(const auto clear, object->clear());
    const auto computed = clear.simulator->run_without_errors({values, count});
    std::copy(computed.begin(), computed.end(), outputs);
    return {};
  });
}
}
