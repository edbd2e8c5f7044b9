#include "brainlock/protocol/epistula.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "brainlock/protocol/nonce_memory.hpp"

namespace brainlock::protocol {
namespace {

constexpr std::int64_t kNow = 1'735'689'600'000;

Signer dev_signer(const char* uri) { return make_signer(crypto::Sr25519KeyPair::from_uri(uri).value().clone()); }

struct Peers {
  Signer validator = dev_signer("//Alice");
  Signer miner = dev_signer("//Bob");
  Signer stranger = dev_signer("//Eve");
  BodyHash body = crypto::sha256(crypto::as_bytes("question"));
  SignedRequest request = *sign_request(validator, miner.account, "POST", "/v1/x", body, kNow);

  [[nodiscard]] HeadVerdict check(const Headers& headers, std::int64_t now = kNow, std::string_view method = "POST",
                                  std::string_view target = "/v1/x") const {
    return check_head({.self = miner.account}, headers, method, target, now);
  }
  /// The request's headers with one value replaced (or removed, or doubled).
  [[nodiscard]] Headers with(const std::string& name, const std::string& value) const {
    Headers headers = request.headers;
    for (auto& [key, old] : headers) {
      if (key == name) old = value;
    }
    return headers;
  }
};

TEST(Epistula, KnownMessageAndSignature) {
  // Alice's signature over an Epistula v2 message with an empty body, made by another implementation.
  const BodyHash empty = crypto::sha256({});
  const std::string message = epistula_message(empty, "0b9d1e4a-3a4f-4c59-9d0b-1f2b6d2f7c11", 1'735'689'600'000,
                                               "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
  EXPECT_EQ(message,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.0b9d1e4a-3a4f-4c59-9d0b-1f2b6d2f7c11."
            "1735689600000.5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
  const std::string signature =
      "0xbe0577274c722a75533bbea522252b42458baf7ae6cd17d2fab5280d8709190581abfe9d9bb1aaf16592f7e60db17bb7d474e53094aa52b5b6"
      "b508d6ce6eee8f";
  const auto alice = *crypto::ss58_decode("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
  const Headers headers{{"epistula-version", "2"},
                        {"EPISTULA-TIMESTAMP", "1735689600000"},
                        {"Epistula-Uuid", "0b9d1e4a-3a4f-4c59-9d0b-1f2b6d2f7c11"},
                        {"Epistula-Signed-By", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"},
                        {"Epistula-Signed-For", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"},
                        {"Epistula-Request-Signature", signature},
                        {"Brainlock-Body-Sha256", crypto::hex_encode(empty)}};
  const HeadVerdict plain = check_head({.self = alice, .require_bound = false}, headers, "GET", "/", kNow);
  EXPECT_EQ(plain.refusal, Refusal::kNone) << refusal_name(plain.refusal) << " " << plain.message;
  EXPECT_EQ(plain.head.sender, alice);
  EXPECT_EQ(plain.head.body, empty);
  // Our own peers must bind method and path.
  EXPECT_EQ(check_head({.self = alice}, headers, "GET", "/", kNow).refusal, Refusal::kMissingHeader);
}

TEST(Epistula, HonestRequestIsAccepted) {
  const Peers peers;
  const HeadVerdict verdict = peers.check(peers.request.headers);
  ASSERT_EQ(verdict.refusal, Refusal::kNone) << verdict.message;
  EXPECT_EQ(verdict.head.sender, peers.validator.account);
  EXPECT_EQ(verdict.head.uuid, peers.request.uuid);
  EXPECT_EQ(verdict.head.timestamp_ms, kNow);
  EXPECT_EQ(verdict.head.body, peers.body);
}

TEST(Epistula, EveryMissingOrDoubledHeaderIsRefused) {
  const Peers peers;
  for (std::size_t i = 0; i < peers.request.headers.size(); ++i) {
    Headers missing = peers.request.headers;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(peers.check(missing).refusal, Refusal::kMissingHeader) << peers.request.headers[i].first;
    Headers doubled = peers.request.headers;
    doubled.push_back(doubled[i]);
    EXPECT_EQ(peers.check(doubled).refusal, Refusal::kDuplicateHeader) << peers.request.headers[i].first;
  }
}

TEST(Epistula, TimeWindowHoldsBothWays) {
  const Peers peers;
  EXPECT_EQ(peers.check(peers.request.headers, kNow + 8000).refusal, Refusal::kNone);
  EXPECT_EQ(peers.check(peers.request.headers, kNow + 8001).refusal, Refusal::kStale);
  EXPECT_EQ(peers.check(peers.request.headers, kNow - 8000).refusal, Refusal::kNone);
  EXPECT_EQ(peers.check(peers.request.headers, kNow - 8001).refusal, Refusal::kFromTheFuture);
  for (const char* text : {"", "-1", "+1", "01", "1e12", " 1735689600000", "1735689600000.0", "99999999999999999999"}) {
    EXPECT_EQ(peers.check(peers.with("Epistula-Timestamp", text)).refusal, Refusal::kBadTimestamp) << text;
  }
}

TEST(Epistula, SignatureHoldsForOneMethodAndPathOnly) {
  const Peers peers;
  EXPECT_EQ(peers.check(peers.request.headers, kNow, "GET").refusal, Refusal::kBadSignature);
  EXPECT_EQ(peers.check(peers.request.headers, kNow, "POST", "/v1/y").refusal, Refusal::kBadSignature);
  EXPECT_EQ(peers.check(peers.request.headers, kNow, "POST", "/v1/x?a=1").refusal, Refusal::kBadSignature);
}

TEST(Epistula, EveryFieldIsUnderTheSignature) {
  const Peers peers;
  EXPECT_EQ(peers.check(peers.with("Epistula-Version", "1")).refusal, Refusal::kBadVersion);
  EXPECT_EQ(peers.check(peers.with("Epistula-Timestamp", std::to_string(kNow + 1))).refusal, Refusal::kBadSignature);
  EXPECT_EQ(peers.check(peers.with("Epistula-Uuid", make_uuid())).refusal, Refusal::kBadSignature);
  EXPECT_EQ(peers.check(peers.with("Epistula-Uuid", "x")).refusal, Refusal::kBadUuid);
  EXPECT_EQ(peers.check(peers.with("Epistula-Signed-By", crypto::ss58_encode(peers.stranger.account))).refusal,
            Refusal::kBadSignature);
  EXPECT_EQ(peers.check(peers.with("Epistula-Signed-By", crypto::ss58_encode(peers.validator.account, 0))).refusal,
            Refusal::kBadSender);
  EXPECT_EQ(peers.check(peers.with("Epistula-Signed-For", crypto::ss58_encode(peers.stranger.account))).refusal,
            Refusal::kWrongReceiver);
  EXPECT_EQ(peers.check(peers.with("Epistula-Signed-For", "")).refusal, Refusal::kWrongReceiver);
  EXPECT_EQ(peers.check(peers.with("Brainlock-Body-Sha256", crypto::hex_encode(crypto::sha256({})))).refusal,
            Refusal::kBadSignature);
  EXPECT_EQ(peers.check(peers.with("Brainlock-Body-Sha256", "00")).refusal, Refusal::kBadBodyHash);
}

TEST(Epistula, SignaturesHaveOneSpelling) {
  const Peers peers;
  for (const char* name : {"Epistula-Request-Signature", "Brainlock-Signature"}) {
    const std::string good(header_value(peers.request.headers, name));
    std::string upper = good;
    for (char& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c;
    for (const std::string& bad : {good.substr(2), "1x" + good.substr(2), good + "00", good.substr(0, 128), upper, std::string()}) {
      EXPECT_EQ(peers.check(peers.with(name, bad)).refusal, Refusal::kBadSignature) << name << " " << bad;
    }
  }
}

TEST(Epistula, RequestForAnotherMinerIsRefused) {
  const Peers peers;
  const auto other = *sign_request(peers.validator, peers.stranger.account, "POST", "/v1/x", peers.body, kNow);
  EXPECT_EQ(peers.check(other.headers).refusal, Refusal::kWrongReceiver);
}

TEST(Epistula, AnswerIsProvedAndBoundToItsRequest) {
  const Peers peers;
  const Head head = peers.check(peers.request.headers).head;
  const BodyHash answer = crypto::sha256(crypto::as_bytes("answer"));
  const Headers good = *sign_answer(peers.miner, head, 200, answer, kNow + 60'000);
  const auto check = [&](const Headers& headers, int status = 200, std::int64_t now = kNow + 60'100) {
    return check_answer(peers.request, peers.validator.account, status, headers, answer, now);
  };
  EXPECT_TRUE(check(good).ok());
  EXPECT_FALSE(check(good, 500).ok());
  EXPECT_FALSE(check(good, 200, kNow + 70'000).ok()) << "kept back";
  EXPECT_FALSE(check(good, 200, kNow).ok()) << "dated in the future";
  EXPECT_FALSE(check(*sign_answer(peers.stranger, head, 200, answer, kNow + 60'000)).ok());
  for (std::size_t i = 0; i < good.size(); ++i) {
    Headers missing = good;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(check(missing).ok()) << good[i].first;
  }
  // The same answer to another request: not even with the same body asked.
  const auto second = *sign_request(peers.validator, peers.miner.account, "POST", "/v1/x", peers.body, kNow);
  EXPECT_FALSE(check_answer(second, peers.validator.account, 200, good, answer, kNow + 60'000).ok());
  // A body that was changed on the way.
  EXPECT_FALSE(check_answer(peers.request, peers.validator.account, 200, good, peers.body, kNow + 60'000).ok());
}

TEST(Epistula, UuidsAreVersionFourAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uuid = make_uuid();
    EXPECT_TRUE(is_uuid(uuid)) << uuid;
    EXPECT_TRUE(seen.insert(uuid).second);
  }
  for (const char* bad : {"", "0b9d1e4a-3a4f-1c59-9d0b-1f2b6d2f7c11", "0B9D1E4A-3A4F-4C59-9D0B-1F2B6D2F7C11",
                          "0b9d1e4a-3a4f-4c59-cd0b-1f2b6d2f7c11", "0b9d1e4a3a4f4c599d0b1f2b6d2f7c11"}) {
    EXPECT_FALSE(is_uuid(bad)) << bad;
  }
}

TEST(NonceMemory, RemembersUntilTheWindowIsOverAndNoLonger) {
  NonceMemory memory;
  const AccountId alice{1}, bob{2};
  EXPECT_EQ(memory.remember(alice, "u", 100, 50), NonceVerdict::kFresh);
  EXPECT_EQ(memory.remember(alice, "u", 100, 50), NonceVerdict::kReplayed);
  EXPECT_EQ(memory.remember(alice, "u", 100, 100), NonceVerdict::kReplayed);
  EXPECT_EQ(memory.remember(bob, "u", 100, 100), NonceVerdict::kFresh) << "another sender";
  EXPECT_EQ(memory.remember(alice, "u", 200, 101), NonceVerdict::kFresh) << "forgotten after its time";
  EXPECT_EQ(memory.size(), 1u);
}

TEST(NonceMemory, OrdinarySendersLeaveHalfOfItToValidators) {
  NonceMemory memory(4, 3);
  const AccountId alice{1};
  const auto ordinary = [&](std::uint8_t sender, std::int64_t now_ms) { return memory.remember(AccountId{sender}, "u", 100, now_ms, true); };
  EXPECT_EQ(ordinary(10, 0), NonceVerdict::kFresh);
  EXPECT_EQ(ordinary(11, 0), NonceVerdict::kFresh);
  EXPECT_EQ(ordinary(12, 0), NonceVerdict::kFull);
  for (const char* u : {"a", "b"}) EXPECT_EQ(memory.remember(alice, u, 100, 0), NonceVerdict::kFresh);
  EXPECT_EQ(memory.remember(alice, "c", 100, 0), NonceVerdict::kFull) << "now all of it is";
  EXPECT_EQ(ordinary(12, 101), NonceVerdict::kFresh) << "their time is over";
}

TEST(NonceMemory, RefusesRatherThanForgets) {
  NonceMemory memory(4, 3);
  const AccountId alice{1}, bob{2};
  for (const char* u : {"a", "b", "c"}) EXPECT_EQ(memory.remember(alice, u, 100, 0), NonceVerdict::kFresh);
  EXPECT_EQ(memory.remember(alice, "d", 100, 0), NonceVerdict::kFull) << "one sender's share";
  EXPECT_EQ(memory.remember(bob, "a", 100, 0), NonceVerdict::kFresh);
  EXPECT_EQ(memory.remember(bob, "b", 100, 0), NonceVerdict::kFull) << "all of it";
  EXPECT_EQ(memory.remember(alice, "a", 100, 0), NonceVerdict::kReplayed) << "still known when full";
  EXPECT_EQ(memory.remember(bob, "b", 300, 101), NonceVerdict::kFresh);
}

TEST(BodyHasher, EqualsTheOneShotHash) {
  crypto::Bytes bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  BodyHasher hasher;
  for (std::size_t at = 0, step = 1; at < bytes.size(); at += step, step = step * 2 + 1) {
    step = std::min(step, bytes.size() - at);
    hasher.update(std::span(bytes).subspan(at, step));
  }
  EXPECT_EQ(hasher.finish(), crypto::sha256(bytes));
}

}  // namespace
}  // namespace brainlock::protocol
