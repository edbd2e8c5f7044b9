#include "brainlock/chain/commit_reveal.hpp"

#include "brainlock/chain/chain_ledger.hpp"
#include "metadata_writer.hpp"
#include "subnet_fixture.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;
using ::testing::HasSubstr;

TEST_F(SubnetTest, LedgerCommitsAndRevealsAcrossARestart) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  std::uint64_t reveal_block = 0;
  {
    auto first = ChainLedger::open(chain, {kNetuid, folder.path()});
    ASSERT_TRUE(first.ok()) << first.error().to_string();
    EXPECT_THAT(*(*first)->voting_notice(), HasSubstr("commits"));
    const auto out = must((*first)->set_weights(hotkey, vote, 0));
    ASSERT_TRUE(out.accepted()) << out.message;
    ASSERT_TRUE(out.revealed_at_block.has_value());
    reveal_block = *out.revealed_at_block;
    EXPECT_TRUE((*first)->weights(4)->empty());
  }
  auto second = ChainLedger::open(chain, {kNetuid, folder.path()});
  auto report = (*second)->reveal_due(hotkey);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->waiting, 1);
  EXPECT_EQ(report->next_reveal_block, reveal_block);
  chain->mine(reveal_block - chain->number());
  report = (*second)->reveal_due(hotkey);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->revealed, 1) << (report->messages.empty() ? "" : report->messages.front());
  EXPECT_EQ(*(*second)->weights(4), vote);
  EXPECT_EQ((*second)->reveal_due(hotkey)->waiting, 0);
}

TEST_F(SubnetTest, CommitsThatMissedTheirWindowAreDropped) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  ASSERT_TRUE(must((*ledger)->set_weights(hotkey, vote, 0)).accepted());
  chain->mine(100);
  const auto report = (*ledger)->reveal_due(hotkey);
  EXPECT_EQ(report->dropped, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// A vote may be committed several times within an epoch. All are revealed in the same one, and the last is the vote that counts.
TEST_F(SubnetTest, CommitsOfOneEpochAreRevealedInTheirOrder) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  chain->put(kPallet, "WeightsSetRateLimit", {Value::number(kNetuid)}, Value::number(1));
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  chain->mine(21 - (chain->number() + kNetuid + 1) % 21);  // Where an epoch begins.
  ledger::Outcome out;
  std::vector<ledger::Weight> last;
  for (std::uint16_t i = 0; i < 5; ++i) {
    last = {{0, 65535}, {2, static_cast<std::uint16_t>(1000 * i + 1)}};
    out = must((*ledger)->set_weights(hotkey, last, 0));
    ASSERT_TRUE(out.accepted()) << out.message;
  }
  chain->mine(*out.revealed_at_block - chain->number());
  const auto report = (*ledger)->reveal_due(hotkey);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->revealed, 5);
  EXPECT_EQ(*(*ledger)->weights(4), last);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(SubnetTest, ARevealIsSentFromTheFirstToTheLastBlockOfItsWindow) {
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  for (const bool late : {false, true}) {
    chain->mine(120);
    const auto out = must((*ledger)->set_weights(hotkey, vote, 0));
    ASSERT_TRUE(out.accepted()) << out.message;
    const std::uint64_t first = *out.revealed_at_block, last = first + 20;
    EXPECT_EQ(out.message, "committed; to be revealed in blocks " + std::to_string(first) + " to " + std::to_string(last));
    const int before = chain->submitted;
    ASSERT_GT(first, chain->number() + 2);
    chain->mine((late ? last : first - 2) - chain->number());
    auto report = (*ledger)->reveal_due(hotkey);
    EXPECT_EQ(chain->submitted, before);  // What is sent now is in the next block: too early, or too late.
    EXPECT_EQ(report->waiting, late ? 0 : 1);
    EXPECT_EQ(report->dropped, late ? 1 : 0);
    if (late) continue;
    chain->mine(1);
    report = (*ledger)->reveal_due(hotkey);
    EXPECT_EQ(report->revealed, 1) << (report->messages.empty() ? "" : report->messages.front());
  }
}

// Newer runtimes number their epochs and note the epoch of a commit, not blocks.
TEST_F(SubnetTest, CommitsAreRevealedByTheEpochWhereTheChainCountsThem) {
  const auto genuine = Metadata::decode(read_vector_file("metadata-spec224.scale"));
  const auto* tempo = *genuine->storage(kPallet, "Tempo");
  const auto* limit = *genuine->storage(kPallet, "WeightsSetRateLimit");  // A number of 64 bits by subnet, as these are.
  std::vector<StorageEntry> more;
  for (const char* name : {"SubnetEpochIndex", "LastEpochBlock"}) {
    more.push_back(*limit);
    more.back().name = name;
    more.back().default_value.assign(8, 0);
  }
  ASSERT_EQ(tempo->keys, limit->keys);
  const auto blob = write_metadata_15(*genuine, {}, {}, {}, more);
  chain = std::make_shared<FakeChain>(std::make_shared<const Metadata>(Metadata::decode(blob).value()), blob);
  chain->epochs_counted = true;
  chain->add_subnet(kNetuid, 4);
  chain->put(kPallet, "Tempo", {Value::number(kNetuid)}, Value::number(50));
  client = std::make_unique<ChainClient>(chain);
  fund(coldkey.account(), 2'000'000'000);
  chain->mine(5);
  make_validator();
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  const TemporaryFolder folder;
  auto ledger = ChainLedger::open(chain, {kNetuid, folder.path()});
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  for (const bool late : {false, true}) {
    chain->mine(100);
    const auto out = must((*ledger)->set_weights(hotkey, vote, 0));
    ASSERT_TRUE(out.accepted()) << out.message;
    const std::uint64_t next = (chain->number() / 50 + 1) * 50;
    EXPECT_EQ(out.revealed_at_block, next);
    EXPECT_THAT(out.message, HasSubstr("of about"));
    const int before = chain->submitted;
    auto report = (*ledger)->reveal_due(hotkey);
    EXPECT_EQ(report->waiting, 1);
    EXPECT_EQ(report->next_reveal_block, next);
    EXPECT_EQ(chain->submitted, before);
    chain->mine(next + (late ? 50 : 0) - chain->number());
    report = (*ledger)->reveal_due(hotkey);
    ASSERT_TRUE(report.ok()) << report.error().to_string();
    EXPECT_EQ(report->revealed, late ? 0 : 1) << (report->messages.empty() ? "" : report->messages.front());
    EXPECT_EQ(report->dropped, late ? 1 : 0);
    EXPECT_EQ(chain->submitted, late ? before : before + 1);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  }
  EXPECT_EQ(*(*ledger)->weights(4), vote);
}

// Runtime 293 judges a vote in its block alone.
TEST_F(SubnetTest, RefusalsInTheBlockHaveTheSameNames) {
  chain->checks_late = true;
  const Arguments direct{{"netuid", Value::number(kNetuid)}, {"dests", Value::numbers(std::vector{0})},
                         {"weights", Value::numbers(std::vector{1})}, {"version_key", Value::number(0)}};
  const auto refusal = [&](const char* call, const Arguments& arguments) {
    const auto sent = client->submit(hotkey, kPallet, call, arguments);
    EXPECT_TRUE(sent.ok() && sent->included);
    return sent.ok() ? outcome_of(*sent).refusal : Refusal::kNone;
  };
  EXPECT_EQ(refusal("set_weights", direct), Refusal::kNotRegistered);
  ASSERT_TRUE(must(register_neuron(*client, coldkey, kNetuid, hotkey.account())).accepted());
  EXPECT_EQ(refusal("set_weights", direct), Refusal::kTooSoon);
  chain->mine(100);
  EXPECT_EQ(refusal("set_weights", direct), Refusal::kNoPermit);
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
  EXPECT_EQ(refusal("set_weights", direct), Refusal::kCommitRevealOnly);
}

TEST(CommitReveal, KnownHashAndFileForm) {
  const auto& v = known_answers()["commit_reveal_v2"];
  PendingCommit commit;
  const auto hotkey = unhex(v["hotkey"]);
  std::copy(hotkey.begin(), hotkey.end(), commit.hotkey.begin());
  commit.netuid = v["storage_index"];
  commit.uids = v["uids"].get<std::vector<std::uint16_t>>();
  commit.values = v["values"].get<std::vector<std::uint16_t>>();
  commit.salt = v["salt"].get<std::vector<std::uint16_t>>();
  commit.version_key = v["version_key"];
  EXPECT_EQ(crypto::hex_encode_0x(commit.hash()), v["hash"]);
  EXPECT_EQ(crypto::blake2b_256(unhex(v["preimage"])), commit.hash());
  const auto text = CommitStore::to_text(commit);
  EXPECT_EQ(*CommitStore::from_text(text), commit);
  for (std::size_t size = 0; size + 1 < text.size(); ++size) EXPECT_FALSE(CommitStore::from_text(text.substr(0, size)).ok());
  auto changed = text;
  changed.replace(changed.find("40000"), 5, "40001");
  EXPECT_EQ(CommitStore::from_text(changed).error().code, ErrorCode::kCorrupted);
}

}  // namespace
}  // namespace brainlock::chain
