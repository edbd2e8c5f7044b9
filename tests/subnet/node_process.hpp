// Processes of fake_node: started, listened to, measured, killed. And the ledger they share.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <thread>

#include "brainlock/ledger/embedded_ledger.hpp"
#include "fake_subnet.hpp"

namespace brainlock::test {

class NodeProcess {
 public:
  /// Starts fake_node with these arguments and waits for its "port" line.
  explicit NodeProcess(const std::vector<std::string>& arguments);
  /// Kills it if it still runs.
  ~NodeProcess();
  NodeProcess(const NodeProcess&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  void kill();
  /// SIGTERM; exit code.
  int stop();
  /// Every line said so far, and waits until the process has closed its output if it was ended.
  std::vector<std::string> lines();
  /// Waits for a line that begins so, said after the first `from` lines. False after the time.
  bool wait_for_line(const std::string& beginning, std::size_t from, std::chrono::milliseconds time, const std::string& end = {});

  [[nodiscard]] std::size_t memory_bytes() const;   ///< resident
  [[nodiscard]] std::size_t descriptors() const;

 private:
  void end(int signal);
  pid_t pid_ = -1;
  int output_ = -1, status_ = 0;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::jthread reader_;
};

/// A ledger file in the folder with these miners and these validators; returns when the latter have their permits.
std::unique_ptr<ledger::EmbeddedLedger> make_ledger(const fs::path& folder, const std::vector<std::string>& miners, const std::vector<std::string>& validators);

/// An environment variable as a number.
int number_from_environment(const char* name, int otherwise);

}  // namespace brainlock::test
