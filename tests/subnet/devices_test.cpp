// A miner with several devices behind its queue, as programs: two emulated ones, which run the kernels of a GPU on the
// processor.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "brainlock/chain/wallet.hpp"
#include "command.hpp"
#include "node_process.hpp"

namespace brainlock::test {
namespace {

using nlohmann::json;

TEST(SeveralDevices, ShareTheQueueAndAnswerAsTheClearModel) {
  const TemporaryFolder folder;
  const auto place = [&](const std::string& name) { return (folder.path / name).string(); };
  int runs = 0;
  const auto run = [&](const std::vector<std::string>& arguments) {
    Command command(arguments, place("run" + std::to_string(runs++)));
    EXPECT_EQ(command.wait(), 0) << command.err();
    return command.out();
  };
  run({"compile", std::string(BRAINLOCK_SOURCE_DIR) + "/models/test/mlp.onnx", "-o", place("package"), "--profile",
       "fast"});
  const auto ledger = make_ledger(folder.path, {"miner"}, {"validator"});
  const auto key = chain::WalletKey::from_uri("//miner");
  ASSERT_TRUE(key.ok());
  ASSERT_TRUE(chain::WalletStore(place("wallets")).write_hotkey("test", "miner", *key, std::nullopt, false).ok());
  Command miner({"miner",
                 "--ledger",
                 place("ledger.sqlite"),
                 "--wallet.path",
                 place("wallets"),
                 "--wallet.name",
                 "test",
                 "--wallet.hotkey",
                 "miner",
                 "--package",
                 place("package"),
                 "--state",
                 place("miner"),
                 "--listen",
                 "127.0.0.1",
                 "--port",
                 "0",
                 "--external-ip",
                 "127.0.0.1",
                 "--open",
                 "--device",
                 "emulated,emulated",
                 "--in-flight",
                 "2",
                 "--threads",
                 "1",
                 "--drain",
                 "5",
                 "--log-json",
                 "--log-file",
                 place("miner.log")},
                place("miner-process"));
  std::uint16_t port = 0;
  for (int i = 0; i < 600 && port == 0; ++i) {
    const auto metagraph = ledger->metagraph(false);
    for (const auto& neuron : metagraph->neurons) port = neuron.axon ? neuron.axon->port : port;
    if (port == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_NE(port, 0) << miner.err();

  const auto query = [&](int input) {
    return std::vector<std::string>{"query",
                                    "--miner",
                                    "127.0.0.1:" + std::to_string(port),
                                    "--miner-hotkey",
                                    crypto::ss58_encode(person("miner").account()),
                                    "--package",
                                    place("package"),
                                    "--home",
                                    place("home"),
                                    "--synthetic",
                                    std::to_string(input),
                                    "--json"};
  };
  run(query(0));  // brings the key
  std::vector<std::unique_ptr<Command>> askers;
  for (int i = 1; i <= 6; ++i)
    askers.push_back(std::make_unique<Command>(query(i), place("asker" + std::to_string(i))));
  for (int i = 1; i <= 6; ++i) {
    auto& asker = *askers[static_cast<std::size_t>(i - 1)];
    ASSERT_EQ(asker.wait(), 0) << asker.err();
    const json answer = json::parse(asker.out());
    const json clear = json::parse(run({"infer", place("package"), "--synthetic", std::to_string(i), "--json"}));
    for (std::size_t k = 0; k < clear["clear_logits"].size(); ++k) {
      EXPECT_LE(std::fabs(answer["logits"][k].get<double>() - clear["clear_logits"][k].get<double>()),
                clear["error_bound"].get<double>())
          << "input " << i << ", logit " << k;
    }
  }
  EXPECT_EQ(miner.stop(), 0) << miner.err();

  std::istringstream lines(text_of(place("miner.log")));
  int devices = 0, answered = 0;
  for (std::string line; std::getline(lines, line);) {
    const json event = json::parse(line);
    if (event["event"] == "device") {
      ++devices;
      EXPECT_EQ(event["name"], "emulated");
      EXPECT_EQ(event["key_sets"], "64") << "as many as its memory takes, 64 at most";
    }
    answered += event["event"] == "answered" ? 1 : 0;
    EXPECT_NE(event["event"], "device_lost") << line;
  }
  EXPECT_EQ(devices, 2);
  EXPECT_EQ(answered, 7);
}

}  // namespace
}  // namespace brainlock::test
