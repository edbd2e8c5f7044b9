// `brainlock query`: private inference on somebody's miner.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "brainlock/client/task_client.hpp"
#include "commands.hpp"
#include "inference.hpp"
#include "inputs.hpp"
#include "interrupt.hpp"
#include "miner_choice.hpp"
#include "node.hpp"
#include "range_option.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

namespace fs = std::filesystem;

struct QueryFlags {
  MinerChoice miner;
  std::string package, home;
  InputOptions input;
  RangeOption range;
  double timeout_s = 300;
  unsigned threads = 2;
  bool json = false;
};

/// The range was judged by a run of the model here, which also tells an answer to another input, an old one or none from the right one.
void check_answer(const Comparison& result, const package::ValueRange& range) {
  if (range.error_bound <= 0 || result.max_abs_error <= range.error_bound) return;
  char text[240];
  std::snprintf(text, sizeof text, "the answer is not the model's: outputs differ by up to %.3g from the same model run here, the package promises %.3g", result.max_abs_error, range.error_bound);
  if (range.inside()) fail({ErrorCode::kMismatch, std::string(text) + "; ask another miner"});
  std::fprintf(stderr, "brainlock: warning: %s\n", text);
}

void run_query(const QueryFlags& flags) {
  const auto package = must(package::Package::load(flags.package));
  const fs::path home = client_home(flags.home);
  const Hotkey self = must(user_key(home / "user.seed"));
  const client::MinerAddress address = must(flags.miner.find());
  const Input input = must(load_input(flags.input, package->program().input));

  const package::ValueRange range = require_range(package, input.values, flags.range);

  // Until here nothing takes long and nothing is written.
  const Interrupt interrupt;
  const std::stop_token stop = interrupt.token();
  const auto unless_interrupted = [&](auto result) {
    if (stop.stop_requested()) fail({ErrorCode::kCancelled, "interrupted; keys that were made are kept, and what the miner has of them"});
    return must(std::move(result));
  };
  std::unique_ptr<client::TaskClient> task;
  {
    Progress progress("making keys", flags.json);
    task = unless_interrupted(client::open_task_client(package, client_keys(home, *package), flags.threads,
                                                       [&](std::size_t done, std::size_t total) { progress.update(done, total); }, stop));
  }
  client::MinerConnection miner(self.signer, address);
  const auto status = unless_interrupted(miner.status({}, stop));
  const auto offered = std::any_of(status.tasks.begin(), status.tasks.end(), [&](const auto& offer) { return offer.package == package->hash(); });
  if (!offered) fail({ErrorCode::kNotFound, "the miner does not serve package " + package->hash_hex()});
  const Stopwatch upload_watch;
  {
    Progress progress("uploading keys", flags.json);
    const client::UploadPace pace = client::upload_pace(task->key_file(), status.key_part_bytes);
    unless_interrupted(client::status_of(miner.upload_key(task->package(), task->key_id(), task->key_file(), pace.part_bytes, pace.part_limits,
                                                          [&](std::uint64_t done, std::uint64_t total) { progress.update(done >> 10, total >> 10); }, stop, 4, pace.total_ms)));
  }
  const double upload_s = upload_watch.seconds();
  const auto question = must(task->encrypt(input.values));
  const auto answer = miner.infer(task->package(), task->key_id(), question, {5'000, static_cast<std::int64_t>(flags.timeout_s * 1000), task->max_answer_bytes()}, stop);
  unless_interrupted(client::status_of(answer));
  const auto logits = must(task->decrypt(answer.body));
  const Comparison result = compare(logits, std::vector<float>(range.clear.begin(), range.clear.end()));
  check_answer(result, range);
  if (flags.json) {
    const nlohmann::json out = {{"input", input.description},       {"class", result.encrypted_class}, {"class_name", class_name(result.encrypted_class, logits.size())},
                                {"clear_class", result.clear_class}, {"max_abs_error", result.max_abs_error},
                                {"logits", logits},                 {"response_s", answer.response_s}, {"key_upload_s", upload_s},
                                {"question_bytes", question.size()}, {"answer_bytes", answer.body.size()}, {"miner", crypto::ss58_encode(address.hotkey)},
                                {"range", range_json(range)}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%s -> %s\n", input.description.c_str(), class_name(result.encrypted_class, logits.size()).c_str());
  std::printf("the same model run here, in the clear, says %s; outputs differ by %.2g at most\n", class_name(result.clear_class, logits.size()).c_str(), result.max_abs_error);
  std::printf("answered in %s by %s; sent %s, received %s, keys uploaded in %s\n", human_seconds(answer.response_s).c_str(),
              crypto::ss58_encode(address.hotkey).c_str(), human_bytes(question.size()).c_str(), human_bytes(answer.body.size()).c_str(), human_seconds(upload_s).c_str());
}

}  // namespace

void add_query_commands(CLI::App& app) {
  auto flags = std::make_shared<QueryFlags>();
  CLI::App* command = app.add_subcommand("query", "Ask a miner about one input that it never sees");
  flags->miner.add_to(*command);
  command->add_option("--package", flags->package, "Package folder: the model, as the miner serves it")->required();
  command->add_option("--home", flags->home, "Folder for your keys (0600); ~/.brainlock otherwise");
  flags->input.add_to(*command);
  flags->range.add_to(*command);
  add_asking_options(*command, flags->timeout_s, flags->threads);
  command->add_flag("--json", flags->json, "Answer as JSON");
  command->callback([flags] { run_query(*flags); });
}

}  // namespace brainlock::app
