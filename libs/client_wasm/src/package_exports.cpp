#include "exports.hpp"

using namespace brainlock;
using namespace brainlock::client_wasm;

BRAINLOCK_EXPORT(brainlock_package_open)
std::uint32_t brainlock_package_open(const std::uint8_t* plan, std::size_t plan_size, const std::uint8_t* model,
                                     std::size_t model_size) {
  auto package = package::Package::from_bytes({plan, plan + plan_size}, {model, model + model_size});
  if (!package.ok()) return reply().fail(package.error());
  return registry<PackageObject>().add(std::make_shared<PackageObject>(std::move(*package)));
}

/// The client's half alone (client.bin).
BRAINLOCK_EXPORT(brainlock_client_half_open)
std::uint32_t brainlock_client_half_open(const std::uint8_t* bytes, std::size_t size) {
  auto half = package::ClientHalf::from_bytes({bytes, size});
  if (!half.ok()) return reply().fail(half.error());
  return registry<PackageObject>().add(std::make_shared<PackageObject>(std::move(*half)));
}

BRAINLOCK_EXPORT(brainlock_package_close) void brainlock_package_close(std::uint32_t package) {
  registry<PackageObject>().remove(package);
}

BRAINLOCK_EXPORT(brainlock_package_info) std::uint32_t brainlock_package_info(std::uint32_t package) {
  const auto object = registry<PackageObject>().find(package);
  return object == nullptr ? closed("package") : reply().give_text(object->info());
}

BRAINLOCK_EXPORT(brainlock_package_check)
std::uint32_t brainlock_package_check(std::uint32_t package, const float* values, std::size_t count) {
  const auto object = registry<PackageObject>().find(package);
  if (object == nullptr) return closed("package");
  if (const Status status = object->check_values({values, count}); !status.ok()) return reply().fail(status.error());
  const auto judged = object->judge({values, count});
  if (!judged.ok()) return reply().fail(judged.error());
  return reply().give_text(range_report(*judged));
}

BRAINLOCK_EXPORT(brainlock_package_run_clear)
std::uint32_t brainlock_package_run_clear(std::uint32_t package, const float* values, std::size_t count) {
  const auto object = registry<PackageObject>().find(package);
  if (object == nullptr) return closed("package");
  if (const Status status = object->check_values({values, count}); !status.ok()) return reply().fail(status.error());
  const auto outputs = object->run_clear({values, count});
  if (!outputs.ok()) return reply().fail(outputs.error());
  return reply().give_numbers(std::span<const double>(*outputs));
}
