#include <algorithm>
#include <chrono>

#include "brainlock/client/inquiry.hpp"
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
    BRAINLOCK_TRY(client::deliver_keys(miner_, *task_, [&](std::uint64_t done, std::uint64_t total) { report(Phase::kUploadingKeys, done, total); }, stop));
    return {};
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
    const client::Call call = client::ask(miner_, *task_, question, options_.timeout_s, stop);
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
