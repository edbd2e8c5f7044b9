#include "brainlock/store/store.hpp"

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <thread>

#include "backend.hpp"
#include "schema.hpp"

namespace brainlock::store {
namespace {

class StoreTest : public OnBothEngines {};

RequestRow sample(int number) {
  RequestRow row;
  row.uuid = "uuid-" + std::to_string(number);
  row.validator = key(9);
  row.miner = key(static_cast<std::uint8_t>(number % 3));
  row.miner_uid = number % 3;
  row.package = "ab12";
  row.input_kind = "synthetic";
  row.input_seed = 0xfedc'ba98'7654'3210ULL + static_cast<std::uint64_t>(number);
  row.started_ms = 1000 * number;
  row.finished_ms = 1000 * number + 500;
  row.success = number % 4 != 0;
  row.reason = row.success ? "ok" : "timeout";
  row.response_s = row.success ? 0.25 * number : 0.0;
  row.network_s = 0.001;
  row.bytes_sent = 1'000'000'000'000;
  row.bytes_received = 7;
  return row;
}

TEST_P(StoreTest, ARequestComesBackWholeAndOnlyOnce) {
  auto store = open();
  RequestRow row = sample(5);
  row.deviation = 1.5e-7;
  row.similarity = 0.999;
  row.detail = std::string("bad\nbytes\xff and \xe2\x82\xac ") + std::string(900, 'z');
  EXPECT_TRUE(store->record_request(row).value());
  EXPECT_FALSE(store->record_request(row).value());
  RequestRow other = row;
  other.success = false;
  EXPECT_FALSE(store->record_request(other).value()) << "a row is never rewritten";

  const auto rows = store->requests().value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].uuid, row.uuid);
  EXPECT_EQ(rows[0].validator, row.validator);
  EXPECT_EQ(rows[0].miner, row.miner);
  EXPECT_EQ(rows[0].miner_uid, row.miner_uid);
  EXPECT_EQ(rows[0].package, row.package);
  EXPECT_EQ(rows[0].input_kind, row.input_kind);
  EXPECT_EQ(rows[0].input_seed, row.input_seed);
  EXPECT_EQ(rows[0].started_ms, row.started_ms);
  EXPECT_EQ(rows[0].finished_ms, row.finished_ms);
  EXPECT_TRUE(rows[0].success);
  EXPECT_EQ(rows[0].reason, "ok");
  EXPECT_EQ(rows[0].response_s, row.response_s);
  EXPECT_EQ(rows[0].network_s, row.network_s);
  EXPECT_EQ(rows[0].bytes_sent, row.bytes_sent);
  EXPECT_EQ(rows[0].bytes_received, row.bytes_received);
  EXPECT_EQ(rows[0].deviation, row.deviation);
  EXPECT_EQ(rows[0].similarity, row.similarity);
  EXPECT_EQ(rows[0].detail.size(), 500U);
  EXPECT_THAT(rows[0].detail, testing::StartsWith("bad?bytes? and \xe2\x82\xac zzz"));
}

TEST_P(StoreTest, FiltersCountsAndReasons) {
  auto store = open();
  for (int i = 1; i <= 12; ++i) ASSERT_TRUE(store->record_request(sample(i)).value());
  EXPECT_FALSE(store->requests().value()[0].deviation.has_value());

  RequestFilter filter;
  filter.limit = 4;
  auto rows = store->requests(filter).value();
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].uuid, "uuid-12");  // newest first
  EXPECT_EQ(rows[3].uuid, "uuid-9");

  filter = {};
  filter.miner = key(1);
  EXPECT_EQ(store->count_requests(filter).value(), 4);
  filter.since_ms = 4500;
  EXPECT_EQ(store->count_requests(filter).value(), 3);
  filter.until_ms = 10'500;
  EXPECT_EQ(store->count_requests(filter).value(), 2);
  filter.miner = key(77);
  EXPECT_EQ(store->count_requests(filter).value(), 0);
  EXPECT_TRUE(store->requests(filter).value().empty());

  EXPECT_EQ(store->miners_since(0).value(), (std::vector<Key32>{key(0), key(1), key(2)}));
  EXPECT_EQ(store->miners_since(12'500).value(), (std::vector<Key32>{key(0)}));
  const auto reasons = store->reasons({}).value();
  ASSERT_EQ(reasons.size(), 2U);
  EXPECT_EQ(reasons[0], (std::pair<std::string, std::int64_t>("ok", 9)));
  EXPECT_EQ(reasons[1], (std::pair<std::string, std::int64_t>("timeout", 3)));

  filter = {};
  filter.limit = 1;
  EXPECT_EQ(store->reasons(filter).value().size(), 1U);
  filter.miner = key(1);
  filter.limit = 10;
  filter.since_ms = 4501;  // of miner 1: rows 7 and 10, and no more of its failure 4
  EXPECT_EQ(store->reasons(filter).value(), (std::vector<std::pair<std::string, std::int64_t>>{{"ok", 2}}));
  filter.until_ms = 10'000;
  EXPECT_EQ(store->reasons(filter).value().at(0).second, 1);
}

// Age is counted in days that have rows: whatever the clock says, that takes as many of them as it should.
class PruneTest : public StoreTest {
 protected:
  static constexpr std::int64_t kHour = 3'600'000, kDay = 24 * kHour, kKept = 90;
  static constexpr std::int64_t kToday = 1'800'000'000'000, kYear2099 = 4'070'908'800'000;

  /// A row an hour, over the days that end at `until_ms`.
  static void fill(Store& store, std::int64_t until_ms, int days) {
    std::vector<RequestRow> rows;
    for (int hour = 0; hour < 24 * days; ++hour) {
      rows.push_back(sample(1));
      rows.back().finished_ms = until_ms - hour * kHour;
      rows.back().uuid = std::to_string(rows.back().finished_ms);
    }
    ASSERT_EQ(store.record_requests(rows).value(), rows.size());
  }
  static std::int64_t deleted(Store& store, std::int64_t now_ms) { return store.prune_requests(now_ms, kKept).value(); }
};

TEST_P(PruneTest, AnHourCostsTheOldestHour) {
  auto store = open();
  fill(*store, kToday, 90);
  EXPECT_EQ(deleted(*store, kToday + 1), 0);
  fill(*store, kToday + kDay, 1);
  EXPECT_EQ(deleted(*store, kToday + kDay), 24);
  EXPECT_EQ(deleted(*store, kToday + kDay), 0);
  EXPECT_EQ(store->first_request_ms(0).value(), kToday - 89 * kDay + kHour);
  EXPECT_EQ(store->prune_requests(kToday + kDay, 1).value(), 89 * 24);
  EXPECT_EQ(store->prune_requests(kToday + kDay, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->count_requests().value(), 24);
}

TEST_P(PruneTest, AClockAheadDeletesNothing) {
  auto store = open();
  EXPECT_EQ(deleted(*store, kToday), 0) << "nor where there is nothing";
  fill(*store, kToday, 90);
  for (const std::int64_t now_ms : {kToday + 100 * kDay, kYear2099, INT64_MAX, kToday}) {
    EXPECT_EQ(deleted(*open(), now_ms), 0) << now_ms;
  }
}

TEST_P(PruneTest, RowsOfTheFutureCostADayAtMostAndNothingOnceTheClockIsRight) {
  auto store = open();
  fill(*store, kToday, 89);
  fill(*store, kYear2099, 1);
  fill(*store, kYear2099 + 100 * kDay, 1);   // once more, after it was right
  EXPECT_EQ(deleted(*store, kYear2099), 0) << "with the one of 2099 there are 90";
  EXPECT_EQ(deleted(*store, kToday), 0);
  EXPECT_EQ(deleted(*store, kToday - 200 * kDay), 0) << "a clock that is behind: all is of the future";
  fill(*store, kToday + kDay, 1);
  EXPECT_EQ(deleted(*store, kToday + kDay), 0);
  EXPECT_EQ(deleted(*store, kYear2099 + 5), 24) << "91 of them";
}

TEST_P(PruneTest, AClockThatStaysAheadLetsHistoryGoAtItsPace) {
  auto store = open();
  fill(*store, kToday, 90);
  for (int day = 1; day <= 95; ++day) {
    fill(*store, kYear2099 + day * kDay, 1);
    // Another process each day: what is known of time is in the rows.
    EXPECT_EQ(deleted(*open(), kYear2099 + day * kDay), 24) << day;
  }
  EXPECT_EQ(store->count_requests().value(), 90 * 24);
  EXPECT_EQ(store->first_request_ms(0).value(), kYear2099 + 5 * kDay + kHour);
}

TEST_P(PruneTest, WhoWasAwayKeepsWhatIsOldUntilThereIsAsMuchThatIsNew) {
  auto store = open();
  fill(*store, kToday, 90);
  const std::int64_t back_ms = kToday + 200 * kDay;
  EXPECT_EQ(deleted(*store, back_ms), 0);
  for (int day = 1; day <= 90; ++day) {
    fill(*store, back_ms + day * kDay, 1);
    EXPECT_EQ(deleted(*store, back_ms + day * kDay), 24) << day;
  }
  EXPECT_EQ(store->first_request_ms(0).value(), back_ms + kHour);
}

INSTANTIATE_TEST_SUITE_P(Engines, PruneTest, kBothEngines, engine_name);

TEST_P(StoreTest, BucketsHoldMediansPerMiner) {
  auto store = open();
  for (int i = 1; i <= 12; ++i) ASSERT_TRUE(store->record_request(sample(i)).value());
  // Bucket of 6 s: rows 1..5 | 6..11 | 12. Miner 1 has rows 1, 4 (failure) | 7, 10.
  const auto buckets = store->time_buckets(0, 13'000, 6000).value();
  std::map<std::pair<std::int64_t, Key32>, TimeBucket> found;
  for (const auto& bucket : buckets) found[{bucket.start_ms, bucket.miner}] = bucket;
  const TimeBucket early = found[{0, key(1)}];
  EXPECT_EQ(early.successes, 1U);
  EXPECT_EQ(early.failures, 1U);
  EXPECT_DOUBLE_EQ(early.median_s, 0.25);
  const TimeBucket later = found[{6000, key(1)}];
  EXPECT_EQ(later.successes, 2U);
  EXPECT_DOUBLE_EQ(later.median_s, (0.25 * 7 + 0.25 * 10) / 2);
  EXPECT_DOUBLE_EQ(later.fastest_s, 0.25 * 7);
  EXPECT_EQ((found[{12'000, key(0)}].failures), 1U);
  EXPECT_EQ(store->time_buckets(0, 1, 0).error().code, ErrorCode::kInvalidArgument);
}

// More rows than are read at once, many of the same millisecond: none is left out and none counted twice.
TEST_P(StoreTest, BucketsOfManyRows) {
  auto store = open();
  std::vector<RequestRow> rows;
  for (int i = 0; i < 700; ++i) {
    RequestRow row = sample(1);
    row.uuid = "many-" + std::to_string(i);
    row.finished_ms = 5000 + i / 100;
    row.success = i % 7 != 0;
    row.response_s = 1 + i;
    rows.push_back(row);
  }
  EXPECT_EQ(store->record_requests(rows).value(), 700U);
  const auto buckets = store->time_buckets(0, 10'000, 10'000).value();
  ASSERT_EQ(buckets.size(), 1U);
  EXPECT_EQ(buckets[0].failures, 100U);
  EXPECT_EQ(buckets[0].successes, 600U);
  EXPECT_DOUBLE_EQ(buckets[0].fastest_s, 2);
  EXPECT_DOUBLE_EQ(buckets[0].median_s, 351);  // of 1..700 without 1, 8, 15, ...: the 300th is 350, the 301st 352
  EXPECT_EQ(store->time_buckets(5003, 5005, 1000).value().at(0).successes, 171U);
}

TEST_P(StoreTest, SeveralRowsAtOnceAreThereOnce) {
  auto store = open();
  const std::vector<RequestRow> rows{sample(1), sample(2), sample(1)};
  EXPECT_EQ(store->record_requests(rows).value(), 2U);
  EXPECT_EQ(store->record_requests(rows).value(), 0U);
  EXPECT_EQ(store->record_requests({}).value(), 0U);
  EXPECT_EQ(store->count_requests().value(), 2);
}

TEST_P(StoreTest, VotesKeepTheirWeights) {
  auto store = open();
  VoteRow vote;
  vote.id = "v1";
  vote.time_ms = 5;
  vote.block = 1234;
  vote.netuid = 54;
  vote.accepted = true;
  vote.reason = "none";
  vote.weights = {{7, 65535}, {2, 1}};
  EXPECT_TRUE(store->record_vote(vote).value());
  EXPECT_FALSE(store->record_vote(vote).value());
  VoteRow refused = vote;
  refused.id = "v2";
  refused.accepted = false;
  refused.reason = "too_soon";
  refused.detail = "next allowed in 17 blocks";
  refused.weights.clear();
  EXPECT_TRUE(store->record_vote(refused).value());
  EXPECT_TRUE(store->confirm_vote("v1", 1240).ok());
  EXPECT_EQ(store->confirm_vote("v3", 1).error().code, ErrorCode::kNotFound);

  const auto votes = store->votes(10).value();
  ASSERT_EQ(votes.size(), 2U);
  EXPECT_EQ(votes[0].id, "v2");
  EXPECT_EQ(votes[0].reason, "too_soon");
  EXPECT_FALSE(votes[0].accepted);
  EXPECT_FALSE(votes[0].confirmed_block.has_value());
  EXPECT_EQ(votes[1].weights, (std::vector<std::pair<std::uint16_t, std::uint16_t>>{{2, 1}, {7, 65535}}));
  EXPECT_EQ(votes[1].confirmed_block, 1240U);
  EXPECT_EQ(store->votes(1).value().size(), 1U);

  VoteRow doubled = vote;
  doubled.id = "v4";
  doubled.weights = {{1, 1}, {1, 2}};
  EXPECT_EQ(store->record_vote(doubled).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->votes(10).value().size(), 2U) << "nothing half stored";
}

TEST_P(StoreTest, ADatabaseThatHasReplayProtectionStillOpens) {
  {
    auto old = connect();
    ASSERT_TRUE(migrate(*old, "store", store_migrations().first(2)).ok());
    ASSERT_TRUE(old->execute("INSERT INTO nonces (signer, nonce, expires_ms) VALUES (?, ?, ?)", {Value(Blob{7}), Value("n"), Value(1)}).ok());
    ASSERT_TRUE(old->execute("INSERT INTO settings (scope, name, value) VALUES (?, ?, ?)", {Value("s"), Value("a"), Value(Blob{1})}).ok());
  }
  EXPECT_EQ(open()->get("s", "a").value(), Blob{1});
  EXPECT_EQ(open()->get("s", "a").value(), Blob{1}) << "once more";
  EXPECT_FALSE(connect()->query("SELECT * FROM nonces").ok());
  EXPECT_EQ(migrate(*connect(), "store", store_migrations().first(2)).error().code, ErrorCode::kUnsupported) << "an older program";
}

TEST_P(StoreTest, SettingsAreReplacedListedAndRemoved) {
  auto store = open();
  EXPECT_EQ(store->get("s", "a").error().code, ErrorCode::kNotFound);
  const Blob bytes = {0, 255, 0};
  ASSERT_TRUE(store->put("s", "b", bytes).ok());
  ASSERT_TRUE(store->put("s", "a", "text").ok());
  ASSERT_TRUE(store->put("s", "a", "").ok());
  ASSERT_TRUE(store->put("other", "a", "x").ok());
  EXPECT_EQ(store->get("s", "b").value(), bytes);
  EXPECT_TRUE(store->get("s", "a").value().empty());
  const auto all = store->list("s").value();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].first, "a");
  EXPECT_EQ(all[1].second, bytes);
  EXPECT_TRUE(store->remove("s", "a").value());
  EXPECT_FALSE(store->remove("s", "a").value());
  EXPECT_EQ(store->put("s", "big", std::string((1 << 20) + 1, 'x')).error().code, ErrorCode::kTooLarge);
}

TEST_P(StoreTest, ManyThreadsAndTwoProcessesLoseNothing) {
  auto first = open();
  auto second = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Store& store = t % 2 == 0 ? *first : *second;
      for (int i = 0; i < 25; ++i) {
        EXPECT_TRUE(store.record_request(sample(t * 100 + i)).value());
        EXPECT_TRUE(store.put("s", "same-" + std::to_string(i), "x").ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(first->count_requests().value(), 100);
  EXPECT_EQ(second->count_requests().value(), 100);
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreTest, kBothEngines, engine_name);

TEST(StoreAddress, ComesFromTheEnvironment) {
  std::map<std::string, std::string> environment;
  const auto lookup = [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  const auto read = [&] { return store_address_from_environment(lookup, "/x/store.db"); };
  EXPECT_EQ(std::get<std::filesystem::path>(read().value()), "/x/store.db");
  environment["POSTGRES_DB"] = "named";  // alone it means nothing
  EXPECT_TRUE(std::holds_alternative<std::filesystem::path>(read().value()));
  environment["POSTGRES_USER"] = "u";
  EXPECT_EQ(read().error().code, ErrorCode::kInvalidArgument);  // no password
  environment["POSTGRES_PASSWORD"] = "p";
  auto address = std::get<PostgresAddress>(read().value());
  EXPECT_EQ(address.host, "127.0.0.1");
  EXPECT_EQ(address.port, 5432);
  EXPECT_EQ(address.database, "named");
  environment.erase("POSTGRES_DB");
  environment["POSTGRES_PORT"] = "6000";
  environment["POSTGRES_HOST"] = "db";
  address = std::get<PostgresAddress>(read().value());
  EXPECT_EQ(address.database, "miner_data");
  EXPECT_EQ(address.host, "db");
  EXPECT_EQ(address.port, 6000);
  for (const char* bad : {"0", "65536", "5x", "-1"}) {
    environment["POSTGRES_PORT"] = bad;
    EXPECT_EQ(read().error().code, ErrorCode::kInvalidArgument) << bad;
  }
  environment.erase("POSTGRES_PORT");
  environment.erase("POSTGRES_USER");
  EXPECT_EQ(read().error().code, ErrorCode::kInvalidArgument);
}

TEST(CleanText, LeavesTextAndReplacesTheRest) {
  EXPECT_EQ(clean_text("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82"), "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82");
  EXPECT_EQ(clean_text(std::string("a\0b\x7f\x1b[31m", 9)), "a?b??[31m");
  EXPECT_EQ(clean_text("\xc0\xaf \xed\xa0\x80 \xf5 \xe2\x82"), "?? ??? ? ??");  // overlong, surrogate, too high, cut
  EXPECT_EQ(clean_text("\xc2\x85"), "?");                                       // a C1 control
  EXPECT_EQ(clean_text("ab\xe2\x82\xac", 4), "ab");                             // never half a character
}

}  // namespace
}  // namespace brainlock::store
