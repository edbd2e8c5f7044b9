#include <nlohmann/json.hpp>

#include "exports.hpp"

namespace brainlock::client_wasm {
namespace {

enum class RangePolicy : std::uint32_t { kRefuse = 0, kAllow = 1, kUnchecked = 2 };

/// False: they are nobody's answer, and the reply says so.
bool is_plausible(const KeyObject& key, std::span<const double> outputs) {
  const Status plausible = keyholder::check_plausible(key.cipher().client().output(), outputs);
  if (!plausible.ok()) reply().fail("wrong_answer", plausible.error().message);
  return plausible.ok();
}

}  // namespace
}  // namespace brainlock::client_wasm

using namespace brainlock;
using namespace brainlock::client_wasm;

BRAINLOCK_EXPORT(brainlock_key_make) std::uint32_t brainlock_key_make(std::uint32_t package) {
  const auto object = registry<PackageObject>().find(package);
  if (object == nullptr) return closed("package");
  auto key = ckks_client::SecretKey::generate(object->client()->parameters());
  if (!key.ok()) return reply().fail(key.error());
  return registry<KeyObject>().add(std::make_shared<KeyObject>(object, std::move(*key)));
}

BRAINLOCK_EXPORT(brainlock_key_open)
std::uint32_t brainlock_key_open(std::uint32_t package, const std::uint8_t* bytes, std::size_t size) {
  const auto object = registry<PackageObject>().find(package);
  if (object == nullptr) return closed("package");
  auto key = ckks_client::SecretKey::parse({bytes, size}, object->client()->parameters());
  if (!key.ok()) return reply().fail(key.error().in("secret key"));
  return registry<KeyObject>().add(std::make_shared<KeyObject>(object, std::move(*key)));
}

BRAINLOCK_EXPORT(brainlock_key_close) void brainlock_key_close(std::uint32_t key) { registry<KeyObject>().remove(key); }

BRAINLOCK_EXPORT(brainlock_key_bytes) std::uint32_t brainlock_key_bytes(std::uint32_t key) {
  const auto object = registry<KeyObject>().find(key);
  return object == nullptr ? closed("key") : reply().give(object->cipher().secret().serialize().bytes());
}

BRAINLOCK_EXPORT(brainlock_evaluation_keys_begin) std::uint32_t brainlock_evaluation_keys_begin(std::uint32_t key) {
  const auto object = registry<KeyObject>().find(key);
  if (object == nullptr) return closed("key");
  const Status status = object->begin_evaluation_keys();
  return status.ok() ? 1 : reply().fail(status.error());
}

BRAINLOCK_EXPORT(brainlock_evaluation_keys_next) std::uint32_t brainlock_evaluation_keys_next(std::uint32_t key) {
  const auto object = registry<KeyObject>().find(key);
  if (object == nullptr) return closed("key");
  const auto bytes = object->next_evaluation_key();
  return bytes.ok() ? reply().give(*bytes) : reply().fail(bytes.error());
}

BRAINLOCK_EXPORT(brainlock_evaluation_keys_id) std::uint32_t brainlock_evaluation_keys_id(std::uint32_t key) {
  const auto object = registry<KeyObject>().find(key);
  if (object == nullptr) return closed("key");
  const auto id = object->evaluation_keys_id();
  return id.ok() ? reply().give_text(crypto::hex_encode(*id)) : reply().fail(id.error());
}

BRAINLOCK_EXPORT(brainlock_encrypt)
std::uint32_t brainlock_encrypt(std::uint32_t key, const float* values, std::size_t count, std::uint32_t policy) {
  const auto object = registry<KeyObject>().find(key);
  if (object == nullptr) return closed("key");
  PackageObject& package = object->package();
  if (policy > static_cast<std::uint32_t>(RangePolicy::kUnchecked))
    return reply().fail("invalid_argument", "unknown policy");
  if (const Status status = package.check_values({values, count}); !status.ok()) return reply().fail(status.error());
  const bool allow = policy == static_cast<std::uint32_t>(RangePolicy::kAllow);
  if (policy != static_cast<std::uint32_t>(RangePolicy::kUnchecked)) {
    const auto judged = package.judge({values, count});
    if (!judged.ok()) return reply().fail(judged.error());
    std::string warning;
    const Status admitted = keyholder::admit(judged->range, allow, warning);
    if (!admitted.ok()) return reply().fail("out_of_range", admitted.error().message);
  }
  if (const Status bound = keyholder::check_input_bound(package.client()->input(), {values, count});
      !bound.ok() && !allow) {
    return reply().fail("out_of_range", bound.error().message);
  }
  const auto question = object->cipher().encrypt({values, count});
  return question.ok() ? reply().give(*question) : reply().fail(question.error());
}

BRAINLOCK_EXPORT(brainlock_decrypt)
std::uint32_t brainlock_decrypt(std::uint32_t key, const std::uint8_t* answer, std::size_t size) {
  const auto object = registry<KeyObject>().find(key);
  if (object == nullptr) return closed("key");
  const auto outputs = object->cipher().decrypt({answer, size});
  if (!outputs.ok()) return reply().fail(outputs.error());
  if (!is_plausible(*object, *outputs)) return 0;
  return reply().give_numbers(std::span<const double>(*outputs));
}

/// Decrypts an answer and compares it with the clear one to the input that was asked: JSON of both.
BRAINLOCK_EXPORT(brainlock_decrypt_and_compare)
std::uint32_t brainlock_decrypt_and_compare(std::uint32_t key, const float* values, std::size_t count,
                                            const std::uint8_t* answer, std::size_t size) {
  const auto object = registry<KeyObject>().find(key);
  if (object == nullptr) return closed("key");
  PackageObject& package = object->package();
  if (const Status status = package.check_values({values, count}); !status.ok()) return reply().fail(status.error());
  const auto outputs = object->cipher().decrypt({answer, size});
  if (!outputs.ok()) return reply().fail(outputs.error());
  if (!is_plausible(*object, *outputs)) return 0;
  const auto judged = package.judge({values, count});
  if (!judged.ok()) return reply().fail(judged.error());
  const keyholder::Comparison comparison = keyholder::compare(*outputs, judged->range.clear);
  const Status kept = keyholder::check_answer(comparison, judged->range);
  if (!kept.ok()) return reply().fail("wrong_answer", kept.error().message);
  return reply().give_text(nlohmann::json{
      {"outputs", *outputs},
      {"clear", judged->range.clear},
      {"maxError", comparison.max_abs_error},
      {"inside",
       judged->inside()}}.dump());
}
