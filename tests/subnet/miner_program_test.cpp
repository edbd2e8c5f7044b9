// `brainlock miner` as a process whose surroundings misbehave.
#include <poll.h>
#include <sys/stat.h>

#include "brainlock/chain/wallet.hpp"
#include "brainlock/net/client.hpp"
#include "brainlock/net/proxy_header.hpp"
#include "command.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

struct MinerProgram : testing::Test {
  const TemporaryFolder folder;
  std::unique_ptr<ledger::EmbeddedLedger> ledger;
  [[nodiscard]] std::string place(const std::string& name) const { return (folder.path / name).string(); }
  /// A package, a ledger and a wallet.
  void SetUp() override {
    Command compile({"compile", std::string(BRAINLOCK_SOURCE_DIR) + "/models/test/mlp.onnx", "-o", place("package"), "--profile", "fast"}, place("compile"));
    ASSERT_EQ(compile.wait(), 0) << compile.err();
    ledger = make_ledger(folder.path, {"miner"}, {"validator"});
    const auto key = chain::WalletKey::from_uri("//miner");
    ASSERT_TRUE(key.ok());
    ASSERT_TRUE(chain::WalletStore(place("wallets")).write_hotkey("test", "miner", *key, std::nullopt, false).ok());
  }
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out{"miner", "--ledger", place("ledger.sqlite"), "--wallet.path", place("wallets"), "--wallet.name", "test", "--wallet.hotkey", "miner", "--package", place("package"),
                                 "--state", place("state"), "--listen", "127.0.0.1", "--port", "0", "--threads", "1", "--drain", "5"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  /// From what it says of itself; 0: nothing yet.
  static std::uint16_t port_in(const std::string& said) {
    const std::size_t at = said.find(" listening ");
    if (at == std::string::npos || said.find('\n', at) == std::string::npos) return 0;
    return static_cast<std::uint16_t>(std::stoul(said.substr(said.find(" port=", at) + 6)));
  }
};

// `brainlock miner 2>&1 | tee log`, and tee ends.
TEST_F(MinerProgram, OutlivesWhoReadsItsLog) {
  ASSERT_EQ(::mkfifo(place("miner.err").c_str(), 0600), 0);
  const int log = ::open(place("miner.err").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(log, 0);
  Command miner(command(), place("miner"));
  std::string said;
  for (int i = 0; i < 600 && port_in(said) == 0; ++i) {
    pollfd readable{log, POLLIN, 0};
    ::poll(&readable, 1, 100);
    char buffer[4096];
    const ssize_t got = ::read(log, buffer, sizeof buffer);
    if (got > 0) said.append(buffer, static_cast<std::size_t>(got));
  }
  const std::uint16_t port = port_in(said);
  ASSERT_NE(port, 0) << said;
  ::close(log);
  net::Client stranger("127.0.0.1", port);
  for (int i = 0; i < 3; ++i) {
    const auto refused = stranger.send({"GET", "/nothing", {}, {}}, {});   // which is logged
    ASSERT_TRUE(refused.ok()) << refused.error().to_string();
    EXPECT_EQ(refused->status, 404);
  }
  EXPECT_EQ(miner.stop(), 0) << "it ends when it is told to, and in good order";
}

TEST_F(MinerProgram, LetsThePagesAskThatItWasToldOf) {
  Command miner(command({"--browser-origin", "https://app.example.org", "--browser-origin", "http://localhost:8000"}), place("miner"));
  for (int i = 0; i < 600 && port_in(miner.err()) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_NE(port_in(miner.err()), 0) << miner.err();
  net::Client browser("127.0.0.1", port_in(miner.err()));
  const auto told_of = [&](const std::string& method, const std::string& page, int status) {
    const auto answer = browser.send({method, "/v1/status", {{"Origin", page}, {"Access-Control-Request-Method", "GET"}}, {}}, {});
    EXPECT_TRUE(answer.ok()) << answer.error().to_string();
    if (!answer.ok()) return std::string();
    EXPECT_EQ(answer->status, status) << page;
    return std::string(protocol::header_value(answer->headers, "Access-Control-Allow-Origin"));
  };
  for (const std::string page : {"https://app.example.org", "http://localhost:8000"}) {
    EXPECT_EQ(told_of("OPTIONS", page, 204), page);
    EXPECT_EQ(told_of("GET", page, 200), page);
  }
  EXPECT_EQ(told_of("OPTIONS", "http://localhost:8001", 405), "");
  EXPECT_EQ(told_of("GET", "http://localhost:8001", 200), "");
  EXPECT_EQ(miner.stop(), 0) << miner.err();
}

TEST_F(MinerProgram, TakesAHeaderFromTheProxiesThatItWasToldOfAndSaysWhereThereIsNone) {
  // The other number comes from a port that is free at the moment.
  std::uint16_t metrics_port = 0;
  {
    const auto server = net::Server::start({.address = "127.0.0.1"}, miner::make_metrics_application([] { return std::string(); }));
    metrics_port = (*server)->port();
  }
  Command miner(command({"--proxy-from", "192.0.2.0/24", "--proxy-from", "127.0.0.1", "--metrics-port", std::to_string(metrics_port)}), place("miner"));
  for (int i = 0; i < 600 && port_in(miner.err()) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_NE(port_in(miner.err()), 0) << miner.err();
  const auto bad_headers = [&] {
    net::Client client("127.0.0.1", metrics_port);
    const auto answer = client.send({"GET", "/metrics", {}, {}}, {});
    const std::string text = answer.ok() ? std::string(answer->body.begin(), answer->body.end()) : "", name = "\nbrainlock_http_bad_proxy_headers_total ";
    const std::size_t at = text.find(name);
    return at == std::string::npos ? -1 : std::stoi(text.substr(at + name.size()));
  };
  net::Client proxy("127.0.0.1", port_in(miner.err())), silent("127.0.0.1", port_in(miner.err()));
  proxy.begin_with(net::own_proxy_header());
  const auto answer = proxy.send({"GET", "/v1/status", {}, {}}, {});
  ASSERT_TRUE(answer.ok()) << answer.error().to_string();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(bad_headers(), 0);
  EXPECT_FALSE(silent.send({"GET", "/v1/status", {}, {}}, {}).ok()) << "no header came";
  EXPECT_EQ(bad_headers(), 1);
  EXPECT_NE(miner.err().find(" warning miner proxy_header reason=no_header proxy=127.0.0.1\n"), std::string::npos) << miner.err();
  EXPECT_EQ(miner.stop(), 0) << miner.err();
}

}  // namespace
}  // namespace brainlock::test
