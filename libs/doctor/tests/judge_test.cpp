#include "judge.hpp"

#include <gmock/gmock.h>

#include <set>

namespace brainlock::doctor {
namespace {

using testing::HasSubstr;
using testing::Not;

MachineFacts good_machine() {
  MachineFacts machine;
  machine.user = "brainlock";
  machine.user_id = 900;
  machine.kernels = {"scalar", "avx2", "avx512"};
  machine.processors = 8;
  machine.memory_bytes = 32'000'000'000;
  machine.available_bytes = 28'000'000'000;
  machine.open_files = 4096;
  machine.locked_bytes = 64 << 20;
  machine.clock_synchronised = true;
  return machine;
}

/// Whatever is wrong comes with its next step, and nothing else does.
void expect(const Finding& finding, Level level, const std::string& words) {
  EXPECT_EQ(level_name(finding.level), level_name(level)) << finding.found;
  EXPECT_THAT(finding.found, HasSubstr(words));
  EXPECT_EQ(finding.next.empty(), level == Level::kOk || level == Level::kSkipped) << finding.found << " -> " << finding.next;
}

TEST(JudgeMachine, Kernels) {
  MachineFacts machine = good_machine();
  expect(judge_kernels(machine), Level::kOk, "avx512 kernels will run");
  machine.forced_kernels = "avx2";
  expect(judge_kernels(machine), Level::kWarning, "avx2 kernels, forced");
  machine.forced_kernels = "amx";
  expect(judge_kernels(machine), Level::kFailure, "BRAINLOCK_ISA=amx");
  machine.forced_kernels.clear();
  machine.kernels = {"scalar"};
  expect(judge_kernels(machine), Level::kWarning, "no AVX2");
}

TEST(JudgeMachine, Processors) {
  MachineFacts machine = good_machine();
  expect(judge_processors(machine, 0), Level::kOk, "8 processors");
  expect(judge_processors(machine, 16), Level::kWarning, "--threads 16 on 8");
  machine.processor_quota = 2.5;
  expect(judge_processors(machine, 0), Level::kOk, "8 processors, 2 of them used (the quota of the control group)");
  const Finding finding = judge_processors(machine, 8);
  expect(finding, Level::kWarning, "8 threads would share 2.5 processors");
  EXPECT_THAT(finding.next, HasSubstr("--threads 0 takes 2"));
  expect(judge_processors(machine, 3), Level::kOk, "3 of them");
}

TEST(JudgeMachine, Limits) {
  MachineFacts machine = good_machine();
  expect(judge_limits(machine, Role::kMiner), Level::kOk, "4096");
  machine.open_files = 1000;
  expect(judge_limits(machine, Role::kMiner), Level::kWarning, "512 connections");
  expect(judge_limits(machine, Role::kValidator), Level::kOk, "1000");
  machine.open_files = 100;
  expect(judge_limits(machine, Role::kMiner), Level::kFailure, "100");
  expect(judge_limits(machine, Role::kMachine), Level::kOk, "100");
  machine.open_files = 4096;
  machine.locked_bytes = 65'536;
  expect(judge_limits(machine, Role::kMiner), Level::kWarning, "66 KB");
}

TEST(JudgeMachine, MemoryOfAMiner) {
  const miner::RamForecast need{1'000'000'000, 2'000'000'000, 1'000'000'000};
  MachineFacts machine = good_machine();
  expect(judge_miner_memory(machine, need, 0, 1, false), Level::kOk, "4 key sets");
  expect(judge_miner_memory(machine, need, 16, 1, false), Level::kOk, "7 key sets");
  const Finding finding = judge_miner_memory(machine, need, 3.5, 1, false);
  expect(finding, Level::kFailure, "--max-ram allows 3.5 GB");
  EXPECT_THAT(finding.next, HasSubstr("--max-ram 4"));
  expect(judge_miner_memory(machine, need, 64, 1, false), Level::kWarning, "--max-ram 64.0 GB");
  machine.available_bytes = 3'000'000'000;
  expect(judge_miner_memory(machine, need, 16, 1, false), Level::kWarning, "3.0 GB are available now");
  expect(judge_miner_memory(machine, need, 16, 1, true), Level::kOk, "key sets");
  machine.group_memory_bytes = 3'000'000'000;
  expect(judge_miner_memory(machine, need, 0, 1, true), Level::kFailure, "the limit of its control group is 3.0 GB");
  machine.address_space_bytes = 1'000'000'000;
  expect(judge_miner_memory(machine, need, 0, 1, true), Level::kFailure, "ulimit -v");
  machine = good_machine();
  machine.memory_bytes = 2'000'000'000;
  expect(judge_miner_memory(machine, need, 0, 1, false), Level::kFailure, "the machine's memory is 2.0 GB");
}

TEST(JudgeMachine, MemoryOfAValidator) {
  MachineFacts machine = good_machine();
  expect(judge_validator_memory(machine, 170'000'000), Level::kOk, "426 MB");
  machine.available_bytes = 100'000'000;
  expect(judge_validator_memory(machine, 170'000'000), Level::kWarning, "100 MB are available");
  machine.group_memory_bytes = 200'000'000;
  expect(judge_validator_memory(machine, 170'000'000), Level::kFailure, "control group");
}

TEST(JudgeMachine, Gpus) {
  MachineFacts machine = good_machine();
  expect(judge_gpus(machine, "cpu", {}), Level::kSkipped, "asks for none");
  machine.gpus = Result<std::vector<device_cuda::DeviceInfo>>(ErrorCode::kUnsupported, "cuda: built without CUDA");
  Finding finding = judge_gpus(machine, "cuda:0", {});
  expect(finding, Level::kFailure, "built without CUDA");
  EXPECT_THAT(finding.next, HasSubstr("nvcc"));
  expect(judge_gpus(machine, "auto", {}), Level::kWarning, "will take the CPU");
  expect(judge_gpus(machine, "gpu", {}), Level::kFailure, "--device gpu");
  machine.built_with_cuda = true;
  machine.gpus = Result<std::vector<device_cuda::DeviceInfo>>(std::vector<device_cuda::DeviceInfo>{{0, "old", 7, 5, 16'000'000'000, 1, 0, 0, 0}, {1, "new", 9, 0, 80'000'000'000, 1, 0, 0, 0}});
  expect(judge_gpus(machine, "cuda:1", {}), Level::kOk, "cuda:1 (new, 80.0 GB)");
  expect(judge_gpus(machine, "cuda:0", {}), Level::kFailure, "compute capability 7.5");
  expect(judge_gpus(machine, "cuda:0,cuda:2", {}), Level::kFailure, "");
  expect(judge_gpus(machine, "cuda:2", {}), Level::kFailure, "no cuda:2 among 2");
  finding = judge_gpus(machine, "cuda:all", {});
  expect(finding, Level::kOk, "cuda:1");
  EXPECT_THAT(finding.found, Not(HasSubstr("cuda:0")));
  expect(judge_gpus(machine, "cuda:1", miner::RamForecast{90'000'000'000, 0, 0}), Level::kFailure, "serving needs 90.0 GB");
}

TEST(JudgeMachine, Disk) {
  expect(judge_disk(Role::kMiner, "/d", 100'000'000'000, 1000, 170'000'000), Level::kOk, "588 key files");
  expect(judge_disk(Role::kMiner, "/d", 2'000'000'000, 1000, 170'000'000), Level::kWarning, "2.0 GB free");
  expect(judge_disk(Role::kValidator, "/d", 2'000'000'000, 1000, 170'000'000), Level::kOk, "2.0 GB free");
  expect(judge_disk(Role::kMiner, "/d", 200'000'000, 1000, 170'000'000), Level::kFailure, "not enough");
  expect(judge_disk(Role::kMiner, "/d", 400'000'000, 1000, 170'000'000), Level::kFailure, "268 MB beside it");   // it would refuse the first key
  expect(judge_disk(Role::kValidator, "/d", 400'000'000, 1000, 170'000'000), Level::kWarning, "400 MB free");
  expect(judge_disk(Role::kMiner, "/d", 100'000'000'000, 0, 170'000'000), Level::kFailure, "inodes");
}

TEST(JudgeClock, EachSourceAndBothDirections) {
  expect(judge_clock({true, {}, {}}), Level::kOk, "time service");
  expect(judge_clock({{}, {}, {}}), Level::kWarning, "nothing to compare with");
  expect(judge_clock({false, {}, {}}), Level::kWarning, "no time service keeps it");
  expect(judge_clock({true, {}, 9'000}), Level::kOk, "newest block 9.0 s old");
  expect(judge_clock({false, 200, 9'000}), Level::kWarning, "but no time service");
  expect(judge_clock({{}, 200, 9'000}), Level::kOk, "within");
  expect(judge_clock({true, 5'000, {}}), Level::kWarning, "5.0 s ahead");
  expect(judge_clock({true, -5'000, {}}), Level::kWarning, "5.0 s behind");
  expect(judge_clock({true, 9'500, {}}), Level::kFailure, "9.5 s ahead");
  expect(judge_clock({true, -3'600'000, {}}), Level::kFailure, "60 min behind");
  expect(judge_clock({true, {}, -5'000}), Level::kWarning, "at least 5.0 s behind");
  expect(judge_clock({true, {}, -60'000}), Level::kFailure, "at least 60.0 s behind");
  // An old block: whose fault?
  expect(judge_clock({false, {}, 3'600'000}), Level::kFailure, "the clock is ahead, or the node is behind");
  expect(judge_clock({false, {}, 60'000}), Level::kWarning, "the clock is ahead, or the node is behind");
  expect(judge_clock({true, {}, 3'600'000}), Level::kWarning, "the node is behind");
  expect(judge_clock({false, 300, 3'600'000}), Level::kWarning, "the node is behind");
  expect(judge_clock({true, {}, 40'000}), Level::kOk, "newest block");
}

Setup miner_setup() {
  Setup setup;
  setup.role = Role::kMiner;
  setup.endpoints = "finney";
  setup.netuid = 54;
  setup.wallet = "miner";
  setup.hotkey = "default";
  setup.miner.port = 5000;
  setup.miner.external_ip = "8.8.4.4";
  return setup;
}

TEST(JudgeAddress, WhatOthersCannotReachIsNamedByItsKind) {
  doctor::Setup setup = miner_setup();
  expect(judge_address(setup, {"8.8.4.4"}), Level::kOk, "is an address of this machine");
  expect(judge_address(setup, {"10.0.0.2"}), Level::kOk, "a router has to pass port 5000");
  const std::pair<const char*, const char*> kinds[] = {{"192.168.1.5", "a private address"}, {"10.1.2.3", "a private address"}, {"172.20.0.1", "a private address"},
                                                       {"100.100.1.1", "carrier-grade NAT"}, {"127.0.0.1", "a loop-back address"}, {"169.254.1.1", "a link-local address"},
                                                       {"203.0.113.7", "no address of the public internet"}, {"::1", "a loop-back address"}, {"fd00::1", "a private address"},
                                                       {"fe80::1", "a link-local address"}, {"2001:db8::1", "no address of the public internet"}, {"0.0.0.0", "no address of the public internet"}};
  for (const auto& [ip, kind] : kinds) {
    setup.miner.external_ip = ip;
    setup.ledger_file.clear();
    expect(judge_address(setup, {}), Level::kFailure, kind);
    setup.ledger_file = "ledger.sqlite";
    expect(judge_address(setup, {}), Level::kOk, kind);
  }
  setup.miner.external_ip = "miner.example.org";
  expect(judge_address(setup, {}), Level::kFailure, "not an IP address");
  setup.miner.external_ip.clear();
  expect(judge_address(setup, {}), Level::kWarning, "no address is announced");
  setup.miner.proxies = net::AddressNetworks::parse(std::vector<std::string>{"10.0.0.2"}).value();
  expect(judge_address(setup, {}), Level::kOk, "one machine behind the proxy does it for all");
  setup.miner.external_ip = "8.8.4.4";
  setup.ledger_file.clear();
  expect(judge_address(setup, {"10.0.0.3"}), Level::kOk, "the proxy has to pass port 5000");
}

ledger::Metagraph graph_of_two() {
  ledger::Metagraph graph;
  graph.netuid = 54;
  graph.block = 10'000;
  graph.last_epoch_block = 9'900;
  graph.neurons.resize(2);
  for (ledger::Uid uid = 0; uid < 2; ++uid) {
    graph.neurons[uid].uid = uid;
    graph.neurons[uid].hotkey.fill(static_cast<std::uint8_t>(uid + 1));
    graph.neurons[uid].last_update = 9'950;
  }
  graph.neurons[0].validator_permit = true;
  graph.neurons[0].stake_rao = 500 * ledger::kRaoPerTao;
  return graph;
}

TEST(JudgeSubnet, Registration) {
  const auto graph = graph_of_two();
  expect(judge_registration(miner_setup(), graph, graph.neurons[1].hotkey), Level::kOk, "uid 1 of subnet 54");
  const Finding finding = judge_registration(miner_setup(), graph, {});
  expect(finding, Level::kFailure, "is not registered on subnet 54");
  EXPECT_THAT(finding.next, HasSubstr("brainlock subnet register --endpoint finney --netuid 54 --wallet.name miner --wallet.hotkey default"));
}

TEST(JudgeSubnet, Permit) {
  auto graph = graph_of_two();
  expect(judge_permit(graph, graph.neurons[0]), Level::kOk, "stake 500 TAO");
  const Finding finding = judge_permit(graph, graph.neurons[1]);
  expect(finding, Level::kFailure, "no validator permit");
  EXPECT_THAT(finding.found, HasSubstr("the least with 500"));
  EXPECT_THAT(finding.next, HasSubstr("block 10260"));
  graph.owner_hotkey = graph.neurons[1].hotkey;
  expect(judge_permit(graph, graph.neurons[1]), Level::kOk, "owner");
}

TEST(JudgeSubnet, Axon) {
  auto graph = graph_of_two();
  auto& neuron = graph.neurons[1];
  doctor::Setup setup = miner_setup();
  expect(judge_axon(setup, graph, neuron, false), Level::kWarning, "no address yet");
  expect(judge_axon(setup, graph, neuron, true), Level::kFailure, "the miner runs, and the ledger has no address");
  neuron.axon = ledger::Axon{"8.8.4.4", 5000, 0, 4, 9'000};
  expect(judge_axon(setup, graph, neuron, true), Level::kOk, "since block 9000");
  setup.miner.external_port = 5001;
  expect(judge_axon(setup, graph, neuron, false), Level::kFailure, "sends validators to 8.8.4.4:5000, this set-up announces 8.8.4.4:5001");
  setup.miner.external_ip.clear();
  expect(judge_axon(setup, graph, neuron, false), Level::kOk, "from before");
  setup.role = Role::kValidator;
  expect(judge_axon(setup, graph, neuron, false), Level::kWarning, "take it for a miner");
  expect(judge_axon(setup, graph, graph.neurons[0], false), Level::kOk, "as for a validator");
}

TEST(JudgeSubnet, Votes) {
  auto graph = graph_of_two();
  auto& neuron = graph.neurons[0];
  VoteEvidence evidence;
  evidence.weights = 3;
  expect(judge_votes(graph, neuron, evidence), Level::kOk, "3 weights, 50 blocks old; the next is allowed in 50 blocks");
  evidence.pending_commits = 2;
  expect(judge_votes(graph, neuron, evidence), Level::kOk, "2 wait for their reveal");
  evidence.last = store::VoteRow{};
  evidence.last->reason = "too_soon";
  evidence.last->detail = "next allowed in 37 blocks";
  expect(judge_votes(graph, neuron, evidence), Level::kWarning, "was refused: too_soon next allowed in 37 blocks");
  evidence = {};
  expect(judge_votes(graph, neuron, evidence), Level::kWarning, "no vote on the ledger");
  evidence.weights = 3;
  neuron.last_update = 1'000;
  expect(judge_votes(graph, neuron, evidence), Level::kWarning, "9000 blocks old");
  evidence.running = true;
  expect(judge_votes(graph, neuron, evidence), Level::kFailure, "9000 blocks old");
  graph.parameters.weights_version = 7;
  const Finding finding = judge_votes(graph, neuron, evidence);
  expect(finding, Level::kFailure, "version key 7");
  EXPECT_THAT(finding.next, HasSubstr("--version-key 7"));
  evidence.impossible = true;
  evidence.how = "votes are sealed in a way that is not known here";
  expect(judge_votes(graph, neuron, evidence), Level::kFailure, "cannot vote here");
}

// A check that needs one which does not exist would never be skipped, and two of one name could not be told apart.
TEST(MakeChecks, NamesAreUniqueAndWhatIsNeededIsThere) {
  for (const Role role : {Role::kMachine, Role::kMiner, Role::kValidator}) {
    doctor::Setup setup = miner_setup();
    setup.role = role;
    setup.packages = {"a", "b"};
    setup.miner.metrics_port = 9100;
    setup.log_file = "log";
    std::set<std::string> names;
    const auto checks = make_checks(setup, good_machine());
    for (const auto& check : checks) EXPECT_TRUE(names.insert(check.name).second) << check.name;
    for (const auto& check : checks) {
      for (const auto& need : check.needs) EXPECT_TRUE(names.contains(need)) << check.name << " needs " << need;
      EXPECT_EQ(check.late.level == Level::kOk, check.late.found.empty()) << check.name;
    }
  }
}

}  // namespace
}  // namespace brainlock::doctor
