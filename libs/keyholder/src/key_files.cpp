#include "brainlock/keyholder/key_files.hpp"

#include <algorithm>

#include "brainlock/wire/file.hpp"

namespace brainlock::keyholder {
namespace {

namespace fs = std::filesystem;

/// A file that is removed again unless keep_as() was called.
class Removed {
 public:
  explicit Removed(fs::path file) : file_(std::move(file)) { remove(); }
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;
  ~Removed() { remove(); }
  [[nodiscard]] const fs::path& path() const { return file_; }
  [[nodiscard]] Status keep_as(const fs::path& name) const {
    std::error_code error;
    fs::rename(file_, name, error);
    if (error) {
      return {ErrorCode::kIo, "cannot rename " + file_.string() + " to " + name.string() + ": " + error.message()};
    }
    return {};
  }

 private:
  void remove() const {
    std::error_code error;
    fs::remove(file_, error);
  }
  fs::path file_;
};

}  // namespace

Status write_evaluation_keys(const fs::path& file, const package::ClientHalf& client,
                             const ckks_client::SecretKey& secret, unsigned threads, AtomicFileOptions options,
                             const KeyProgress& progress, const std::stop_token& stop) {
  const auto requests = client.key_requests();
  return wire::write_evaluation_keys_file(
      file, client.parameters(), requests, options, [&](const std::function<Status(ckks::EvaluationKey &&)>& write) {
        std::size_t done = 0;
        return ckks_client::generate_keys_into(secret, requests, std::max(1U, threads),
                                               [&](ckks::EvaluationKey&& key) -> Status {
                                                 if (stop.stop_requested())
                                                   return {ErrorCode::kCancelled, "stopped before all keys were made"};
                                                 BRAINLOCK_TRY(write(std::move(key)));
                                                 if (progress) progress(++done, requests.size());
                                                 return {};
                                               });
      });
}

Result<KeyFiles> make_key_files(const package::ClientHalf& client, const fs::path& directory,
                                const KeyFileOptions& options, const KeyProgress& progress,
                                const std::stop_token& stop) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Error{ErrorCode::kIo, "cannot create " + directory.string() + ": " + error.message()};
  KeyFiles out{directory / kSecretKeyFile, directory / kEvaluationKeysFile, client.key_requests().size(), 0};
  if (!options.overwrite && (fs::exists(out.secret, error) || fs::exists(out.evaluation, error))) {
    return Error{ErrorCode::kDenied, directory.string() + " holds keys already"};
  }
  BRAINLOCK_ASSIGN(const ckks_client::SecretKey secret, ckks_client::SecretKey::generate(client.parameters()));
  const Removed fresh(out.secret.string() + ".new");
  BRAINLOCK_TRY(secret.save(fresh.path()));
  BRAINLOCK_TRY(write_evaluation_keys(out.evaluation, client, secret, options.threads, {.overwrite = options.overwrite},
                                      progress, stop));
  BRAINLOCK_TRY(fresh.keep_as(out.secret));
  out.evaluation_bytes = fs::file_size(out.evaluation, error);
  return out;
}

Status check_evaluation_keys(const fs::path& file, const package::ClientHalf& client) {
  const auto in_file = [&](const Error& error) {
    return error.message.find(file.string()) == std::string::npos ? error.in(file.string()) : error;
  };
  auto source = wire::open_source(file, kMaxEvaluationKeysBytes);
  if (!source) return in_file(source.error());
  const auto reader =
      wire::EvaluationKeyReader::begin(std::move(*source), client.parameters(), kMaxEvaluationKeysBytes);
  if (!reader) return in_file(reader.error());
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (error) return {ErrorCode::kIo, file.string() + ": " + error.message()};
  if (size != reader->total_bytes()) {
    return {size < reader->total_bytes() ? ErrorCode::kTruncated : ErrorCode::kMalformed,
            file.string() + ": " + std::to_string(size) + " bytes, expected " + std::to_string(reader->total_bytes())};
  }
  const Status manifest = wire::check_manifest(reader->manifest(), client.key_requests());
  return manifest.ok() ? manifest : Status(in_file(manifest.error()));
}

}  // namespace brainlock::keyholder
