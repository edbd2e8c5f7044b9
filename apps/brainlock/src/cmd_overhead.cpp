// `brainlock overhead`: what a request takes beyond the engine's own work, on loopback.
#include "commands.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>

#include "brainlock/client/miner_connection.hpp"
#include "brainlock/client/task_client.hpp"
#include "brainlock/miner/fhe_engine.hpp"
#include "brainlock/miner/service.hpp"
#include "brainlock/sampler/calibration.hpp"
#include "median.hpp"
#include "node.hpp"
#include "ui.hpp"
#include "version.hpp"

namespace brainlock::app {
namespace {

namespace fs = std::filesystem;

struct OverheadFlags {
  std::string package;
  int requests = 5;
  unsigned threads = 0;
  bool plain = false, json = false;
};

/// Notes how long each answer took to compute: parsing of the question and serialising of the answer included.
class TimedEngine final : public miner::Engine {
 public:
  explicit TimedEngine(std::unique_ptr<miner::Engine> inner) : inner_(std::move(inner)) {}
  std::vector<protocol::TaskOffer> offers() const override { return inner_->offers(); }
  Result<std::shared_ptr<const Keys>> load_keys(const protocol::ContentId& package, const fs::path& file) override { return inner_->load_keys(package, file); }
  Result<miner::Bytes> infer(const protocol::ContentId& package, const Keys& keys, std::span<const std::uint8_t> question,
                             const miner::JobControl& control) override {
    const Stopwatch watch;
    auto answer = inner_->infer(package, keys, question, control);
    const std::lock_guard lock(mutex_);
    last_s_ = watch.seconds();
    return answer;
  }
  [[nodiscard]] double last_s() const {
    const std::lock_guard lock(mutex_);
    return last_s_;
  }

 private:
  const std::unique_ptr<miner::Engine> inner_;
  mutable std::mutex mutex_;
  double last_s_ = 0;
};

class Everybody final : public miner::Access {
 public:
  miner::Admission admit(const ledger::AccountId&) const override { return {.refusal = protocol::Refusal::kNone, .validator = true, .slot = {}}; }
};

/// Removed at the end, keys and all.
struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "brainlock-overhead-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) fail({ErrorCode::kIo, "cannot make a folder in " + fs::temp_directory_path().string()});
    path = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

void run_overhead(const OverheadFlags& flags) {
  const auto package = must(package::Package::load(flags.package));
  const TemporaryFolder folder;
  const auto new_hotkey = [] { return make_hotkey(must(crypto::Sr25519KeyPair::from_mini_secret(crypto::generate_mini_secret().view()))); };
  const Hotkey miner_key = new_hotkey(), asker = new_hotkey();

  auto timed = std::make_unique<TimedEngine>(must(miner::make_fhe_engine({package}, flags.threads)));
  const TimedEngine& engine = *timed;
  miner::ServiceParts parts;
  parts.self = miner_key.signer;
  parts.engine = std::move(timed);
  parts.keys = must(miner::KeyRegistry::open(folder.path / "registry", {}, 0));
  parts.access = std::make_unique<Everybody>();
  parts.wall_clock_ms = client::system_wall_clock();
  parts.fence = miner::ReplayFence::open(folder.path / "replay.fence", parts.wall_clock_ms());  // on disk, as a miner's
  miner::ServiceOptions options;
  options.version = program_version();
  const auto service = miner::Service::make(std::move(parts), options);
  net::ServerOptions server_options{.address = "127.0.0.1"};
  if (!flags.plain) server_options.tls = must(miner::make_server_tls(miner_key.signer));
  const auto server = must(net::Server::start(server_options, service));

  std::unique_ptr<client::TaskClient> task;
  {
    Progress progress("making keys", flags.json);
    task = must(client::open_task_client(package, folder.path / "keys", flags.threads == 0 ? 2 : flags.threads,
                                         [&](std::size_t done, std::size_t total) { progress.update(done, total); }));
  }
  client::MinerConnection miner(asker.signer, {miner_key.signer.account, "127.0.0.1", server->port(), !flags.plain});
  const auto check = [](const client::Call& call) {
    if (!call.ok()) fail({ErrorCode::kUnavailable, std::string(protocol::reason_sentence(call.reason)) + " " + call.detail});
  };
  check(miner.upload_key(task->package(), task->key_id(), task->key_file(), options.key_part_bytes, {5'000, 600'000, protocol::kMaxJsonBytes}));
  const auto& shape = package->program().input;
  const auto question = must(task->encrypt(sampler::synthetic_values(1, static_cast<int>(shape.channels), static_cast<int>(shape.height), static_cast<int>(shape.width))));

  std::vector<double> seen_s, engine_s, overhead_s;
  std::uint64_t answer_bytes = 0;
  // The first one finds cold caches; it is not counted.
  for (int i = 0; i <= flags.requests; ++i) {
    const auto call = miner.infer(task->package(), task->key_id(), question, {5'000, 600'000, task->max_answer_bytes()});
    check(call);
    answer_bytes = call.bytes_received;
    if (i == 0) continue;
    seen_s.push_back(call.response_s);
    engine_s.push_back(engine.last_s());
    overhead_s.push_back(call.response_s - engine.last_s());
  }
  const double typical_s = median(overhead_s), share = typical_s / median(engine_s);
  const double worst_s = *std::max_element(overhead_s.begin(), overhead_s.end());
  if (flags.json) {
    const nlohmann::json out = {{"requests", flags.requests},         {"tls", !flags.plain},          {"seen_s", median(seen_s)},
                                {"engine_s", median(engine_s)},       {"overhead_s", typical_s},      {"overhead_share", share},
                                {"largest_overhead_s", worst_s},      {"question_bytes", question.size()}, {"answer_bytes", answer_bytes}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%d requests over %s on loopback, %s sent and %s received each; medians:\n", flags.requests, flags.plain ? "plain HTTP" : "TLS",
              human_bytes(question.size()).c_str(), human_bytes(answer_bytes).c_str());
  std::printf("  seen by the asker  %9.2f ms\n  engine             %9.2f ms\n  overhead           %9.2f ms, %.2f %% of the engine's time; at most %.2f ms\n",
              median(seen_s) * 1e3, median(engine_s) * 1e3, typical_s * 1e3, share * 100, worst_s * 1e3);
}

}  // namespace

void add_overhead_command(CLI::App& app) {
  auto flags = std::make_shared<OverheadFlags>();
  CLI::App* command = app.add_subcommand("overhead", "Measure what a request to a miner takes beyond the engine's own time, on loopback");
  command->add_option("package", flags->package, "Package folder")->required();
  command->add_option("--requests", flags->requests, "Requests that are counted")->capture_default_str()->check(CLI::Range(1, 10'000));
  command->add_option("--threads", flags->threads, "Threads of the engine; 0: one for each processor, within the quota of a container or service")->capture_default_str();
  command->add_flag("--plain", flags->plain, "Over plain HTTP instead of TLS");
  command->add_flag("--json", flags->json, "Figures as JSON");
  command->callback([flags] { run_overhead(*flags); });
}

}  // namespace brainlock::app
