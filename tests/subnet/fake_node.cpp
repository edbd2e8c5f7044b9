// A miner or a validator with an engine that computes in the clear, as a process of its own: to be killed, flooded, watched.
//
//   fake_node miner     FOLDER LEDGER NAME PORT DELAY_MS
//   fake_node validator FOLDER LEDGER NAME PAUSE_MS
//
// Speaks in lines on standard output: "port N" when it serves, then "EVENT FIRST-FIELD SECOND-FIELD" for each event. Ends at SIGTERM.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "brainlock/ledger/embedded_ledger.hpp"
#include "brainlock/validator/board.hpp"
#include "fake_subnet.hpp"

namespace brainlock::test {
namespace {

/// One system call a line: a killed process has said all of it or nothing.
void say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::_Exit(4);
}

void say_event(net::EventLevel, std::string_view event, const net::EventFields& fields) {
  std::string line(event);
  for (std::size_t i = 0; i < 3 && i < fields.size(); ++i) line.append(" ").append(fields[i].second);
  say(line);
}

void wait_for_end(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
}

void run_miner(const fs::path& folder, std::shared_ptr<ledger::Ledger> ledger, const std::string& name, std::uint16_t port, int delay_ms, const sigset_t& signals) {
  auto engine = std::make_unique<FakeEngine>();
  if (delay_ms > 0) engine->before = [delay_ms](const miner::JobControl&) { std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms)); };
  MinerExtras extras;
  extras.server = {.address = "127.0.0.1", .port = port};  // limits as in production
  extras.server.max_connections = 1024;
  extras.access.refresh_ms = 500;
  extras.log = say_event;
  extras.fence = folder / (name + ".fence");
  auto options = fast_options();
  options.requests_per_s_per_address = miner::ServiceOptions{}.requests_per_s_per_address;
  const FakeMiner miner = start_miner(name, ledger, std::move(engine), folder, options, extras);
  ledger::Axon axon;
  axon.ip = "127.0.0.1";
  axon.port = miner.server->port();
  if (!ledger->serve_axon(*miner.self.ledger_signer, axon).ok()) std::_Exit(3);
  say("port " + std::to_string(axon.port));
  wait_for_end(signals);
  miner.service->drain(2000);
  miner.server->stop(500);
}

void run_validator(const fs::path& folder, std::shared_ptr<ledger::Ledger> ledger, const std::string& name, int pause_ms, const sigset_t& signals) {
  validator::ValidatorOptions options;
  options.parallel = 2;
  options.round_pause_ms = pause_ms;
  const auto validator = make_validator(person(name), std::move(ledger), folder, options, say_event);
  const auto page = net::Server::start({.address = "127.0.0.1", .threads = 1}, validator::make_board(*validator)).value();
  say("port " + std::to_string(page->port()));
  {
    const std::jthread worker([&](const std::stop_token& stop) { validator->run(stop); });
    wait_for_end(signals);
  }
  page->stop(500);
}

}  // namespace
}  // namespace brainlock::test

int main(int argc, char** argv) {
  using namespace brainlock;
  if (argc < 6) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const std::string role = argv[1];
  auto opened = ledger::EmbeddedLedger::open(argv[3]);
  if (!opened.ok()) return 3;
  std::shared_ptr<ledger::Ledger> ledger = std::move(*opened);
  if (role == "validator") test::run_validator(argv[2], ledger, argv[4], std::atoi(argv[5]), signals);
  else if (role == "miner" && argc == 7) test::run_miner(argv[2], ledger, argv[4], static_cast<std::uint16_t>(std::atoi(argv[5])), std::atoi(argv[6]), signals);
  else return 2;
  return 0;
}
