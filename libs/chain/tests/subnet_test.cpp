#include "brainlock/chain/subnet.hpp"

#include <ctime>

#include "brainlock/chain/chain_ledger.hpp"
#include "metadata_writer.hpp"
#include "subnet_fixture.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;
using ::testing::HasSubstr;

TEST_F(SubnetTest, RegistrationIsConfirmedByItsUid) {
  const auto out = must(register_neuron(*client, coldkey, kNetuid, hotkey.account(), 600'000'000));
  EXPECT_TRUE(out.accepted()) << out.message;
  EXPECT_EQ(out.uid, 4);
  EXPECT_EQ(out.block, chain->number());
  EXPECT_EQ(chain->last_call, "burned_register");   // this runtime has no call with a limit
  const auto again = must(register_neuron(*client, coldkey, kNetuid, hotkey.account()));
  EXPECT_EQ(again.refusal, Refusal::kAlreadyRegistered);
  EXPECT_EQ(again.uid, 4);
  EXPECT_EQ(chain->submitted, 1);
}

TEST_F(SubnetTest, RegistrationRefusalsCostNothing) {
  EXPECT_EQ(must(register_neuron(*client, coldkey, 99, hotkey.account())).refusal, Refusal::kSubnetUnknown);
  EXPECT_EQ(must(register_neuron(*client, hotkey, kNetuid, hotkey.account())).refusal, Refusal::kNotEnoughBalance);
  const auto dear = must(register_neuron(*client, coldkey, kNetuid, hotkey.account(), 1));
  EXPECT_THAT(dear.message, HasSubstr("above the limit"));
  chain->put(kPallet, "NetworkRegistrationAllowed", {Value::number(kNetuid)}, Value::boolean(false));
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).refusal, Refusal::kRegistrationClosed);
  EXPECT_EQ(chain->submitted, 0);
}

/// The genuine metadata with another call of its shape under the name `register_limit`, as later runtimes have it.
crypto::Bytes metadata_with_limited_registration() {
  auto blob = read_vector_file("metadata-spec224.scale");
  const auto rename = [&blob](std::size_t from, std::string_view before, std::string_view after) {
    const auto text = [](std::string_view name) {   // SCALE: the length, compact, and the bytes
      crypto::Bytes out{static_cast<std::uint8_t>(name.size() << 2)};
      out.insert(out.end(), name.begin(), name.end());
      return out;
    };
    const auto old = text(before), put = text(after);
    const auto at = std::search(blob.begin() + static_cast<std::ptrdiff_t>(from), blob.end(), old.begin(), old.end());
    const auto place = static_cast<std::size_t>(at - blob.begin());
    blob.erase(at, at + static_cast<std::ptrdiff_t>(old.size()));
    blob.insert(blob.begin() + static_cast<std::ptrdiff_t>(place), put.begin(), put.end());
    return place;
  };
  rename(rename(0, "add_stake", "register_limit"), "amount_staked", "limit_price");
  return blob;
}

// Where the runtime knows a limit it is given ours; without a limit the plain call is made.
TEST_F(SubnetTest, ALimitIsLeftToTheRuntimeThatKnowsOne) {
  const auto blob = metadata_with_limited_registration();
  const auto metadata = std::make_shared<const Metadata>(Metadata::decode(blob).value());
  chain = std::make_shared<FakeChain>(metadata, blob);
  chain->add_subnet(kNetuid, 4);
  client = std::make_unique<ChainClient>(chain);
  fund(coldkey.account(), 2'000'000'000);
  chain->mine(5);
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account(), 600'000'000)).uid, 4);
  EXPECT_EQ(chain->last_call, "register_limit");
  const auto other = signer("//Charlie");
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, other.account())).uid, 5);
  EXPECT_EQ(chain->last_call, "burned_register");
}

TEST_F(SubnetTest, TheSameOverHttp) {
  chain->http_only = true;
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).uid, 4);
}

TEST_F(SubnetTest, ALostConnectionAfterSubmissionStillFindsTheBlock) {
  chain->lose_connection_after_submit = true;
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).uid, 4);
  EXPECT_EQ(chain->submitted, 1);
}

TEST_F(SubnetTest, ANodeThatForgetsItsNotificationsIsNotWaitedForForEver) {
  chain->forget_notifications = true;
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).uid, 4);
  EXPECT_EQ(chain->submitted, 1);
}

// What is in a block stays there, whatever becomes of the requests that look for it.
TEST_F(SubnetTest, RequestsThatFailAfterSubmissionAreMadeAgain) {
  for (const bool forget : {false, true}) {
    chain->forget_notifications = forget;
    chain->failing_requests = 3;
    const auto sent = client->submit(coldkey, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
    ASSERT_TRUE(sent.ok()) << sent.error().to_string();
    EXPECT_TRUE(sent->succeeded());
    EXPECT_EQ(chain->failed_requests, forget ? 6 : 3);
    chain->submitted = 0;
  }
}

TEST_F(SubnetTest, ABlockThatTheNodeDoesNotHaveIsAnErrorAndNotAnEmptyOne) {
  auto view = *client->best();
  view.hash[0] ^= 1;
  EXPECT_EQ(read_hyperparameters(*client, view, kNetuid).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(client->at(view.hash).error().code, ErrorCode::kDenied);
}

TEST_F(SubnetTest, TooManyRegistrationsOfAnIntervalAreToldApart) {
  const auto limit = client->read(*client->best(), kPallet, "TargetRegistrationsPerInterval", {Value::number(kNetuid)});
  chain->put(kPallet, "RegistrationsThisInterval", {Value::number(kNetuid)}, Value::number(3 * *limit->as_u64()));
  const auto out = must(register_neuron(*client, coldkey, kNetuid, hotkey.account()));
  EXPECT_EQ(out.refusal, Refusal::kTooSoon);
  EXPECT_THAT(out.message, HasSubstr("registrations"));
}

TEST_F(SubnetTest, NodesWithFewMethodsAndWithoutFinalityServe) {
  chain->mine(300);
  chain->never_finalizes = true;  // Its finalised head is further back than any era reaches.
  EXPECT_EQ(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).uid, 4);
  chain->missing_methods = {"chain_getFinalizedHead", "state_queryStorageAt", "author_submitAndWatchExtrinsic",
                            "system_accountNextIndex"};
  const auto sent = client->submit(coldkey, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
  ASSERT_TRUE(sent.ok()) << sent.error().to_string();
  EXPECT_TRUE(sent->succeeded());
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(graph->neurons.size(), 5u);
}

// Refusals without codes, in words of the node's own; the best block is found through its header.
TEST_F(SubnetTest, RefusalsInOtherWordsAreUnderstoodToo) {
  chain->mine(10);
  chain->missing_words = "this is not offered here";
  chain->missing_methods = {"chain_getFinalizedHead", "state_queryStorageAt", "system_accountNextIndex"};
  chain->wants_block_numbers = true;
  const auto sent = client->submit(coldkey, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
  ASSERT_TRUE(sent.ok()) << sent.error().to_string();
  EXPECT_TRUE(sent->succeeded());
  EXPECT_EQ(sent->block_number, chain->number());
  EXPECT_TRUE(read_metagraph(*client, *client->best(), kNetuid, true).ok());
  for (const char* words : {"Method not found", "unsupported method: x", "the method does not exist"}) {
    chain->missing_words = words;
    chain->missing_methods.insert("author_submitAndWatchExtrinsic");
    EXPECT_TRUE(client->submit(coldkey, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}})->succeeded()) << words;
  }
}

TEST_F(SubnetTest, AReasonThatComesAfterwardsIsUnderstood) {
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  chain->silent_errors = true;
  chain->fail_in_pool_later = true;
  const ledger::Axon loopback{.ip = "127.0.0.1", .port = 1, .version = 1, .protocol = 4, .served_block = 0};
  const auto out = must(serve_axon(*client, hotkey, kNetuid, loopback));
  EXPECT_EQ(out.refusal, Refusal::kBadAddress) << out.message;
}

TEST_F(SubnetTest, AxonIsServedOnceAndReadBack) {
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  ledger::Axon axon{.ip = "1.2.3.4", .port = 8091, .version = 100, .protocol = 4, .served_block = 0};
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_EQ(chain->submitted, 2);  // The second call found the address in place.
  const auto stored = read_axon(*client, *client->best(), kNetuid, hotkey.account());
  EXPECT_EQ((*stored)->ip, "1.2.3.4");
  EXPECT_EQ((*stored)->port, 8091);
  axon.port = 9000;
  const auto soon = must(serve_axon(*client, hotkey, kNetuid, axon));
  EXPECT_EQ(soon.refusal, Refusal::kTooSoon);
  EXPECT_EQ(soon.blocks_to_wait, 49u);  // The transaction itself is applied one block later.
  chain->mine(49);
  axon.ip = "2001:db8::1";
  EXPECT_TRUE(must(serve_axon(*client, hotkey, kNetuid, axon)).accepted());
  EXPECT_EQ((*read_axon(*client, *client->best(), kNetuid, hotkey.account()))->ip, "2001:db8::1");
}

TEST_F(SubnetTest, AxonRefusalsWithAndWithoutErrorCodes) {
  for (const bool silent : {false, true}) {
    chain->silent_errors = silent;
    ledger::Axon axon{.ip = "1.2.3.4", .port = 1, .version = 1, .protocol = 4, .served_block = 0};
    EXPECT_EQ(must(serve_axon(*client, hotkey, kNetuid, axon)).refusal, Refusal::kNotRegistered);
    axon.port = 0;
    EXPECT_EQ(must(serve_axon(*client, hotkey, kNetuid, axon)).refusal, Refusal::kBadPort);
    axon.port = 1;
    axon.ip = "host.example";
    EXPECT_EQ(must(serve_axon(*client, hotkey, kNetuid, axon)).refusal, Refusal::kBadAddress);
  }
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  const ledger::Axon loopback{.ip = "127.0.0.1", .port = 1, .version = 1, .protocol = 4, .served_block = 0};
  for (const bool silent : {false, true}) {
    chain->silent_errors = silent;
    const auto out = must(serve_axon(*client, hotkey, kNetuid, loopback));
    EXPECT_EQ(out.refusal, Refusal::kBadAddress);
    EXPECT_THAT(out.message, HasSubstr("InvalidIpAddress"));
  }
}

TEST_F(SubnetTest, BadSignatureWrongGenesisAndReplayAreNamed) {
  for (const bool silent : {false, true}) {
    chain->silent_errors = silent;
    chain->tamper = [](crypto::Bytes& bytes) { bytes[50] ^= 1; };
    const auto bad = client->submit(coldkey, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
    EXPECT_EQ(bad->refusal->name, "BadProof");
    chain->tamper = nullptr;
    const auto view = client->best();
    auto context = *client->signing_context(coldkey.account(), {});
    const auto call = *encode_call(*view->metadata, "System", "remark", {{"remark", Value::bytes(crypto::Bytes{1})}});
    context.genesis[0] ^= 1;
    EXPECT_EQ(client->submit_signed(*sign_extrinsic(*view->metadata, call, context, coldkey))->refusal->name, "BadProof");
    context.genesis[0] ^= 1;
    const auto good = *sign_extrinsic(*view->metadata, call, context, coldkey);
    EXPECT_TRUE(client->submit_signed(good)->succeeded());
    EXPECT_EQ(client->submit_signed(good)->refusal->name, "Stale");
  }
}

TEST_F(SubnetTest, MetagraphFromPlainStorage) {
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  chain->put(kPallet, "TotalHotkeyAlpha", {Value::bytes(hotkey.account()), Value::number(kNetuid)}, Value::number(77));
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, true);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  ASSERT_EQ(graph->neurons.size(), 5u);
  EXPECT_EQ(graph->block, chain->number());
  EXPECT_EQ(graph->parameters.tempo, 20);
  const auto* neuron = graph->find(hotkey.account());
  ASSERT_NE(neuron, nullptr);
  EXPECT_EQ(neuron->uid, 4);
  EXPECT_EQ(neuron->coldkey, coldkey.account());
  EXPECT_EQ(neuron->stake_rao, 77u);
  EXPECT_FALSE(neuron->axon.has_value());
  EXPECT_EQ(graph->neurons[1].hotkey, chain->neuron_key(1));
  EXPECT_GT(graph->next_epoch_block(), graph->block);
  EXPECT_EQ(read_metagraph(*client, *client->best(), 99, false).error().code, ErrorCode::kNotFound);
}

// The runtime's own metagraph: the record of the chain, with the fields in its order and a few others between.
class RuntimeMetagraphTest : public SubnetTest {
 protected:
  // Adds types to the genuine ones and the call that returns the record; answers it with `count` neurons.
  void offer_runtime_metagraph(std::size_t count) {
    using Kind = TypeDefinition::Kind;
    const auto blob = read_vector_file("metadata-spec224.scale");
    const auto genuine = Metadata::decode(blob);
    std::vector<TypeDefinition> extra;
    const auto add = [&](TypeDefinition type) {
      extra.push_back(std::move(type));
      return static_cast<TypeId>(genuine->types().size() + extra.size() - 1);
    };
    const auto primitive = [&](Primitive p) {
      TypeDefinition type;
      type.kind = Kind::kPrimitive;
      type.primitive = p;
      return add(type);
    };
    const auto wrap = [&](Kind kind, TypeId element, std::uint32_t length = 0) {
      TypeDefinition type;
      type.kind = kind;
      type.element = element;
      type.array_length = length;
      return add(type);
    };
    const TypeId u8 = primitive(Primitive::kU8), u16 = primitive(Primitive::kU16), u64 = primitive(Primitive::kU64),
                 boolean = primitive(Primitive::kBool);
    const TypeId c8 = wrap(Kind::kCompact, u8), c16 = wrap(Kind::kCompact, u16), c64 = wrap(Kind::kCompact, u64);
    const TypeId account = wrap(Kind::kArray, u8, 32);
    const TypeId axon = (*genuine->storage(kPallet, "Axons"))->value;
    const auto list = [&](TypeId element) { return wrap(Kind::kSequence, element); };
    TypeDefinition record;
    record.kind = Kind::kComposite;
    record.name = "Metagraph";
    record.fields = {{"netuid", c16},          {"name", list(c8)},       {"owner_hotkey", account},
                     {"block", c64},           {"num_uids", c16},        {"burn", c64},
                     {"max_weights_limit", c16}, {"activity_cutoff", c64},
                     {"hotkeys", list(account)}, {"coldkeys", list(account)}, {"axons", list(axon)},
                     {"active", list(boolean)}, {"validator_permit", list(boolean)}, {"last_update", list(c64)},
                     {"emission", list(c64)},  {"dividends", list(c16)}, {"incentives", list(c16)},
                     {"consensus", list(c16)}, {"trust", list(c16)},     {"block_at_registration", list(c64)},
                     {"total_stake", list(c64)}};
    const TypeId metagraph = add(record);
    TypeDefinition option;
    option.kind = Kind::kVariant;
    option.name = "Option";
    option.cases = {{"None", 0, {}}, {"Some", 1, {{"", metagraph}}}};
    const TypeId output = add(option);
    chain->metadata_15 = write_metadata_15(
        *genuine, extra, {{"SubnetInfoRuntimeApi", "get_metagraph", {{"netuid", u16}}, output}});
    const auto metadata = Metadata::decode(chain->metadata_15);
    ASSERT_TRUE(metadata.ok()) << metadata.error().to_string();
    const auto repeat = [&](auto make) {
      std::vector<Value> items;
      for (std::size_t i = 0; i < count; ++i) items.push_back(make(i));
      return Value::list(std::move(items));
    };
    const auto number = [](std::size_t factor) { return [factor](std::size_t i) { return Value::number(i * factor); }; };
    const auto axon_at = [](std::size_t i) {
      return Value::record({{"block", Value::number(i)}, {"version", Value::number(1)},
                            {"ip", Value::number(i == 0 ? 0 : 0x01020300 + i)}, {"port", Value::number(i == 0 ? 0 : 8000 + i)},
                            {"ip_type", Value::number(4)}, {"protocol", Value::number(4)},
                            {"placeholder1", Value::number(0)}, {"placeholder2", Value::number(0)}});
    };
    const Value graph = Value::record(
        {{"netuid", Value::number(kNetuid)},
         {"name", Value::list({Value::number('x')})},
         {"owner_hotkey", Value::bytes(crypto::Bytes(32, 9))},
         {"block", Value::number(1)},
         {"num_uids", Value::number(count)},
         {"burn", Value::number(5)},
         {"max_weights_limit", Value::number(65535)},
         {"activity_cutoff", Value::number(4242)},
         {"hotkeys", repeat([&](std::size_t i) { return Value::bytes(chain->neuron_key(i)); })},
         {"coldkeys", repeat([&](std::size_t i) { return Value::bytes(chain->neuron_key(i + 1)); })},
         {"axons", repeat(axon_at)},
         {"active", repeat([](std::size_t i) { return Value::boolean(i % 2 == 0); })},
         {"validator_permit", repeat([](std::size_t i) { return Value::boolean(i < 2); })},
         {"last_update", repeat(number(10))},
         {"emission", repeat(number(1000))},
         {"dividends", repeat(number(2))},
         {"incentives", repeat(number(3))},
         {"consensus", repeat(number(4))},
         {"trust", repeat(number(0))},
         {"block_at_registration", repeat(number(5))},
         {"total_stake", repeat(number(1'000'000'000))}});
    scale_codec::Encoder out;
    ASSERT_TRUE(encode_value(out, *metadata, output, Value::some(graph)).ok());
    chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"] = out.take();
  }
};

TEST_F(RuntimeMetagraphTest, FieldsAreFoundByName) {
  offer_runtime_metagraph(4);
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, false);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  ASSERT_EQ(graph->neurons.size(), 4u);
  const auto& neuron = graph->neurons[3];
  EXPECT_EQ(neuron.hotkey, chain->neuron_key(3));
  EXPECT_EQ(neuron.coldkey, chain->neuron_key(4));
  EXPECT_EQ(neuron.stake_rao, 3'000'000'000u);
  EXPECT_EQ(neuron.last_update, 30u);
  EXPECT_EQ(neuron.incentive, 9);
  EXPECT_EQ(neuron.dividends, 6);
  EXPECT_EQ(neuron.registered_at, 15u);
  EXPECT_EQ(neuron.emission_rao, 3000u);
  EXPECT_EQ(neuron.axon->ip, "1.2.3.3");
  EXPECT_EQ(neuron.axon->port, 8003);
  EXPECT_FALSE(graph->neurons[0].axon.has_value());
  EXPECT_TRUE(graph->neurons[1].validator_permit);
  EXPECT_FALSE(neuron.validator_permit);
}

// A runtime that looks at the stored limit no more still stores it.
TEST_F(RuntimeMetagraphTest, RulesThatTheRuntimeWorksOutAreNotReadFromStorage) {
  offer_runtime_metagraph(4);
  chain->put(kPallet, "MaxWeightsLimit", {Value::number(kNetuid)}, Value::number(455));
  auto graph = read_metagraph(*client, *client->best(), kNetuid, false);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(graph->parameters.max_weights_limit, 65535);
  EXPECT_EQ(graph->parameters.activity_cutoff, 4242u);
  EXPECT_EQ(graph->parameters.tempo, 20);
  graph->block = 1000;
  EXPECT_TRUE(judge_vote(*graph, chain->neuron_key(1), vote, 0).accepted());
  chain->runtime_answers.clear();  // All that there is to know then.
  EXPECT_EQ(read_metagraph(*client, *client->best(), kNetuid, false)->parameters.max_weights_limit, 455);
}

TEST_F(RuntimeMetagraphTest, AShortColumnLeavesTheLastNeuronsWithoutPermit) {
  offer_runtime_metagraph(3);
  auto& answer = chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"];
  const crypto::Bytes flags{3 << 2, 1, 1, 0};  // validator_permit, and only it, begins so.
  const auto at = std::search(answer.begin(), answer.end(), flags.begin(), flags.end());
  ASSERT_NE(at, answer.end());
  const crypto::Bytes shorter{1 << 2, 1};
  answer.insert(answer.erase(at, at + 4), shorter.begin(), shorter.end());
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, false);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_TRUE(graph->neurons[0].validator_permit);
  EXPECT_FALSE(graph->neurons[1].validator_permit);
  EXPECT_EQ(graph->neurons[2].last_update, 20u);
}

TEST_F(RuntimeMetagraphTest, EveryTruncationOfTheAnswerIsAnError) {
  offer_runtime_metagraph(2);
  const auto view = *client->best();
  const auto whole = chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"];
  for (std::size_t size = 0; size < whole.size(); ++size) {
    chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"] = crypto::Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_FALSE(read_metagraph(*client, view, kNetuid, false).ok()) << size;
  }
}

// A refused call, an empty answer and fields that are not known: storage tells the same in more requests.
TEST_F(RuntimeMetagraphTest, WithoutTheRuntimesAnswerStorageIsRead) {
  offer_runtime_metagraph(2);
  const auto alpha = [&](std::uint64_t netuid, std::uint64_t rao) {
    chain->put(kPallet, "TotalHotkeyAlpha", {Value::bytes(chain->neuron_key(1)), Value::number(netuid)}, Value::number(rao));
  };
  alpha(kNetuid, 1000);
  alpha(0, 4000);
  chain->put(kPallet, "TaoWeight", {}, Value::number(UINT64_MAX / 4));
  const auto whole = chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"];
  ASSERT_EQ(read_metagraph(*client, *client->best(), kNetuid, false)->neurons.size(), 2u);
  const auto from_storage = [&](const char* why) {
    const auto graph = read_metagraph(*client, *client->best(), kNetuid, false);
    ASSERT_TRUE(graph.ok()) << why << graph.error().to_string();
    ASSERT_EQ(graph->neurons.size(), 4u) << why;
    EXPECT_EQ(graph->neurons[1].hotkey, chain->neuron_key(1));
    EXPECT_EQ(graph->neurons[1].stake_rao, 1999u) << why;  // A quarter of the root stake counts, rounded down.
    EXPECT_EQ(graph->neurons[2].stake_rao, 0u) << why;
  };
  chain->runtime_answers.clear();
  from_storage("refused ");
  chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"] = {0};
  from_storage("none ");
  chain->runtime_answers["SubnetInfoRuntimeApi_get_metagraph"] = whole;
  chain->missing_methods = {"state_call"};
  from_storage("no calls ");
}

TEST_F(RuntimeMetagraphTest, FieldsThatAreNotKnownAreLeftToStorage) {
  offer_runtime_metagraph(2);
  // The name of one field, in the blob that the node gives: the bytes of the answer stay as they were.
  const std::string known = "total_stake", other = "stake_total";
  auto& blob = chain->metadata_15;
  const auto at = std::search(blob.begin(), blob.end(), known.begin(), known.end());
  ASSERT_NE(at, blob.end());
  std::copy(other.begin(), other.end(), at);
  const auto graph = read_metagraph(*client, *client->best(), kNetuid, false);
  ASSERT_TRUE(graph.ok()) << graph.error().to_string();
  EXPECT_EQ(graph->neurons.size(), 4u);
}

TEST_F(RuntimeMetagraphTest, Of256NeuronsTakesLittleOfOurTime) {
  offer_runtime_metagraph(256);
  const auto view = *client->best();
  const auto before = std::clock();
  const auto graph = read_metagraph(*client, view, kNetuid, false);
  const double ms = 1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  ASSERT_EQ(graph->neurons.size(), 256u);
  RecordProperty("cpu_ms", std::to_string(ms));
  EXPECT_LT(ms, 200.0);
}

TEST_F(SubnetTest, MetagraphOf256NeuronsIsCheap) {
  chain->add_subnet(kNetuid, 256);
  const auto view = *client->best();
  ASSERT_TRUE(read_metagraph(*client, view, kNetuid, false).ok());
  chain->requests = 0;
  const auto graph = read_metagraph(*client, view, kNetuid, true);
  EXPECT_EQ(graph->neurons.size(), 256u);
  EXPECT_LT(chain->requests, 30);
}

TEST_F(SubnetTest, PlainWeightsLandAndAreReadBack) {
  make_validator();
  const auto out = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_TRUE(out.accepted()) << out.message;
  EXPECT_EQ(*read_weights(*client, *client->best(), kNetuid, 4), vote);
  const auto soon = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_EQ(soon.refusal, Refusal::kTooSoon);
  EXPECT_THAT(soon.message, HasSubstr("next allowed in"));
  EXPECT_GT(soon.blocks_to_wait, 0u);
}

TEST_F(SubnetTest, AVoteIsTakenInTheFirstBlockThatAllowsItAndNotBefore) {
  make_validator();
  ASSERT_TRUE(must(set_weights_plain(*client, hotkey, kNetuid, vote, 0)).accepted());
  auto soon = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  ASSERT_EQ(soon.refusal, Refusal::kTooSoon);
  EXPECT_EQ(soon.blocks_to_wait, 99u);
  chain->mine(soon.blocks_to_wait - 1);
  soon = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_EQ(soon.blocks_to_wait, 1u);
  EXPECT_EQ(soon.message, "next allowed in 1 blocks");
  const Arguments direct{{"netuid", Value::number(kNetuid)}, {"dests", Value::numbers(std::vector{0})},
                         {"weights", Value::numbers(std::vector{1})}, {"version_key", Value::number(0)}};
  EXPECT_EQ(client->submit(hotkey, kPallet, "set_weights", direct)->refusal->name, "Custom(6) RateLimitExceeded");
  chain->mine(1);
  EXPECT_TRUE(must(set_weights_plain(*client, hotkey, kNetuid, vote, 0)).accepted());
}

TEST_F(SubnetTest, VotesAreJudgedBeforeTheyAreSent) {
  EXPECT_EQ(must(set_weights_plain(*client, hotkey, kNetuid, vote, 0)).refusal, Refusal::kNotRegistered);
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  chain->mine(200);
  const auto refusal = [&](std::vector<ledger::Weight> weights, std::uint64_t version = 0) {
    return must(set_weights_plain(*client, hotkey, kNetuid, weights, version)).refusal;
  };
  EXPECT_EQ(refusal(vote), Refusal::kNoPermit);
  EXPECT_EQ(refusal({}), Refusal::kNoWeights);
  EXPECT_EQ(refusal({{0, 0}}), Refusal::kNoWeights);
  EXPECT_EQ(refusal({{0, 1}, {0, 1}}), Refusal::kDuplicateUid);
  EXPECT_EQ(refusal({{99, 1}}), Refusal::kUnknownUid);
  chain->put(kPallet, "WeightsVersionKey", {Value::number(kNetuid)}, Value::number(5));
  EXPECT_EQ(refusal(vote, 4), Refusal::kVersionTooOld);
  chain->put(kPallet, "StakeThreshold", {}, Value::number(1000));
  EXPECT_EQ(refusal(vote, 5), Refusal::kStakeTooLow);
  EXPECT_EQ(chain->submitted, 1);
}

// A commit would be taken whatever it holds, and could never be revealed.
TEST_F(SubnetTest, AWeightAboveTheSubnetsLimitIsNeitherSetNorCommitted) {
  make_validator();
  chain->put(kPallet, "MaxWeightsLimit", {Value::number(kNetuid)}, Value::number(40'000));
  const std::vector<ledger::Weight> uneven{{0, 65535}, {1, 40'000}}, even{{0, 65535}, {1, 45'000}};
  const int before = chain->submitted;
  const auto out = must(set_weights_plain(*client, hotkey, kNetuid, uneven, 0));
  EXPECT_EQ(out.refusal, Refusal::kWeightTooLarge);
  EXPECT_EQ(out.message, "one weight is 62 % of the vote, the subnet's limit is 61 %");
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  const auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  EXPECT_EQ(must((*ledger)->set_weights(hotkey, uneven, 0)).refusal, Refusal::kWeightTooLarge);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(chain->submitted, before);
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(false));
  const Arguments direct{{"netuid", Value::number(kNetuid)}, {"dests", Value::numbers(std::vector{0, 1})},
                         {"weights", Value::numbers(std::vector{65535, 40'000})}, {"version_key", Value::number(0)}};
  EXPECT_EQ(outcome_of(*client->submit(hotkey, kPallet, "set_weights", direct)).refusal, Refusal::kWeightTooLarge);
  EXPECT_TRUE(must(set_weights_plain(*client, hotkey, kNetuid, even, 0)).accepted());
}

TEST_F(SubnetTest, DispatchErrorsAreNamed) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const auto out = must(set_weights_plain(*client, hotkey, kNetuid, vote, 0));
  EXPECT_EQ(out.refusal, Refusal::kCommitRevealOnly);
  EXPECT_THAT(out.message, HasSubstr("SubtensorModule.CommitRevealEnabled"));
}

TEST_F(SubnetTest, LedgerIsRefusedForAnUnknownSubnetAndTellsTheTime) {
  EXPECT_EQ(ChainLedger::open(chain, {99, {}}).error().code, ErrorCode::kNotFound);
  auto ledger = ChainLedger::open(chain, {kNetuid, {}});
  const auto time = (*ledger)->block_time();
  EXPECT_EQ(time->block, chain->number());
  EXPECT_EQ(time->block_interval_ms, 12'000);
  constexpr std::uint64_t kMadeMs = 1'800'000'000'123;
  chain->put("Timestamp", "Now", {}, Value::number(kMadeMs));
  EXPECT_EQ((*ledger)->block_time()->made_ms, std::int64_t{kMadeMs});
  chain->put("Timestamp", "Now", {}, Value::number(36'000));
  EXPECT_FALSE((*ledger)->block_time()->made_ms) << "blocks that are sealed by hand";
  EXPECT_THAT((*ledger)->describe(), HasSubstr("fake chain"));
  EXPECT_EQ((*ledger)->netuid(), kNetuid);
  EXPECT_TRUE((*ledger)->metagraph(true).ok());
}

TEST(ChainIp, BothFamiliesBothWays) {
  EXPECT_TRUE(ip_to_chain("1.2.3.4")->value == 0x01020304);
  EXPECT_EQ(ip_to_chain("::1")->type, 6);
  for (const char* text : {"1.2.3.4", "255.255.255.255", "::1", "2001:db8::ff"}) {
    EXPECT_EQ(*ip_from_chain(*ip_to_chain(text)), text);
  }
  EXPECT_FALSE(ip_from_chain({U128{1} << 40, 4}).ok());
  EXPECT_FALSE(ip_from_chain({0, 5}).ok());
  EXPECT_FALSE(ip_to_chain("localhost").ok());
}

TEST(Refusal, EveryFormOfTheNodesWords) {
  const auto name = [](RpcError error) { return refusal_from_rpc(error).name; };
  EXPECT_EQ(name({1010, "Invalid Transaction", "Custom error: 10"}), "Custom(10) HotKeyNotRegisteredInNetwork");
  EXPECT_EQ(name({{}, "{\"invalid\":{\"custom\":255}}", {}}), "Custom(255) BadRequest");
  EXPECT_EQ(name({{}, "{\"invalid\":{\"custom\":99}}", {}}), "Custom(99)");
  EXPECT_EQ(name({1010, "Invalid Transaction", "Transaction has an ancient birth block"}), "AncientBirthBlock");
  EXPECT_EQ(name({{}, "{\"invalid\":{\"payment\":null}}", {}}), "Payment");
  EXPECT_EQ(refusal_from_rpc({1010, "Invalid Transaction", "Custom error: 19"}).refusal, Refusal::kNotRegistered);
  EXPECT_EQ(name({1012, "Transaction is temporarily banned", {}}), "Banned");
  EXPECT_EQ(name({1013, "Transaction is already imported", {}}), "AlreadyImported");
  EXPECT_EQ(name({1014, "Priority is too low", {}}), "PriorityTooLow");
  EXPECT_EQ(name({{}, "something else", {}}), "InvalidTransaction");
  EXPECT_EQ(refusal_from_dispatch("SubtensorModule.NeuronNoValidatorPermit").refusal, Refusal::kNoPermit);
  EXPECT_EQ(refusal_from_dispatch("SubtensorModule.SubtokenDisabled").refusal, Refusal::kRegistrationClosed);
  EXPECT_EQ(refusal_from_dispatch("BadOrigin").name, "BadOrigin");
  EXPECT_FALSE(refusal_from_dispatch("Made.Up").advice.empty());
}

}  // namespace
}  // namespace brainlock::chain
