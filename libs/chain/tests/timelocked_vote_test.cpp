#include "brainlock/chain/timelocked_vote.hpp"

#include "brainlock/chain/chain_ledger.hpp"
#include "metadata_writer.hpp"
#include "subnet_fixture.hpp"
#include "temporary_folder.hpp"

namespace brainlock::chain {
namespace {

using ledger::Refusal;
using ::testing::HasSubstr;

constexpr std::int64_t kNowMs = 1'790'000'000'000;

/// A runtime that takes sealed votes: the genuine metadata of an older one with the items and the call that newer ones have.
class TimelockedVote : public SubnetTest {
 protected:
  void SetUp() override {
    using Kind = TypeDefinition::Kind;
    const auto genuine = Metadata::decode(read_vector_file("metadata-spec224.scale"));
    const auto* limit = *genuine->storage(kPallet, "WeightsSetRateLimit");   // a number of 64 bits by subnet
    const auto* keys = *genuine->storage(kPallet, "Keys");                   // an account by subnet and uid
    const auto* tempo = *genuine->storage(kPallet, "Tempo");                 // a number of 16 bits by subnet
    const auto first = static_cast<TypeId>(genuine->types().size());
    const TypeId u8 = first, bytes = first + 1, sealed = first + 2, list = first + 3, u64 = limit->value, u16 = tempo->value;
    std::vector<TypeDefinition> types(4);
    types[0].kind = Kind::kPrimitive;
    types[0].primitive = Primitive::kU8;
    types[1].kind = types[3].kind = Kind::kSequence;
    types[1].element = u8;
    types[2].kind = Kind::kTuple;
    for (const TypeId part : {keys->value, u64, bytes, u64}) types[2].fields.push_back({{}, part});
    types[3].element = sealed;
    std::vector<StorageEntry> more;
    for (const char* name : {"SubnetEpochIndex", "LastEpochBlock"}) {
      more.push_back(*limit);
      more.back().name = name;
      more.back().default_value.assign(8, 0);
    }
    more.push_back(*keys);
    more.back().name = "TimelockedWeightCommits";
    more.back().keys = {u16, u64};
    more.back().hashers = {StorageHasher::kTwox64Concat, StorageHasher::kTwox64Concat};
    more.back().value = list;
    more.back().default_value = {0};
    more.push_back(*tempo);
    more.back().name = "CommitRevealWeightsVersion";
    more.back().keys.clear();
    more.back().hashers.clear();
    more.back().default_value = {4, 0};
    const auto blob = write_metadata_15(*genuine, types, {}, [&](std::vector<TypeDefinition>& all) {
      all[*(*genuine->pallet(kPallet))->calls].cases.push_back(
          {"commit_timelocked_weights", 113, {{"netuid", u16}, {"commit", bytes}, {"reveal_round", u64}, {"commit_reveal_version", u16}}});
    }, more);
    auto decoded = Metadata::decode(blob);
    ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
    chain = std::make_shared<FakeChain>(std::make_shared<const Metadata>(std::move(*decoded)), blob);
    chain->epochs_counted = true;
    chain->add_subnet(kNetuid, 4);
    chain->put(kPallet, "Tempo", {Value::number(kNetuid)}, Value::number(50));
    client = std::make_unique<ChainClient>(chain);
    fund(coldkey.account(), 2'000'000'000);
    chain->mine(5);
    make_validator();
    chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(true));
    chain->put("Timestamp", "Now", {}, Value::number(kNowMs));
    chain->put("Drand", "LastStoredRound", {}, Value::number(beacon_round_at(kNowMs) - 5));
  }
  std::unique_ptr<ChainLedger> open(PairingFunction function) {
    return std::move(ChainLedger::open(chain, {kNetuid, folder.path(), std::move(function)})).value();
  }
  VoteScheme scheme(bool can_seal = true) { return *vote_scheme(*client, *client->best(), kNetuid, can_seal); }

  const TemporaryFolder folder;
  /// Says what it was asked; the curve is others' business (timelock_test.cpp).
  const PairingFunction pairing = [](crypto::ByteView, crypto::ByteView, crypto::ByteView) -> Result<Blinded> { return Blinded{}; };
};

TEST_F(TimelockedVote, GoesOutSealedForTheEpochOfItsReveal) {
  const auto ledger = open(pairing);
  EXPECT_THAT(*ledger->voting_notice(), HasSubstr("by itself"));
  for (const std::uint64_t into_epoch : {10U, 48U, 49U}) {
    chain->put(kPallet, "LastUpdate", {Value::number(kNetuid)}, Value::numbers(std::vector<std::uint64_t>(5, 0)));
    chain->mine((50 - chain->number() % 50) % 50 + into_epoch);
    ASSERT_EQ(chain->number() % 50, into_epoch);
    const std::uint64_t applied = chain->number() + 1, epoch = 10 + applied / 50, reveal = (applied / 50 + 1) * 50;
    const auto out = must(ledger->set_weights(hotkey, vote, 7));
    ASSERT_TRUE(out.accepted()) << out.message;
    EXPECT_EQ(chain->last_call, "commit_timelocked_weights");
    EXPECT_EQ(out.revealed_at_block, reveal) << into_epoch;
    EXPECT_THAT(out.message, HasSubstr("sealed until round"));
    const auto commits = client->read(*client->best(), kPallet, "TimelockedWeightCommits", {Value::number(kNetuid), Value::number(epoch)});
    ASSERT_TRUE(commits.ok());
    ASSERT_EQ(commits->items().size(), 1U) << into_epoch;
    // The round is published when the reveal epoch begins.
    const std::uint64_t round = *commits->items()[0].items()[3].as_u64();
    EXPECT_EQ(round, beacon_round_at(kNowMs + static_cast<std::int64_t>(reveal - (applied - 1)) * 12'000) + 1);
  }
  EXPECT_EQ(ledger->reveal_due(hotkey)->waiting, 0) << "nothing is left to do";
}

TEST_F(TimelockedVote, HashesAreTakenWhereASealWouldNotBeOpened) {
  EXPECT_EQ(scheme(), VoteScheme::kTimelocked);
  EXPECT_EQ(scheme(false), VoteScheme::kHashCommit);
  EXPECT_THAT(*open({})->voting_notice(), HasSubstr("brainlock-pairing is not beside this program"));
  // The beacon's rounds have not come for twenty minutes, or never did; or the chain's clock is not the world's.
  const std::uint64_t newest = beacon_round_at(kNowMs);
  for (const auto& [last, now_ms] : std::vector<std::pair<std::uint64_t, std::int64_t>>{{newest - 400, kNowMs}, {0, kNowMs}, {newest, kNowMs - 3'600'000}, {0, 12'000}, {newest, 12'000}, {1, 0}}) {
    chain->put("Drand", "LastStoredRound", {}, Value::number(last));
    chain->put("Timestamp", "Now", {}, Value::number(static_cast<std::uint64_t>(now_ms)));
    EXPECT_EQ(scheme(), VoteScheme::kHashCommit);
    EXPECT_THAT(*open(pairing)->voting_notice(), HasSubstr("do not arrive on the chain"));
  }
  const auto out = must(open(pairing)->set_weights(hotkey, vote, 0));
  EXPECT_TRUE(out.accepted());
  EXPECT_EQ(chain->last_call, "commit_weights");
  chain->put("Timestamp", "Now", {}, Value::number(kNowMs));
  chain->put("Drand", "LastStoredRound", {}, Value::number(beacon_round_at(kNowMs)));
  EXPECT_EQ(scheme(), VoteScheme::kTimelocked);
  chain->put(kPallet, "CommitRevealWeightsVersion", {}, Value::number(5));
  EXPECT_EQ(scheme(), VoteScheme::kHashCommit);
  EXPECT_THAT(*open(pairing)->voting_notice(), HasSubstr("version 5"));
  chain->put(kPallet, "CommitRevealWeightsEnabled", {Value::number(kNetuid)}, Value::boolean(false));
  EXPECT_EQ(scheme(), VoteScheme::kPlain);
}

TEST_F(TimelockedVote, RefusalsAndFailures) {
  const auto ledger = open(pairing);
  ASSERT_TRUE(must(ledger->set_weights(hotkey, vote, 0)).accepted());
  EXPECT_EQ(must(ledger->set_weights(hotkey, vote, 0)).refusal, Refusal::kTooSoon);
  chain->mine(200);
  EXPECT_FALSE(must(ledger->set_weights(hotkey, std::vector<ledger::Weight>{{9, 65535}}, 0)).accepted());
  const int before = chain->submitted;
  const auto failing = open([](auto, auto, auto) -> Result<Blinded> { return Error{ErrorCode::kUnavailable, "no curve"}; });
  EXPECT_EQ(failing->set_weights(hotkey, vote, 0).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(chain->submitted, before);
}

}  // namespace
}  // namespace brainlock::chain
