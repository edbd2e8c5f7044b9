#include "node_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace brainlock::test {

NodeProcess::NodeProcess(const std::vector<std::string>& arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  std::vector<std::string> words{BRAINLOCK_FAKE_NODE};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(ends[1], STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  output_ = ends[0];
  reader_ = std::jthread([this] {
    std::string rest;
    char buffer[4096];
    for (ssize_t got; (got = ::read(output_, buffer, sizeof buffer)) > 0;) {
      rest.append(buffer, static_cast<std::size_t>(got));
      const std::lock_guard lock(mutex_);
      for (std::size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
        lines_.push_back(rest.substr(0, end));
        if (port_ == 0 && lines_.back().starts_with("port ")) port_ = static_cast<std::uint16_t>(std::atoi(lines_.back().c_str() + 5));
      }
      changed_.notify_all();
    }
    changed_.notify_all();
  });
  wait_for_line("port ", 0, std::chrono::seconds(20));
}

NodeProcess::~NodeProcess() {
  kill();
  if (output_ >= 0) ::close(output_);
}

void NodeProcess::end(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (reader_.joinable()) reader_.join();
}

void NodeProcess::kill() { end(SIGKILL); }

int NodeProcess::stop() {
  end(SIGTERM);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}

std::vector<std::string> NodeProcess::lines() {
  const std::lock_guard lock(mutex_);
  return lines_;
}

bool NodeProcess::wait_for_line(const std::string& beginning, std::size_t from, std::chrono::milliseconds time, const std::string& end) {
  std::unique_lock lock(mutex_);
  std::size_t at = from;
  return changed_.wait_for(lock, time, [&] {
    for (; at < lines_.size(); ++at) {
      if (lines_[at].starts_with(beginning) && lines_[at].ends_with(end)) return true;
    }
    return false;
  });
}

std::size_t NodeProcess::memory_bytes() const {
  std::ifstream in("/proc/" + std::to_string(pid_) + "/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t NodeProcess::descriptors() const {
  std::error_code error;
  std::size_t count = 0;
  for (auto it = fs::directory_iterator("/proc/" + std::to_string(pid_) + "/fd", error); !error && it != fs::directory_iterator(); it.increment(error)) ++count;
  return count;
}

std::unique_ptr<ledger::EmbeddedLedger> make_ledger(const fs::path& folder, const std::vector<std::string>& miners, const std::vector<std::string>& validators) {
  ledger::Genesis genesis;
  genesis.block_interval_ms = 100;
  genesis.parameters.tempo = 5;
  genesis.parameters.weights_rate_limit = 4;
  genesis.parameters.serving_rate_limit = 0;
  genesis.parameters.max_allowed_validators = static_cast<std::uint16_t>(validators.size());
  genesis.parameters.immunity_period = 0;
  auto ledger = std::move(ledger::EmbeddedLedger::create(folder / "ledger.sqlite", genesis)).value();
  const Person cold = person("cold");
  const auto add = [&](const std::string& name) { EXPECT_TRUE(ledger->register_neuron(*cold.ledger_signer, person(name).account())->accepted()) << name; };
  for (const auto& name : validators) {
    add(name);
    EXPECT_TRUE(ledger->set_stake(person(name).account(), 1'000 * ledger::kRaoPerTao).ok());
  }
  for (const auto& name : miners) add(name);
  for (int i = 0; i < 200; ++i) {
    if (ledger->metagraph(false)->validators_by_rank().size() == validators.size()) return ledger;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ADD_FAILURE() << "no permits";
  return ledger;
}

int number_from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace brainlock::test
