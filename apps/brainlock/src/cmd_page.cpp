// `brainlock page`: private inference in one's own browser.
#include <unistd.h>

#include <cstdio>

#include "brainlock/client_page/page.hpp"
#include "brainlock/sampler/calibration.hpp"
#include "commands.hpp"
#include "inference.hpp"
#include "inputs.hpp"
#include "miner_choice.hpp"
#include "node.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

struct PageFlags {
  MinerChoice miner;
  std::string package, home;
  std::uint16_t port = 6972;
  double timeout_s = 300;
  unsigned threads = 2;
};

/// Number of outputs that people are shown.
std::vector<std::string> class_names(const plan::Program& program) {
  const auto classes = static_cast<std::size_t>(program.output.channels) * program.output.height * program.output.width;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < classes; ++i) out.push_back(class_name(i, classes));
  return out;
}

void run_page(const PageFlags& flags) {
  hold_signals();  // before any thread exists
  const auto package = must(package::Package::load(flags.package));
  const std::filesystem::path home = client_home(flags.home);
  const Hotkey self = must(user_key(home / "user.seed"));
  const client::MinerAddress miner = must(flags.miner.find());
  const plan::Program& program = package->program();
  const auto checker = std::make_shared<const package::RangeChecker>(package, must(foretelling(package, default_threads())));

  client_page::PageOptions options;
  options.model = program.model_name;
  options.package = package->hash_hex();
  options.profile = program.profile;
  options.channels = program.input.channels;
  options.height = program.input.height;
  options.width = program.input.width;
  options.classes = class_names(program);
  options.miner = "miner " + crypto::ss58_encode(miner.hotkey);
  options.error_bound = program.error_bound;
  options.port = flags.port;
  options.synthetic = [channels = static_cast<int>(options.channels), height = static_cast<int>(options.height), width = static_cast<int>(options.width)](std::uint64_t seed) {
    return sampler::synthetic_values(seed, channels, height, width);
  };
  client_page::RemoteOptions remote;
  remote.package = package;
  remote.keys = client_keys(home, *package);
  remote.threads = flags.threads;
  remote.self = self.signer;
  remote.miner = miner;
  remote.timeout_s = flags.timeout_s;
  remote.judge = [checker](std::span<const float> input) { return checker->check(input); };
  const auto page = must(client_page::Page::start(std::move(options), client_page::make_remote_inference(std::move(remote))));
  std::printf("open %s\nin a browser on this machine; Ctrl-C ends it\n", page->url().c_str());
  std::fflush(stdout);

  // What goes on, where somebody may look; once a change, without percentages, elsewhere.
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  std::string said;
  while (!wait_for_signal(250)) {
    const std::string now = page->summary();
    if (now == said) continue;
    if (terminal) {
      std::fprintf(stderr, "\r\033[K%s", now.c_str());
    } else if (now.find('%') == std::string::npos) {
      std::fprintf(stderr, "%s\n", now.c_str());
    }
    said = now;
  }
  if (terminal) std::fprintf(stderr, "\r\033[K");
}

}  // namespace

void add_page_commands(CLI::App& app) {
  auto flags = std::make_shared<PageFlags>();
  CLI::App* command = app.add_subcommand("page", "A page for your browser: pictures are encrypted here, a miner computes, answers are decrypted here");
  flags->miner.add_to(*command);
  command->add_option("--package", flags->package, "Package folder: the model, as the miner serves it")->required();
  command->add_option("--home", flags->home, "Folder for your keys (0600); ~/.brainlock otherwise");
  command->add_option("--port", flags->port, "Port of the page, on this machine alone; 0: any free one")->capture_default_str();
  add_asking_options(*command, flags->timeout_s, flags->threads);
  command->callback([flags] { run_page(*flags); });
}

}  // namespace brainlock::app
