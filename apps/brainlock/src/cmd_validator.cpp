// `brainlock validator`: measures miners, scores them, votes.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "brainlock/sampler/calibration.hpp"
#include "brainlock/validator/board.hpp"
#include "brainlock/validator/validator.hpp"
#include "chain_duties.hpp"
#include "commands.hpp"
#include "ui.hpp"
#include "validator_options.hpp"
#include "version.hpp"

namespace brainlock::app {
namespace {

/// Inputs of a task's shape: CIFAR-10 style pictures where the shape is one, plain values for vectors.
std::function<Result<sampler::Sample>(const validator::Task&, std::uint64_t)> make_draw(const ValidatorFlags& flags) {
  std::shared_ptr<const sampler::ImageSource> source;
  if (!flags.dataset.empty()) source = must(sampler::open_image_source(flags.dataset));
  const double share = source ? flags.synthetic_share : 1.0;
  return [source, share](const validator::Task& task, std::uint64_t seed) -> Result<sampler::Sample> {
    const auto shape = task.client->input_shape();
    const int channels = static_cast<int>(shape.channels), height = static_cast<int>(shape.height), width = static_cast<int>(shape.width);
    sampler::SamplerOptions options;
    options.channels = channels;
    options.height = height;
    options.width = width;
    options.synthetic_share = share;
    // A task whose inputs are no pictures gets plain values.
    if (auto pictures = sampler::Sampler::make(options, source); pictures.ok()) return pictures->draw(seed);
    sampler::Sample sample;
    BRAINLOCK_ASSIGN(sample.image, sampler::make_image(channels, height, width));
    sample.image.pixels = sampler::synthetic_values(seed, channels, height, width);
    sample.kind = "synthetic";
    sample.seed = seed;
    return sample;
  };
}

void print_leaderboard(validator::Validator& validator, bool json) {
  const auto miners = must(validator.standings());
  if (json) {
    std::printf("%s\n", must(validator::board_json(validator)).c_str());
    return;
  }
  std::printf("%4s  %4s  %-12s  %12s  %11s  %9s  %7s  %s\n", "rank", "uid", "hotkey", "score", "median", "failures", "weight", "");
  std::size_t rank = 0;
  for (const auto& miner : miners) {
    std::printf("%4zu  %4u  %-12s  %12.6g  %9.3f s  %4zu/%-4zu  %7u  %s\n", ++rank, miner.uid, crypto::ss58_encode(miner.hotkey).substr(0, 12).c_str(),
                miner.standing.score, miner.standing.median_response_s, miner.standing.failures, miner.standing.requests,
                miner.weight_on_ledger, miner.zero_because.c_str());
  }
}

void run_validator(const ValidatorFlags& flags) {
  hold_signals();
  const Hotkey hotkey = must(load_hotkey(flags.wallet));
  std::vector<protocol::ContentId> approved;
  for (const auto& text : flags.approved) approved.push_back(must(protocol::parse_content_id(text)));

  validator::ValidatorParts parts;
  parts.log = must(flags.log.open("validator"));
  parts.self = hotkey.signer;
  parts.ledger_signer = hotkey.ledger_signer;
  parts.ledger = must(flags.ledger.open());
  must(check_registered(parts.ledger, hotkey));
  const std::filesystem::path state = flags.state;
  std::error_code error;
  std::filesystem::create_directories(state, error);
  parts.store = must(store::open_store(must(store::store_address_from_environment([](const char* name) -> const char* { return std::getenv(name); },
                                                                                 state / "validator.sqlite"))));
  for (const auto& directory : flags.packages) {
    Progress progress("making keys", flags.log.quiet);
    const auto package = must(package::Package::load(directory));
    parts.tasks.push_back(must(validator::open_task(directory, approved, state / "keys" / package->hash_hex().substr(0, 16), flags.threads,
                                                    [&](std::size_t done, std::size_t total) { progress.update(done, total); })));
  }
  parts.draw = make_draw(flags);

  validator::ValidatorOptions options;
  options.parallel = flags.parallel;
  options.threads = flags.threads;
  options.slot_blocks = flags.slot_blocks;
  options.vote_interval_blocks = flags.vote_interval;
  options.version_key = flags.version_key;
  options.request_timeout_ms = static_cast<std::int64_t>(flags.timeout_s * 1000);
  options.upload_timeout_ms = static_cast<std::int64_t>(flags.upload_timeout_s * 1000);
  options.round_pause_ms = static_cast<std::int64_t>(flags.pause_s * 1000);
  options.keep_ms = std::int64_t{flags.keep_days} * 24 * 3600 * 1000;
  options.key_life_ms = static_cast<std::int64_t>(flags.key_days * 24 * 3600 * 1000);
  options.tls = !flags.plain;
  options.allow_private_addresses = flags.private_addresses;
  const net::EventLog log = parts.log;
  const auto vote_keeper = must(VoteKeeper::start(parts.ledger, hotkey, log));
  const auto validator = must(validator::Validator::make(std::move(parts), options));

  std::unique_ptr<net::Server> page;
  if (flags.page_port >= 0) {
    page = must(net::Server::start({.address = flags.listen, .port = static_cast<std::uint16_t>(flags.page_port), .threads = 1},
                                   validator::make_board(*validator, program_version())));
    net::log_event(log, "page", {{"address", "http://" + flags.listen + ":" + std::to_string(page->port()) + "/"}});
  }
  std::atomic<bool> done{false};
  {
    std::jthread worker([&](const std::stop_token& stop) {
      validator->run(stop, flags.rounds);
      done = true;
    });
    while (!done && !wait_for_signal(200)) {
    }
    worker.request_stop();
  }
  if (page) page->stop(1'000);
  page.reset();
  if (flags.rounds > 0 || flags.json) print_leaderboard(*validator, flags.json);
}

}  // namespace

void add_validator_commands(CLI::App& app) {
  auto flags = std::make_shared<ValidatorFlags>();
  CLI::App* command = app.add_subcommand("validator", "Measure miners, score them, set weights");
  flags->add_to(*command);
  command->callback([flags] { run_validator(*flags); });
}

}  // namespace brainlock::app
