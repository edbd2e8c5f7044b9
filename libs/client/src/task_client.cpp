#include "brainlock/client/task_client.hpp"

#include <fstream>

#include "brainlock/crypto/blake2b.hpp"
#include "brainlock/keyholder/judgement.hpp"

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

class FheTaskClient final : public TaskClient {
 public:
  FheTaskClient(std::shared_ptr<const keyholder::Cipher> cipher, fs::path key_file, const protocol::ContentId& key_id)
      : cipher_(std::move(cipher)), key_file_(std::move(key_file)), key_id_(key_id) {}

  const protocol::ContentId& package() const override { return cipher_->client().hash(); }
  const protocol::ContentId& key_id() const override { return key_id_; }
  const fs::path& key_file() const override { return key_file_; }
  std::uint64_t max_answer_bytes() const override { return cipher_->answer_bytes(); }
  Shape input_shape() const override {
    const auto& input = cipher_->client().input();
    return {input.channels, input.height, input.width};
  }
  Result<std::vector<std::uint8_t>> encrypt(std::span<const float> tensor) const override {
    BRAINLOCK_TRY(keyholder::check_input_bound(cipher_->client().input(), tensor));
    return cipher_->encrypt(tensor);
  }
  Result<std::vector<double>> decrypt(std::span<const std::uint8_t> answer) const override { return cipher_->decrypt(answer); }

 private:
  std::shared_ptr<const keyholder::Cipher> cipher_;
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

Result<std::unique_ptr<TaskClient>> make_task_client(std::shared_ptr<const keyholder::Cipher> cipher, const fs::path& key_file) {
  BRAINLOCK_ASSIGN(const auto id, content_id_of_file(key_file));
  return std::unique_ptr<TaskClient>(std::make_unique<FheTaskClient>(std::move(cipher), key_file, id));
}

Result<std::unique_ptr<TaskClient>> open_task_client(std::shared_ptr<const package::Package> package, const fs::path& directory,
                                                     unsigned threads, const KeyProgress& progress, const std::stop_token& stop) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return {ErrorCode::kIo, "cannot make " + directory.string() + ": " + error.message()};
  fs::permissions(directory, fs::perms::owner_all, error);
  if (error) return {ErrorCode::kIo, "cannot protect " + directory.string() + ": " + error.message()};

  const fs::path secret_file = directory / kSecretKeyFile;
  const fs::path key_file = directory / keyholder::kEvaluationKeysFile;
  // Evaluation keys without their secret are useless, and would be taken for those of the new one.
  if (!fs::exists(secret_file)) fs::remove(key_file, error);
  BRAINLOCK_ASSIGN(ckks_client::SecretKey secret, open_secret_key(secret_file, package->parameters()));
  if (!fs::exists(key_file)) {
    BRAINLOCK_TRY(keyholder::write_evaluation_keys(key_file, *package, secret, threads, {.overwrite = true, .mode = 0600}, progress, stop));
  }
  return make_task_client(std::make_shared<const keyholder::Cipher>(std::move(package), std::move(secret)), key_file);
}

}  // namespace brainlock::client
