#include "brainlock/client/task_client.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "brainlock/base/file.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks_client/client.hpp"
#include "brainlock/crypto/blake2b.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/wire/ciphertext.hpp"
#include "brainlock/wire/file.hpp"

namespace brainlock::client {
namespace {

namespace fs = std::filesystem;

Result<ckks_client::SecretKey> open_secret_key(const fs::path& file, std::shared_ptr<const ckks::Parameters> parameters) {
  auto loaded = ckks_client::SecretKey::load(file, parameters);
  if (loaded.ok() || loaded.error().code != ErrorCode::kNotFound) return loaded;
  BRAINLOCK_ASSIGN(ckks_client::SecretKey key, ckks_client::SecretKey::generate(std::move(parameters)));
  BRAINLOCK_TRY(key.save(file));
  return key;
}

Status make_evaluation_keys(const fs::path& file, const package::Package& package, const ckks_client::SecretKey& secret,
                            unsigned threads, const KeyProgress& progress, const std::stop_token& stop) {
  const auto requests = package.key_requests();
  return wire::write_evaluation_keys_file(
      file, package.parameters(), requests, {.overwrite = true, .mode = 0600},
      [&](const std::function<Status(ckks::EvaluationKey&&)>& write) {
        std::size_t done = 0;
        return ckks_client::generate_keys_into(secret, requests, threads, [&](ckks::EvaluationKey&& key) -> Status {
          if (stop.stop_requested()) return {ErrorCode::kCancelled, "stopped before all keys were made"};
          BRAINLOCK_TRY(write(std::move(key)));
          if (progress) progress(++done, requests.size());
          return {};
        });
      });
}

class FheTaskClient final : public TaskClient {
 public:
  FheTaskClient(std::shared_ptr<const package::Package> package, ckks_client::SecretKey secret, fs::path key_file,
                const protocol::ContentId& key_id)
      : package_(std::move(package)),
        secret_(std::move(secret)),
        encoder_(package_->parameters()),
        key_file_(std::move(key_file)),
        key_id_(key_id) {}

  const protocol::ContentId& package() const override { return package_->hash(); }
  const protocol::ContentId& key_id() const override { return key_id_; }
  const fs::path& key_file() const override { return key_file_; }
  std::uint64_t max_answer_bytes() const override {
    const auto& output = package_->program().output;
    return wire::ciphertexts_bytes(*package_->parameters(), output.ciphertexts, output.limbs, /*seeded=*/false);
  }
  Shape input_shape() const override {
    const auto& input = package_->program().input;
    return {input.channels, input.height, input.width};
  }

  Result<std::vector<std::uint8_t>> encrypt(std::span<const float> tensor) const override {
    const plan::TensorMap& input = package_->program().input;
    if (tensor.size() != input_shape().size()) {
      return {ErrorCode::kInvalidArgument, "the model takes " + std::to_string(input_shape().size()) + " values, got " + std::to_string(tensor.size())};
    }
    // Beyond the bound the encrypted run may overflow where the clear one does not.
    const double bound = input.bound > 0 ? input.bound * 1.0001 : HUGE_VAL;
    for (const float value : tensor) {
      if (!(std::fabs(value) <= bound) || !std::isfinite(value)) {
        return {ErrorCode::kInvalidArgument, "an input value is outside +-" + std::to_string(input.bound)};
      }
    }
    const auto& parameters = *package_->parameters();
    std::vector<ckks::Ciphertext> ciphertexts;
    for (const auto& slots : plan::pack(input, parameters.slots(), tensor)) {
      BRAINLOCK_ASSIGN(ckks::Ciphertext ciphertext,
                       ckks_client::encrypt(secret_, encoder_, slots, ckks::Scale::from_value(input.scale), input.limbs));
      ciphertexts.push_back(std::move(ciphertext));
    }
    return wire::serialize_ciphertexts(ciphertexts, parameters);
  }

  Result<std::vector<double>> decrypt(std::span<const std::uint8_t> answer) const override {
    const plan::TensorMap& output = package_->program().output;
    BRAINLOCK_ASSIGN(const auto ciphertexts, wire::parse_ciphertexts(answer, *package_->parameters(), output.ciphertexts));
    if (ciphertexts.size() != output.ciphertexts) {
      return {ErrorCode::kMismatch, std::to_string(ciphertexts.size()) + " ciphertexts, expected " + std::to_string(output.ciphertexts)};
    }
    ckks_client::DecryptedSlots decrypted;
    for (const ckks::Ciphertext& ciphertext : ciphertexts) {
      if (ciphertext.limbs != output.limbs || !ciphertext.scale.matches(ckks::Scale::from_value(output.scale))) {
        return {ErrorCode::kMismatch, "an answer at another level or scale than the package's outputs"};
      }
      // c0 + c1 s with c1 = 0 in any limb reads the same under every key there.
      const std::size_t n = package_->parameters()->ring_degree();
      for (std::size_t limb = 0; limb < ciphertext.limbs; ++limb) {
        const auto begin = ciphertext.c1.begin() + static_cast<std::ptrdiff_t>(limb * n);
        if (std::all_of(begin, begin + static_cast<std::ptrdiff_t>(n), [](std::uint32_t word) { return word == 0; })) {
          return {ErrorCode::kInsecure, "the answer is not encrypted: its second half is zero"};
        }
      }
      BRAINLOCK_ASSIGN(auto values, ckks_client::decrypt(secret_, encoder_, ciphertext));
      decrypted.add(std::move(values));
    }
    return plan::unpack(output, decrypted.slots());
  }

 private:
  std::shared_ptr<const package::Package> package_;
  ckks_client::SecretKey secret_;
  ckks::Encoder encoder_;
  fs::path key_file_;
  protocol::ContentId key_id_;
};

}  // namespace

Result<protocol::ContentId> content_id_of_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {ErrorCode::kNotFound, "cannot open " + file.string()};
  crypto::Blake2b256 digest;
  std::vector<char> buffer(1 << 20);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.update({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(in.gcount())});
  }
  if (in.bad()) return {ErrorCode::kIo, "cannot read " + file.string()};
  return digest.finish();
}

Result<std::unique_ptr<TaskClient>> open_task_client(std::shared_ptr<const package::Package> package, const fs::path& directory,
                                                     unsigned threads, const KeyProgress& progress, const std::stop_token& stop) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return {ErrorCode::kIo, "cannot make " + directory.string() + ": " + error.message()};
  fs::permissions(directory, fs::perms::owner_all, error);
  if (error) return {ErrorCode::kIo, "cannot protect " + directory.string() + ": " + error.message()};

  const fs::path secret_file = directory / kSecretKeyFile;
  const fs::path key_file = directory / "evaluation.keys";
  // Evaluation keys without their secret are useless, and would be taken for those of the new one.
  if (!fs::exists(secret_file)) fs::remove(key_file, error);
  BRAINLOCK_ASSIGN(ckks_client::SecretKey secret, open_secret_key(secret_file, package->parameters()));
  if (!fs::exists(key_file)) BRAINLOCK_TRY(make_evaluation_keys(key_file, *package, secret, std::max(1U, threads), progress, stop));
  BRAINLOCK_ASSIGN(const auto id, content_id_of_file(key_file));
  return std::unique_ptr<TaskClient>(std::make_unique<FheTaskClient>(std::move(package), std::move(secret), key_file, id));
}

}  // namespace brainlock::client
