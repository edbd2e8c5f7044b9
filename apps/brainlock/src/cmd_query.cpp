// `brainlock query`: private inference on somebody's miner.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "brainlock/client/task_client.hpp"
#include "commands.hpp"
#include "inputs.hpp"
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

void run_query(const QueryFlags& flags) {
  const auto package = must(package::Package::load(flags.package));
  const fs::path home = client_home(flags.home);
  const Hotkey self = must(user_key(home / "user.seed"));
  const client::MinerAddress address = must(flags.miner.find());
  const Input input = must(load_input(flags.input, package->program().input));

  const package::ValueRange range = require_range(package, input.values, flags.range);

  std::unique_ptr<client::TaskClient> task;
  {
    Progress progress("making keys", flags.json);
    task = must(client::open_task_client(package, client_keys(home, *package), flags.threads,
                                         [&](std::size_t done, std::size_t total) { progress.update(done, total); }));
  }
  client::MinerConnection miner(self.signer, address);
  const auto status = must(miner.status());
  const auto offered = std::any_of(status.tasks.begin(), status.tasks.end(), [&](const auto& offer) { return offer.package == package->hash(); });
  if (!offered) fail({ErrorCode::kNotFound, "the miner does not serve package " + package->hash_hex()});
  const auto check = [](const client::Call& call) {
    if (!call.ok()) fail({ErrorCode::kUnavailable, std::string(protocol::reason_sentence(call.reason)) + " " + call.detail});
  };
  const Stopwatch upload_watch;
  {
    Progress progress("uploading keys", flags.json);
    check(miner.upload_key(task->package(), task->key_id(), task->key_file(), std::max<std::uint64_t>(1 << 16, std::min<std::uint64_t>(status.key_part_bytes, 64 << 20)),
                           {5'000, 600'000, protocol::kMaxJsonBytes}, [&](std::uint64_t done, std::uint64_t total) { progress.update(done >> 10, total >> 10); }));
  }
  const double upload_s = upload_watch.seconds();
  const auto question = must(task->encrypt(input.values));
  const auto answer = miner.infer(task->package(), task->key_id(), question, {5'000, static_cast<std::int64_t>(flags.timeout_s * 1000), task->max_answer_bytes()});
  check(answer);
  const auto logits = must(task->decrypt(answer.body));
  const auto best = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (flags.json) {
    const nlohmann::json out = {{"input", input.description},       {"class", best},           {"class_name", class_name(best, logits.size())},
                                {"logits", logits},                 {"response_s", answer.response_s}, {"key_upload_s", upload_s},
                                {"question_bytes", question.size()}, {"answer_bytes", answer.body.size()}, {"miner", crypto::ss58_encode(address.hotkey)},
                                {"range", range_json(range)}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%s -> %s\n", input.description.c_str(), class_name(best, logits.size()).c_str());
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
  command->add_option("--timeout", flags->timeout_s, "Seconds to wait for the answer")->capture_default_str();
  command->add_option("--threads", flags->threads, "Threads for making keys")->capture_default_str();
  command->add_flag("--json", flags->json, "Answer as JSON");
  command->callback([flags] { run_query(*flags); });
}

}  // namespace brainlock::app
