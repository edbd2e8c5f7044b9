// `brainlock query`: private inference on somebody's miner.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "brainlock/client/inquiry.hpp"
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
void require_answer(const Comparison& result, const package::ValueRange& range) {
  const Status status = keyholder::check_answer(result, range);
  if (status.ok()) return;
  if (range.inside()) fail({status.error().code, status.error().message + "; ask another miner"});
  std::fprintf(stderr, "brainlock: warning: %s\n", status.error().message.c_str());
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
  double upload_s = 0;
  {
    Progress progress("uploading keys", flags.json);
    upload_s = unless_interrupted(client::deliver_keys(miner, *task, [&](std::uint64_t done, std::uint64_t total) { progress.update(done >> 10, total >> 10); }, stop)).seconds;
  }
  const auto question = must(task->encrypt(input.values));
  const auto answer = client::ask(miner, *task, question, flags.timeout_s, stop);
  unless_interrupted(client::status_of(answer));
  const auto logits = must(task->decrypt(answer.body));
  const Comparison result = keyholder::compare(logits, range.clear);
  require_answer(result, range);
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
