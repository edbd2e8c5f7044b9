// Shapes of runtimes that came after the one whose metadata is kept here.
#include <gmock/gmock.h>

#include <algorithm>

#include "brainlock/chain/chain_ledger.hpp"
#include "live_node.hpp"
#include "metadata_writer.hpp"
#include "subnet_fixture.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;
using ::testing::HasSubstr;

class NewerRuntime : public SubnetTest {
 protected:
  // The same chain under other metadata.
  void run_on(const crypto::Bytes& blob) {
    auto metadata = Metadata::decode(blob);
    ASSERT_TRUE(metadata.ok()) << metadata.error().to_string();
    chain = std::make_shared<FakeChain>(std::make_shared<const Metadata>(std::move(*metadata)), blob);
    chain->add_subnet(kNetuid, 4);
    client = std::make_unique<ChainClient>(chain);
    fund(coldkey.account(), 2'000'000'000);
    chain->mine(5);
  }
  static const Metadata& genuine() {
    static const auto metadata = Metadata::decode(read_vector_file("metadata-spec224.scale")).value();
    return metadata;
  }
  // A map from a subnet's number to 64 bits, as several items are.
  static StorageEntry numbers_by_subnet(const char* name) {
    StorageEntry out = **genuine().storage(kPallet, "WeightsSetRateLimit");
    out.name = name;
    out.default_value.assign(8, 0);
    return out;
  }
};

// NetUid, PerU16, TaoBalance and AlphaBalance are structs of one number each, with or without Compact around them.
TEST_F(NewerRuntime, NumbersMayBeTypesOfTheirOwn) {
  std::vector<TypeDefinition> extra;
  std::vector<std::pair<TypeId, TypeId>> wrapped;
  for (TypeId id = 0; id < genuine().types().size(); ++id) {
    const auto& type = genuine().types()[id];
    if (type.kind != TypeDefinition::Kind::kPrimitive ||
        (type.primitive != Primitive::kU16 && type.primitive != Primitive::kU64))
      continue;
    wrapped.emplace_back(id, static_cast<TypeId>(genuine().types().size() + extra.size()));
    extra.push_back(type);
  }
  ASSERT_EQ(wrapped.size(), 2u);
  const auto blob = write_metadata_15(genuine(), extra, {}, [&](std::vector<TypeDefinition>& types) {
    for (const auto& [id, number] : wrapped) {
      TypeDefinition type;
      type.kind = TypeDefinition::Kind::kComposite;
      type.name = "Number";
      type.fields = {{"", number}};
      types[id] = type;
    }
  });
  ASSERT_NO_FATAL_FAILURE(run_on(blob));
  ASSERT_NO_FATAL_FAILURE(make_validator());
  const ledger::Axon axon{.ip = "1.2.3.4", .port = 8091, .version = 100, .protocol = 4, .served_block = 0};
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_TRUE(must(set_weights_plain(*client, hotkey, kNetuid, vote, 0)).accepted());
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  const auto* neuron = graph->find(hotkey.account());
  ASSERT_NE(neuron, nullptr);
  EXPECT_EQ(neuron->weights, vote);
  EXPECT_EQ(neuron->axon->port, 8091);
  EXPECT_EQ(graph->parameters.registration_cost_rao, 500'000'000u);
  EXPECT_EQ(*read_balance(*client, *client->best(), coldkey.account()), 1'500'000'000u);

  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  chain->mine(100);
  const TemporaryFolder folder;
  const auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  const auto committed = must((*ledger)->set_weights(hotkey, vote, 0));
  ASSERT_TRUE(committed.accepted()) << committed.message;
  chain->mine(*committed.revealed_at_block - chain->number());
  const auto report = (*ledger)->reveal_due(hotkey);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->revealed, 1) << (report->messages.empty() ? "" : report->messages.front());
}

// An item under one key more would be looked for under a prefix, and seem to be absent.
TEST_F(NewerRuntime, ItemsUnderOtherKeysAreRefused) {
  const auto view = *client->best();
  const Value netuid = Value::number(kNetuid);
  const auto expect_refused = [](const auto& read) {
    EXPECT_EQ(read.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(read.error().message, HasSubstr("keys in this runtime"));
  };
  expect_refused(client->read(view, kPallet, "Weights", {netuid}));
  expect_refused(client->read(view, kPallet, "StakeThreshold", {netuid}));
  expect_refused(client->read_many(view, kPallet, "Keys", {{netuid, Value::number(0)}, {netuid}}));
  expect_refused(client->read_items(view, kPallet, {{"Tempo", {netuid}}, {"Tempo", {}}}));
}

// Where the chain keeps the block of the last epoch the next one is a tempo later, the first of a new subnet too.
TEST_F(NewerRuntime, TheFirstEpochIsATempoAfterTheStart) {
  ASSERT_NO_FATAL_FAILURE(run_on(write_metadata_15(genuine(), {}, {}, {}, {numbers_by_subnet("LastEpochBlock")})));
  const auto next = [&] { return read_metagraph(*client, *client->best(), kNetuid, false)->next_epoch_block(); };
  EXPECT_EQ(next(), 20u);
  chain->mine(20);
  chain->put(kPallet, "LastEpochBlock", {Value::number(kNetuid)}, Value::number(21));
  EXPECT_EQ(next(), 41u);
}

// The rules of a subnet with a short tempo change in few blocks of its epochs, here in one of twenty; root is not told
// why.
TEST_F(NewerRuntime, TestsChangeARuleInTheOnlyBlockThatLetsThem) {
  chain->put("Sudo", "Key", {}, Value::bytes(coldkey.account()));
  chain->put(kPallet, "Tempo", {Value::number(kNetuid)}, Value::number(19));
  chain->missing_methods = {"dev_setStorage", "dev_newBlock"};
  chain->frozen_blocks = 19;
  LiveNode node(chain, kNetuid);
  for (const std::uint64_t limit : {7U, 8U}) {  // Whichever parity the first try has.
    EXPECT_TRUE(node.put(kWeightsRateLimit, Value::number(limit))) << node.why_not();
    chain->mine(1);
  }
}

}  // namespace
}  // namespace brainlock::chain
