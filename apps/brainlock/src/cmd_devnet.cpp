// `brainlock devnet up`: a subnet on one machine, of the same programs that a real one is made of.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "brainlock/ledger/embedded_ledger.hpp"
#include "brainlock/package/package.hpp"
#include "commands.hpp"
#include "miner_options.hpp"
#include "node.hpp"
#include "ui.hpp"

namespace brainlock::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kDefaultModel = "models/test/mlp.onnx";

struct DevnetFlags {
  std::string package, model, profile = "fast", directory, browser_origin;
  bool once = false, as_json = false, keep = false;
  std::uint64_t rounds = 6;
  int page_port = 6971, metrics_port = 0;
  std::int64_t block_ms = 500, delay_ms = 250;
  double slow_factor = 3;
  unsigned threads = 0;
  std::string cheat = "replay";
  double pause_s = 2;
};

/// A process of this very program. Ends with its parent.
class Child {
 public:
  static Result<Child> start(std::string name, const std::vector<std::string>& arguments, const fs::path& log, bool capture) {
    Child child;
    child.name_ = std::move(name);
    int pipe_ends[2] = {-1, -1};
    if (capture && ::pipe2(pipe_ends, O_CLOEXEC) != 0) return Error{ErrorCode::kResource, "no pipe"};
    std::vector<std::string> words{"brainlock"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log_name = log.string();
    const pid_t parent = ::getpid();
    child.pid_ = ::fork();
    if (child.pid_ < 0) return Error{ErrorCode::kResource, "cannot start a process"};
    if (child.pid_ == 0) {
      // Between fork and exec: system calls only.
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(1);
      const int file = ::open(log_name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (file >= 0) ::dup2(file, STDERR_FILENO);
      if (capture) ::dup2(pipe_ends[1], STDOUT_FILENO);
      else if (file >= 0) ::dup2(file, STDOUT_FILENO);
      ::execv("/proc/self/exe", argv.data());
      ::_exit(127);
    }
    if (capture) {
      ::close(pipe_ends[1]);
      child.output_ = pipe_ends[0];
    }
    return child;
  }
  Child(Child&& other) noexcept : name_(std::move(other.name_)), pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    stop();
    wait();
    if (output_ >= 0) ::close(output_);
  }

  void stop() const {
    if (pid_ > 0) ::kill(pid_, SIGTERM);
  }
  /// Exit code, or -1 if a signal ended it.
  int wait() {
    if (pid_ <= 0) return -1;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] bool ended() {
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) pid_ = -1;
    return pid_ <= 0;
  }
  /// All of its standard output.
  [[nodiscard]] std::string read_output() const {
    std::string out;
    char buffer[4096];
    for (ssize_t got; (got = ::read(output_, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(got));
    return out;
  }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Child() = default;
  std::string name_;
  pid_t pid_ = -1;
  int output_ = -1;
};

/// Compiles the model by this program's own `compile`.
Result<fs::path> make_package(const DevnetFlags& flags, const fs::path& directory) {
  if (!flags.package.empty()) return fs::path(flags.package);
  const std::string model = flags.model.empty() ? kDefaultModel : flags.model;
  if (!fs::exists(model)) return {ErrorCode::kNotFound, "no model " + model + "; give --package FOLDER or --model FILE.onnx"};
  const fs::path package = directory / "package";
  if (fs::exists(package / "plan.bin")) return package;
  BRAINLOCK_ASSIGN(Child compiler, Child::start("compile", {"compile", model, "-o", package.string(), "--profile", flags.profile, "--overwrite"},
                                                directory / "compile.log", false));
  if (compiler.wait() != 0) return {ErrorCode::kInternal, "the model did not compile; see " + (directory / "compile.log").string()};
  return package;
}

struct Role {
  std::string name;
  std::vector<std::string> misbehave;
};

/// Neurons of a fresh subnet: one validator with all the stake, and the miners.
Result<std::map<std::string, std::string>> make_subnet(const DevnetFlags& flags, const fs::path& directory, const std::vector<Role>& roles) {
  ledger::Genesis genesis;
  genesis.block_interval_ms = flags.block_ms;
  genesis.parameters.tempo = 10;
  genesis.parameters.weights_rate_limit = 4;
  genesis.parameters.serving_rate_limit = 0;
  genesis.parameters.max_allowed_validators = 1;  // miners hold no stake and shall get no permit
  genesis.parameters.immunity_period = 0;
  BRAINLOCK_ASSIGN(const auto ledger, ledger::EmbeddedLedger::create(directory / "ledger.sqlite", genesis));
  const chain::WalletStore wallets(directory / "wallets");
  BRAINLOCK_ASSIGN(const auto cold_pair, crypto::Sr25519KeyPair::from_mini_secret(crypto::generate_mini_secret().view()));
  const Hotkey coldkey = make_hotkey(cold_pair);
  std::map<std::string, std::string> names;  // ss58 -> role
  std::vector<std::string> all{"validator"};
  for (const auto& role : roles) all.push_back(role.name);
  for (const auto& name : all) {
    BRAINLOCK_ASSIGN(const auto key, chain::WalletKey::from_seed(crypto::generate_mini_secret().view()));
    BRAINLOCK_TRY(wallets.write_hotkey("devnet", name, key, std::nullopt, false));
    BRAINLOCK_ASSIGN(const auto registered, ledger->register_neuron(*coldkey.ledger_signer, key.account()));
    if (!registered.accepted()) return {ErrorCode::kDenied, "registering " + name + ": " + registered.message};
    if (name == "validator") BRAINLOCK_TRY(ledger->set_stake(key.account(), 1'000 * ledger::kRaoPerTao));
    names[key.ss58()] = name;
  }
  return names;
}

/// Waits until an epoch has turned the last vote into incentive, or a while.
json read_incentives(const fs::path& ledger_file, json board, const std::map<std::string, std::string>& names) {
  const auto ledger = must(ledger::EmbeddedLedger::open(ledger_file));
  std::uint64_t vote_block = 0;
  for (const auto& vote : board["votes"]) {
    if (vote["accepted"].get<bool>()) vote_block = std::max(vote_block, vote["block"].get<std::uint64_t>());
  }
  auto metagraph = must(ledger->metagraph(true));
  for (int i = 0; i < 100 && vote_block > 0 && metagraph.last_epoch_block <= vote_block; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    metagraph = must(ledger->metagraph(true));
  }
  for (auto& miner : board["miners"]) {
    const auto& neuron = metagraph.neurons.at(miner["uid"].get<std::size_t>());
    miner["incentive"] = neuron.incentive;
    const auto name = names.find(miner["hotkey"].get<std::string>());
    miner["name"] = name == names.end() ? "" : name->second;
  }
  return board;
}

/// honest > slow > cheat = 0, in scores, in weights on the ledger and in incentive.
bool order_holds(const json& board) {
  for (const char* field : {"score", "weight_on_ledger", "incentive"}) {
    std::map<std::string, double> value;
    for (const auto& miner : board["miners"]) value[miner["name"].get<std::string>()] = miner[field].get<double>();
    if (value.size() != 3 || !(value["honest"] > value["slow"] && value["slow"] > value["cheat"] && value["cheat"] == 0)) return false;
  }
  return true;
}

/// The miner with this name.
ledger::Neuron find_miner(const std::string& ledger_file, const std::map<std::string, std::string>& names, const std::string& name) {
  const auto metagraph = must(must(ledger::EmbeddedLedger::open(ledger_file))->metagraph(false));
  for (const auto& neuron : metagraph.neurons) {
    const auto found = names.find(crypto::ss58_encode(neuron.hotkey));
    if (found != names.end() && found->second == name) return neuron;
  }
  fail({ErrorCode::kInternal, "no " + name + " miner on the ledger"});
}

/// A text as a value in an address.
std::string percent_encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("-_.~").find(c) != std::string_view::npos;
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned char>(c));
    out += plain ? std::string(1, c) : code;
  }
  return out;
}

/// web/private.html on the site of `origin`, with the package's folder beside it, about this miner.
std::string browser_address(const std::string& origin, const fs::path& package, const std::string& hash, const ledger::Neuron& miner) {
  const fs::path folder = fs::absolute(package).lexically_normal();
  const std::string name = folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();
  return origin + "/private.html?package=" + percent_encoded(name) + "&hash=" + hash + "&miner=http://127.0.0.1:" + std::to_string(miner.axon->port) +
         "&hotkey=" + crypto::ss58_encode(miner.hotkey);
}

void print_table(const json& board) {
  std::printf("%-4s  %-7s  %12s  %10s  %9s  %7s  %9s  %s\n", "rank", "miner", "score", "median", "failures", "weight", "incentive", "");
  for (const auto& miner : board["miners"]) {
    const std::string failures = std::to_string(miner["failures"].get<int>()) + "/" + std::to_string(miner["requests"].get<int>());
    std::printf("%-4d  %-7s  %12.6g  %10s  %9s  %7d  %7.1f %%  %s\n", miner["rank"].get<int>(), miner["name"].get<std::string>().c_str(),
                miner["score"].get<double>(), human_seconds(miner["median_response_s"].get<double>()).c_str(), failures.c_str(),
                miner["weight_on_ledger"].get<int>(), miner["incentive"].get<double>() / 655.35, miner["zero_because"].get<std::string>().c_str());
  }
}

void run_devnet(const DevnetFlags& flags) {
  hold_signals();
  fs::path directory = flags.directory;
  const bool temporary = directory.empty();
  if (temporary) {
    std::string pattern = (fs::temp_directory_path() / "brainlock-devnet-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) fail({ErrorCode::kIo, "cannot make a folder in " + fs::temp_directory_path().string()});
    directory = pattern;
  }
  std::error_code error;
  // Logs are for those who ask why something failed; nothing failed here.
  const auto interrupted = [&] {
    if (temporary && !flags.keep) fs::remove_all(directory, error);
    fail({ErrorCode::kCancelled, "interrupted"});
  };
  fs::create_directories(directory, error);
  if (fs::exists(directory / "ledger.sqlite")) fail({ErrorCode::kInvalidArgument, "there is a devnet in " + directory.string() + " already; remove it or take another --dir"});

  if (!flags.as_json) std::printf("devnet in %s\n", directory.c_str());
  const Stopwatch watch;
  const auto made = make_package(flags, directory);
  if (wait_for_signal(0)) interrupted();  // Ctrl-C reaches the compiler too.
  const fs::path package_directory = must(made);
  const auto package = must(package::Package::load(package_directory));
  const std::vector<Role> roles{{"honest", {}},
                                {"slow", {"--misbehave", "slow", "--delay-ms", std::to_string(flags.delay_ms), "--slow-factor", std::to_string(flags.slow_factor)}},
                                {"cheat", {"--misbehave", flags.cheat}}};
  const auto names = must(make_subnet(flags, directory, roles));

  const std::string ledger_file = (directory / "ledger.sqlite").string(), wallets = (directory / "wallets").string();
  const auto common = [&](const std::string& name) {
    return std::vector<std::string>{"--ledger", ledger_file, "--wallet.path", wallets, "--wallet.name", "devnet", "--wallet.hotkey", name,
                                    "--package", package_directory.string(), "--state", (directory / name).string()};
  };
  std::vector<Child> miners;
  for (const auto& role : roles) {
    std::vector<std::string> arguments{"miner", "--listen", "127.0.0.1", "--port", "0", "--external-ip", "127.0.0.1", "--access-refresh-ms", "250",
                                       "--drain", "5", "--open", "--threads", std::to_string(flags.threads)};
    if (!flags.browser_origin.empty() && role.name == "honest") arguments.insert(arguments.end(), {"--browser-origin", flags.browser_origin});
    if (flags.metrics_port != 0 && role.name == "honest") arguments.insert(arguments.end(), {"--metrics-port", std::to_string(flags.metrics_port)});
    for (const auto& more : {common(role.name), role.misbehave}) arguments.insert(arguments.end(), more.begin(), more.end());
    miners.push_back(must(Child::start(role.name, arguments, directory / (role.name + ".log"), false)));
  }
  // The validator starts when all three are to be found.
  {
    const auto ledger = must(ledger::EmbeddedLedger::open(ledger_file));
    for (std::size_t serving = 0; serving < roles.size();) {
      for (auto& miner : miners) {
        if (miner.ended()) fail({ErrorCode::kInternal, "the " + miner.name() + " miner ended; see " + (directory / (miner.name() + ".log")).string()});
      }
      const auto metagraph = must(ledger->metagraph(false));
      serving = static_cast<std::size_t>(std::count_if(metagraph.neurons.begin(), metagraph.neurons.end(), [](const auto& n) { return n.axon.has_value(); }));
      if (wait_for_signal(100)) {
        miners.clear();
        interrupted();
      }
    }
  }
  std::vector<std::string> arguments{"validator", "--approve", package->hash_hex(), "--slot-blocks", "0", "--parallel", "1", "--allow-private-addresses",
                                     "--pause", std::to_string(flags.once ? 0.2 : flags.pause_s), "--page-port=" + std::to_string(flags.once ? -1 : flags.page_port), "--json"};
  if (flags.once) arguments.insert(arguments.end(), {"--rounds", std::to_string(flags.rounds)});
  const auto validator_arguments = common("validator");
  arguments.insert(arguments.end(), validator_arguments.begin(), validator_arguments.end());
  Child validator = must(Child::start("validator", arguments, directory / "validator.log", true));

  if (!flags.once) {
    std::printf("page:    http://127.0.0.1:%d/\nmetrics: http://127.0.0.1:%d/metrics\nlogs:    %s/*.log\n", flags.page_port, flags.page_port, directory.c_str());
    const ledger::Neuron honest = find_miner(ledger_file, names, "honest");
    std::printf("ask:     brainlock page --package %s --ledger %s --uid %zu\n", package_directory.c_str(), ledger_file.c_str(), std::size_t{honest.uid});
    if (!flags.browser_origin.empty()) std::printf("browser: %s\n", browser_address(flags.browser_origin, package_directory, package->hash_hex(), honest).c_str());
    std::printf("Ctrl-C ends it.\n");
    std::fflush(stdout);
  }
  std::string output;
  std::atomic<bool> ended{false};
  bool stopped = false;
  {
    const std::jthread reader([&] {
      output = validator.read_output();
      ended = true;
    });
    while (!ended && !stopped) stopped = wait_for_signal(200);
    validator.stop();
  }
  validator.wait();
  stopped = stopped || wait_for_signal(0);
  if (flags.once && stopped) {
    miners.clear();
    interrupted();
  }
  auto board = json::parse(output, nullptr, false);
  if (board.is_discarded()) fail({ErrorCode::kInternal, "the validator gave no leaderboard; see " + (directory / "validator.log").string()});
  board = read_incentives(ledger_file, std::move(board), names);
  const bool holds = order_holds(board);
  board["order_holds"] = holds;
  board["seconds"] = watch.seconds();
  for (auto& miner : miners) miner.stop();
  miners.clear();
  if (flags.as_json) std::printf("%s\n", board.dump(1).c_str());
  else print_table(board);
  if (flags.once && !holds) {
    std::fprintf(stderr, "the order honest > slow > cheat = 0 does not hold; logs in %s\n", directory.c_str());
    throw ExitWith{kExitFailed};
  }
  if (!flags.as_json && flags.once) std::printf("honest > slow > cheat = 0 holds after %s\n", human_seconds(watch.seconds()).c_str());
  if (temporary && !flags.keep) fs::remove_all(directory, error);
}

}  // namespace

void add_devnet_commands(CLI::App& app) {
  auto flags = std::make_shared<DevnetFlags>();
  CLI::App* devnet = app.add_subcommand("devnet", "A subnet on this machine, without a chain");
  devnet->require_subcommand(1);
  CLI::App* up = devnet->add_subcommand("up", "Start a ledger, a validator, an honest, a slow and a cheating miner");
  up->add_option("--package", flags->package, "Package folder to serve and ask about");
  up->add_option("--model", flags->model, std::string("ONNX file to compile instead; ") + kDefaultModel + " if nothing is given");
  up->add_option("--profile", flags->profile, "Profile to compile with")->capture_default_str();
  up->add_option("--dir", flags->directory, "Folder for everything; a temporary one is made and removed otherwise");
  up->add_flag("--keep", flags->keep, "Leave the temporary folder");
  up->add_flag("--once", flags->once, "End after --rounds rounds, print the leaderboard, fail if the order is not honest > slow > cheat = 0");
  up->add_option("--rounds", flags->rounds, "Rounds of --once")->capture_default_str()->check(CLI::PositiveNumber);
  up->add_flag("--json", flags->as_json, "Leaderboard as JSON");
  up->add_option("--page-port", flags->page_port, "Port of the page")->check(CLI::Range(1, 65'535))->capture_default_str();
  up->add_option("--metrics-port", flags->metrics_port, "Port of the honest miner's metrics; none otherwise")->check(CLI::Range(1, 65535));
  up->add_option("--browser-origin", flags->browser_origin, "Site whose page may ask the honest miner from a browser, as http://127.0.0.1:8000; prints the page's address")
      ->check([](const std::string& text) { return text == "*" ? "expected one site" : complaint_about_origin(text); });
  up->add_option("--block-ms", flags->block_ms, "Milliseconds between blocks")->capture_default_str()->check(CLI::Range(50, 60'000));
  up->add_option("--delay-ms", flags->delay_ms, "How late the slow miner is at least")->capture_default_str();
  up->add_option("--slow-factor", flags->slow_factor, "How many times the engine's time the slow miner takes")->capture_default_str()->check(CLI::Range(1.0, 30.0));
  up->add_option("--cheat", flags->cheat, "What the cheating miner does: replay, echo, zeros, noise, truncate, oversize, empty")->capture_default_str();
  up->add_option("--pause", flags->pause_s, "Seconds between rounds, without --once")->capture_default_str()->check(CLI::Range(0.0, 86'400.0));
  up->add_option("--threads", flags->threads, "Threads of each miner; 0: one for each processor, within the quota of a container or service")->capture_default_str();
  up->callback([flags] { run_devnet(*flags); });
}

}  // namespace brainlock::app
