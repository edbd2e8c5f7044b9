// Questions to a miner.
#include <algorithm>
#include <cmath>

#include "objects.hpp"

namespace brainlock::client_c {

Registry<brainlock_miner, MinerObject>& miners() {
  static auto& registry = *new Registry<brainlock_miner, MinerObject>;
  return registry;
}

namespace {

constexpr double kDefaultTimeoutS = 300, kLeastTimeoutS = 0.001, kMostTimeoutS = 1e6;

Outcome cancelled() { return {BRAINLOCK_CANCELLED, "cancelled"}; }

/// The keys to the miner, unless it was seen to have them.
Outcome deliver(MinerObject& miner, const client::TaskClient& task, const Report& report, const std::stop_token& stop,
                client::Delivery& delivery) {
  if (miner.delivered.contains(task.key_id())) return {};
  report(BRAINLOCK_PHASE_CONNECTING, 0, 0);
  auto done = client::deliver_keys(
      miner.connection, task,
      [&](std::uint64_t sent, std::uint64_t total) { report(BRAINLOCK_PHASE_UPLOADING_KEYS, sent, total); }, stop);
  if (stop.stop_requested()) return cancelled();
  if (!done.ok()) return done.error();
  delivery.bytes_sent += done->bytes_sent;
  delivery.seconds += done->seconds;
  miner.delivered.insert(task.key_id());
  return {};
}

/// Why there is no answer, in this interface's words.
Outcome outcome_of(const client::Call& call) {
  const Status status = client::status_of(call);
  if (status.ok()) return {};
  Outcome out(status.error());
  if (call.reason == protocol::Reason::kTimeout) out.status = BRAINLOCK_TIMEOUT;
  if (call.reason == protocol::Reason::kUnsignedAnswer) out.status = BRAINLOCK_DENIED;
  return out;
}

/// A question and its answer, after the input was judged.
struct Inquiry {
  std::vector<double> outputs;
  client::Delivery delivery;
  client::Call call;
  std::size_t question_bytes = 0;
};

Outcome inquire(MinerObject& miner, const KeysObject& keys, const client::TaskClient& task,
                std::span<const float> values, double timeout_s, const Report& report, const std::stop_token& stop,
                Inquiry& out) {
  report(BRAINLOCK_PHASE_ENCRYPTING, 0, 0);
  BRAINLOCK_ASSIGN(const auto question, keys.cipher().encrypt(values));
  out.question_bytes = question.size();
  const Turn turn(miner, stop);
  if (!turn.taken()) return cancelled();
  const bool had_keys = miner.delivered.contains(task.key_id());
  BRAINLOCK_CHECK(deliver(miner, task, report, stop, out.delivery));
  report(BRAINLOCK_PHASE_WAITING, 0, 0);
  out.call = client::ask(miner.connection, task, question, timeout_s, stop);
  if (had_keys && !out.call.ok() && out.call.refusal == protocol::Refusal::kUnknownKey) {
    // It had them, and others' took their place.
    miner.delivered.erase(task.key_id());
    BRAINLOCK_CHECK(deliver(miner, task, report, stop, out.delivery));
    report(BRAINLOCK_PHASE_WAITING, 0, 0);
    out.call = client::ask(miner.connection, task, question, timeout_s, stop);
  }
  if (stop.stop_requested()) return cancelled();
  if (out.call.refusal == protocol::Refusal::kUnknownKey) miner.delivered.erase(task.key_id());
  BRAINLOCK_CHECK(outcome_of(out.call));
  report(BRAINLOCK_PHASE_DECRYPTING, 0, 0);
  auto outputs = keys.cipher().decrypt(out.call.body);
  if (!outputs.ok()) return {BRAINLOCK_WRONG_ANSWER, "the miner's answer is none: " + outputs.error().message};
  out.outputs = std::move(*outputs);
  return {};
}

/// Compares, and fills in what is known then. WRONG_ANSWER.
Outcome verify(const Judged& judged, const plan::TensorMap& output, const Inquiry& inquiry, brainlock_answer& answer) {
  if (!judged.checked) {
    const Status plausible = keyholder::check_plausible(output, inquiry.outputs);
    return plausible.ok() ? Outcome() : Outcome(BRAINLOCK_WRONG_ANSWER, plausible.error().message);
  }
  const auto comparison = keyholder::compare(inquiry.outputs, judged.range.clear);
  const Status status = keyholder::check_answer(comparison, judged.range);
  if (!status.ok() && judged.inside()) return {BRAINLOCK_WRONG_ANSWER, status.error().message};
  answer.max_error = comparison.max_abs_error;
  answer.verified = status.ok() && judged.range.error_bound > 0 ? 1 : 0;
  return {};
}

}  // namespace
}  // namespace brainlock::client_c

using namespace brainlock;
using namespace brainlock::client_c;

extern "C" {

brainlock_status brainlock_miner_open(const char* address, const char* hotkey, brainlock_identity* identity,
                                      const brainlock_miner_options* options, brainlock_miner** miner) {
  return guarded(Act::kOpenMiner, [&]() -> Outcome {
    if (miner == nullptr) return is_null("miner");
    *miner = nullptr;
    if (address == nullptr) return is_null("address");
    if (hotkey == nullptr) return is_null("hotkey");
    const auto self = identities().find(identity);
    if (self == nullptr) return bad_handle(identity, "identity");
    brainlock_miner_options chosen;
    BRAINLOCK_CHECK(read_options(options, chosen));
    BRAINLOCK_ASSIGN(client::MinerAddress place, client::parse_address(address));
    BRAINLOCK_ASSIGN(place.hotkey, crypto::ss58_decode(hotkey));
    place.tls = chosen.plain == 0;
    *miner = miners().add(std::make_shared<MinerObject>(self->signer, std::move(place)));
    return {};
  });
}

brainlock_status brainlock_miner_close(brainlock_miner* miner) { return close_handle(miners(), miner, "miner"); }

brainlock_status brainlock_miner_upload_keys(brainlock_miner* miner, brainlock_keys* keys,
                                             const brainlock_upload_options* options, uint64_t* uploaded_bytes) {
  return guarded(Act::kAsk, [&]() -> Outcome {
    const auto object = miners().find(miner);
    if (object == nullptr) return bad_handle(miner, "miner");
    const auto pair = key_pairs().find(keys);
    if (pair == nullptr) return bad_handle(keys, "keys");
    brainlock_upload_options chosen;
    BRAINLOCK_CHECK(read_options(options, chosen));
    return with_progress(chosen.progress, chosen.user,
                         [&](const Report& report, const std::stop_token& stop) -> Outcome {
                           BRAINLOCK_ASSIGN(const auto task, pair->task());
                           const Turn turn(*object, stop);
                           if (!turn.taken()) return cancelled();
                           object->delivered.erase(task->key_id());  // the miner may have lost them since
                           client::Delivery delivery;
                           BRAINLOCK_CHECK(deliver(*object, *task, report, stop, delivery));
                           if (uploaded_bytes != nullptr) *uploaded_bytes = delivery.bytes_sent;
                           return {};
                         });
  });
}

brainlock_status brainlock_miner_ask(brainlock_miner* miner, brainlock_keys* keys, const float* values, size_t count,
                                     const brainlock_ask_options* options, double* outputs, size_t output_count,
                                     brainlock_answer* answer) {
  return guarded(Act::kAsk, [&]() -> Outcome {
    const auto object = miners().find(miner);
    if (object == nullptr) return bad_handle(miner, "miner");
    const auto pair = key_pairs().find(keys);
    if (pair == nullptr) return bad_handle(keys, "keys");
    if (answer != nullptr) BRAINLOCK_CHECK(check_report(answer, "answer"));
    brainlock_ask_options chosen;
    BRAINLOCK_CHECK(read_options(options, chosen));
    if (chosen.timeout_s == 0) chosen.timeout_s = kDefaultTimeoutS;
    if (!(chosen.timeout_s >= kLeastTimeoutS && chosen.timeout_s <= kMostTimeoutS)) {
      return {BRAINLOCK_INVALID_ARGUMENT,
              "timeout_s is " + std::to_string(chosen.timeout_s) + ", expected 0.001 to 1000000"};
    }
    BRAINLOCK_CHECK(check_values(values, count, pair->package().input_count()));
    BRAINLOCK_CHECK(check_outputs(outputs, output_count, pair->package().output_count()));
    const std::span<const float> input(values, count);
    const plan::ClientFields& fields = pair->cipher().client().fields();
    return with_progress(
        chosen.progress, chosen.user, [&](const Report& report, const std::stop_token& stop) -> Outcome {
          report(BRAINLOCK_PHASE_CHECKING, 0, 0);
          Judged judged;
          BRAINLOCK_CHECK(judge(pair->package(), input, chosen.range, judged));
          BRAINLOCK_ASSIGN(const auto task, pair->task());
          Inquiry inquiry;
          BRAINLOCK_CHECK(inquire(*object, *pair, *task, input, chosen.timeout_s, report, stop, inquiry));
          brainlock_answer told{};
          told.max_error = -1;
          told.error_bound = fields.error_bound;
          BRAINLOCK_CHECK(verify(judged, fields.output, inquiry, told));
          std::copy(inquiry.outputs.begin(), inquiry.outputs.end(), outputs);
          if (answer == nullptr) return {};
          told.latency_s = inquiry.call.response_s;
          told.network_s = inquiry.call.network_s;
          told.upload_s = inquiry.delivery.seconds;
          told.uploaded_bytes = inquiry.delivery.bytes_sent;
          told.question_bytes = inquiry.question_bytes;
          told.answer_bytes = inquiry.call.body.size();
          copy_text(inquiry.call.uuid, told.request);
          write_report(answer, told);
          return {};
        });
  });
}
}
