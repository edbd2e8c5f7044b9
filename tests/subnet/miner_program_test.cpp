// `brainlock miner` as a process whose surroundings misbehave.
#include <poll.h>
#include <sys/stat.h>

#include "brainlock/chain/wallet.hpp"
#include "brainlock/net/client.hpp"
#include "command.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

// `brainlock miner 2>&1 | tee log`, and tee ends.
TEST(MinerProgram, OutlivesWhoReadsItsLog) {
  const TemporaryFolder folder;
  const auto place = [&](const std::string& name) { return (folder.path / name).string(); };
  Command compile({"compile", std::string(BRAINLOCK_SOURCE_DIR) + "/models/test/mlp.onnx", "-o", place("package"), "--profile", "fast"}, place("compile"));
  ASSERT_EQ(compile.wait(), 0) << compile.err();
  const auto ledger = make_ledger(folder.path, {"miner"}, {"validator"});
  const auto key = chain::WalletKey::from_uri("//miner");
  ASSERT_TRUE(key.ok());
  ASSERT_TRUE(chain::WalletStore(place("wallets")).write_hotkey("test", "miner", *key, std::nullopt, false).ok());
  ASSERT_EQ(::mkfifo(place("miner.err").c_str(), 0600), 0);
  const int log = ::open(place("miner.err").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(log, 0);
  Command miner({"miner", "--ledger", place("ledger.sqlite"), "--wallet.path", place("wallets"), "--wallet.name", "test", "--wallet.hotkey", "miner", "--package", place("package"),
                 "--state", place("state"), "--listen", "127.0.0.1", "--port", "0", "--threads", "1", "--drain", "5"},
                place("miner"));
  std::string said;
  std::size_t at = std::string::npos;
  for (int i = 0; i < 600 && (at == std::string::npos || said.find('\n', at) == std::string::npos); ++i) {
    pollfd readable{log, POLLIN, 0};
    ::poll(&readable, 1, 100);
    char buffer[4096];
    const ssize_t got = ::read(log, buffer, sizeof buffer);
    if (got > 0) said.append(buffer, static_cast<std::size_t>(got));
    at = said.find(" listening ");
  }
  ASSERT_NE(at, std::string::npos) << said;
  const auto port = static_cast<std::uint16_t>(std::stoul(said.substr(said.find(" port=", at) + 6)));
  ::close(log);
  net::Client stranger("127.0.0.1", port);
  for (int i = 0; i < 3; ++i) {
    const auto refused = stranger.send({"GET", "/nothing", {}, {}}, {});   // which is logged
    ASSERT_TRUE(refused.ok()) << refused.error().to_string();
    EXPECT_EQ(refused->status, 404);
  }
  EXPECT_EQ(miner.stop(), 0) << "it ends when it is told to, and in good order";
}

}  // namespace
}  // namespace brainlock::test
