#include <algorithm>
#include <chrono>

#include "brainlock/client/task_client.hpp"
#include "brainlock/client_page/inference.hpp"

namespace brainlock::client_page {
namespace {

constexpr std::size_t kSampleBytes = 3 * 32 * 32;

/// Seconds since construction.
class Watch {
 public:
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class RemoteInference final : public Inference {
 public:
  explicit RemoteInference(RemoteOptions options) : options_(std::move(options)), miner_(options_.self, options_.miner) {}

  Status prepare(const Report& report, std::stop_token stop) override {
    if (task_ == nullptr) {
      report(Phase::kMakingKeys, 0, 0);
      BRAINLOCK_ASSIGN(task_, client::open_task_client(options_.package, options_.keys, options_.threads,
                                                       [&](std::size_t done, std::size_t total) { report(Phase::kMakingKeys, done, total); }, stop));
    }
    report(Phase::kConnecting, 0, 0);
    BRAINLOCK_ASSIGN(const auto status, miner_.status({}, stop));
    const bool offered = std::any_of(status.tasks.begin(), status.tasks.end(), [&](const auto& task) { return task.package == options_.package->hash(); });
    if (!offered) return Error{ErrorCode::kNotFound, "the miner does not serve package " + options_.package->hash_hex() + "; ask another one"};
    report(Phase::kUploadingKeys, 0, 0);
    const client::UploadPace pace = client::upload_pace(task_->key_file(), status.key_part_bytes);
    return client::status_of(miner_.upload_key(task_->package(), task_->key_id(), task_->key_file(), pace.part_bytes, pace.part_limits,
                                               [&](std::uint64_t done, std::uint64_t total) { report(Phase::kUploadingKeys, done, total); }, stop, 4, pace.total_ms));
  }

  Result<Answer> ask(std::span<const float> input, const Report& report, std::stop_token stop) override {
    Answer out;
    report(Phase::kChecking, 0, 0);
    Watch watch;
    const package::ValueRange range = options_.judge(input);
    if (range.wraps()) {
      return Error{ErrorCode::kInvalidArgument, "the model makes values of this picture that its encrypted form has no room for, so the answer would be wrong; take another one"};
    }
    out.clear = range.clear;
    out.check_s = watch.seconds();

    report(Phase::kEncrypting, 0, 0);
    watch = {};
    BRAINLOCK_ASSIGN(const auto question, task_->encrypt(input));
    out.encrypt_s = watch.seconds();
    out.question_bytes = question.size();
    const std::size_t sample = std::min(question.size(), kSampleBytes), from = (question.size() - sample) / 2;
    out.question_sample.assign(question.data() + from, question.data() + from + sample);

    report(Phase::kWaiting, 0, 0);
    const client::Call call = miner_.infer(task_->package(), task_->key_id(), question,
                                           {5'000, static_cast<std::int64_t>(options_.timeout_s * 1000), task_->max_answer_bytes()}, stop);
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    BRAINLOCK_TRY(client::status_of(call));
    out.response_s = call.response_s;
    out.network_s = call.network_s;
    out.answer_bytes = call.body.size();

    report(Phase::kDecrypting, 0, 0);
    watch = {};
    auto outputs = task_->decrypt(call.body);
    if (!outputs) return Error{ErrorCode::kUnavailable, "the miner's answer is none: " + outputs.error().message};
    out.outputs = std::move(*outputs);
    out.decrypt_s = watch.seconds();
    return out;
  }

 private:
  const RemoteOptions options_;
  client::MinerConnection miner_;
  std::unique_ptr<client::TaskClient> task_;
};

}  // namespace

std::unique_ptr<Inference> make_remote_inference(RemoteOptions options) { return std::make_unique<RemoteInference>(std::move(options)); }

}  // namespace brainlock::client_page
