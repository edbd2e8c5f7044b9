// Key pairs, and what is done with them on this machine alone.
#include <algorithm>
#include <cstdlib>

#include "brainlock/base/processors.hpp"
#include "brainlock/keyholder/key_files.hpp"
#include "objects.hpp"

namespace brainlock::client_c {
namespace {

constexpr std::uint32_t kMaxThreads = 1024;

}  // namespace

Registry<brainlock_keys, KeysObject>& key_pairs() {
  static auto& registry = *new Registry<brainlock_keys, KeysObject>;
  return registry;
}

Result<std::shared_ptr<const client::TaskClient>> KeysObject::task() {
  const std::lock_guard lock(mutex_);
  if (task_ == nullptr) {
    BRAINLOCK_TRY(keyholder::check_evaluation_keys(evaluation_keys_, cipher_->client()));
    BRAINLOCK_ASSIGN(auto made, client::make_task_client(cipher_, evaluation_keys_));
    task_ = std::move(made);
  }
  return task_;
}

}  // namespace brainlock::client_c

using namespace brainlock;
using namespace brainlock::client_c;

extern "C" {

brainlock_status brainlock_keys_make(brainlock_package* package, const char* folder,
                                     const brainlock_keys_options* options) {
  return guarded(Act::kMakeKeys, [&]() -> Outcome {
    const auto object = packages().find(package);
    if (object == nullptr) return bad_handle(package, "package");
    if (folder == nullptr) return is_null("folder");
    if (*folder == '\0') return {BRAINLOCK_INVALID_ARGUMENT, "folder is empty"};
    brainlock_keys_options chosen;
    BRAINLOCK_CHECK(read_options(options, chosen));
    if (chosen.threads > kMaxThreads) {
      return {BRAINLOCK_INVALID_ARGUMENT,
              "threads is " + std::to_string(chosen.threads) + ", expected 0 to " + std::to_string(kMaxThreads)};
    }
    return with_progress(
        chosen.progress, chosen.user, [&](const Report& report, const std::stop_token& stop) -> Outcome {
          report(BRAINLOCK_PHASE_MAKING_KEYS, 0, object->client()->key_requests().size());
          const keyholder::KeyFileOptions files{chosen.threads == 0 ? usable_processors() : chosen.threads,
                                                chosen.overwrite != 0};
          const auto made = keyholder::make_key_files(
              *object->client(), folder, files,
              [&](std::size_t done, std::size_t total) { report(BRAINLOCK_PHASE_MAKING_KEYS, done, total); }, stop);
          return made.ok() ? Outcome() : Outcome(made.error());
        });
  });
}

brainlock_status brainlock_keys_open(brainlock_package* package, const char* folder, brainlock_keys** keys) {
  return guarded(Act::kOpenKeys, [&]() -> Outcome {
    if (keys == nullptr) return is_null("keys");
    *keys = nullptr;
    const auto object = packages().find(package);
    if (object == nullptr) return bad_handle(package, "package");
    if (folder == nullptr) return is_null("folder");
    const std::filesystem::path place(folder), evaluation = place / keyholder::kEvaluationKeysFile;
    BRAINLOCK_ASSIGN(auto secret,
                     ckks_client::SecretKey::load(place / keyholder::kSecretKeyFile, object->client()->parameters()));
    const Status status = keyholder::check_evaluation_keys(evaluation, *object->client());
    if (!status.ok() && status.error().code != ErrorCode::kNotFound) return status.error();
    auto cipher = std::make_shared<const keyholder::Cipher>(object->client(), std::move(secret));
    *keys = key_pairs().add(std::make_shared<KeysObject>(object, std::move(cipher), evaluation));
    return {};
  });
}

brainlock_status brainlock_keys_close(brainlock_keys* keys) { return close_handle(key_pairs(), keys, "keys"); }

brainlock_status brainlock_encrypt(brainlock_keys* keys, const float* values, size_t count,
                                   const brainlock_encrypt_options* options, uint8_t** bytes, size_t* size,
                                   brainlock_range* range) {
  return guarded(Act::kEncrypt, [&]() -> Outcome {
    if (bytes == nullptr) return is_null("bytes");
    *bytes = nullptr;
    if (size == nullptr) return is_null("size");
    *size = 0;
    const auto object = key_pairs().find(keys);
    if (object == nullptr) return bad_handle(keys, "keys");
    if (range != nullptr) BRAINLOCK_CHECK(check_report(range, "range"));
    brainlock_encrypt_options chosen;
    BRAINLOCK_CHECK(read_options(options, chosen));
    BRAINLOCK_CHECK(check_values(values, count, object->package().input_count()));
    Judged judged;
    Outcome admitted = judge(object->package(), {values, count}, chosen.range, judged);
    if (range != nullptr && (admitted.ok() || admitted.status == BRAINLOCK_OUT_OF_RANGE))
      write_report(range, range_report(judged, object->cipher().client().fields().error_bound));
    if (!admitted.ok()) return admitted;
    BRAINLOCK_ASSIGN(const auto question, object->cipher().encrypt({values, count}));
    auto* copy = static_cast<std::uint8_t*>(std::malloc(question.size()));
    if (copy == nullptr) return {BRAINLOCK_RESOURCE, "no memory for " + std::to_string(question.size()) + " bytes"};
    std::copy(question.begin(), question.end(), copy);
    *bytes = copy;
    *size = question.size();
    return {};
  });
}

brainlock_status brainlock_decrypt(brainlock_keys* keys, const uint8_t* bytes, size_t size, double* outputs,
                                   size_t output_count) {
  return guarded(Act::kDecrypt, [&]() -> Outcome {
    const auto object = key_pairs().find(keys);
    if (object == nullptr) return bad_handle(keys, "keys");
    if (bytes == nullptr) return is_null("bytes");
    BRAINLOCK_CHECK(check_outputs(outputs, output_count, object->package().output_count()));
    BRAINLOCK_ASSIGN(const auto decrypted, object->cipher().decrypt({bytes, size}));
    const Status plausible = keyholder::check_plausible(object->cipher().client().output(), decrypted);
    if (!plausible.ok()) return {BRAINLOCK_WRONG_ANSWER, plausible.error().message};
    std::copy(decrypted.begin(), decrypted.end(), outputs);
    return {};
  });
}
}
