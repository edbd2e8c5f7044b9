// The known answer of a timelocked commit (commit-reveal version 4): the vote's SCALE form, every hash, the sealed body, the layout,
// and with a pairing made for these tests the point U, the pairing's value and the round's signature. Then what this library seals, with the
// pairing of CIRCL: the known answer byte for byte, and that the round's signature, and no other, opens what was sealed at random.
#include <openssl/evp.h>

#include <algorithm>

#include "brainlock/chain/pairing_program.hpp"
#include "brainlock/chain/timelock.hpp"
#include "brainlock/chain/timelocked_vote.hpp"
#include "brainlock/crypto/hash.hpp"
#include "brainlock/scale_codec/encoder.hpp"
#include "pairing12.hpp"
#include "temporary_folder.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

using crypto::Bytes;
using crypto::ByteView;

Bytes joined(ByteView a, ByteView b) {
  Bytes out(a.begin(), a.end());
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

Bytes either(ByteView a, ByteView b) {
  Bytes out(a.begin(), a.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(out[i] ^ b[i]);
  return out;
}

Bytes hash(ByteView bytes) {
  const auto digest = crypto::sha256(bytes);
  return {digest.begin(), digest.end()};
}

// Big-endian number modulo the order of the curve's scalars, by subtraction.
Bytes modulo_order(Bytes number) {
  const Bytes order = *crypto::hex_decode("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
  while (!std::lexicographical_compare(number.begin(), number.end(), order.begin(), order.end())) {
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
      const int digit = number[i] - order[i] - borrow;
      borrow = digit < 0 ? 1 : 0;
      number[i] = static_cast<std::uint8_t>(digit);
    }
  }
  return number;
}

// AES-256-GCM with the tag behind the text; empty when the tag does not fit.
Bytes open_box(const Bytes& key, const Bytes& nonce, ByteView sealed) {
  Bytes plain(sealed.size() - 16), tag(sealed.end() - 16, sealed.end());
  auto* context = EVP_CIPHER_CTX_new();
  int size = 0;
  EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data());
  EVP_DecryptUpdate(context, plain.data(), &size, sealed.data(), static_cast<int>(plain.size()));
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, tag.data());
  const bool good = EVP_DecryptFinal_ex(context, plain.data() + size, &size) == 1;
  EVP_CIPHER_CTX_free(context);
  return good ? plain : Bytes{};
}

TEST(Timelock, KnownAnswerWithoutThePairing) {
  const auto& v = known_answers()["timelock_v4"];
  EXPECT_EQ(hash(unhex(v["round_signature"])), unhex(v["randomness"]));
  Bytes round;
  for (int shift = 56; shift >= 0; shift -= 8) round.push_back(static_cast<std::uint8_t>(v["round"].get<std::uint64_t>() >> shift));
  EXPECT_EQ(hash(round), unhex(v["identity_sha256_be8"]));
  const Bytes esk = unhex(v["esk"]), sigma = unhex(v["sigma"]), nonce = unhex(v["nonce"]);
  EXPECT_EQ(hash(unhex(v["t_bytes"])), sigma);
  std::string r = v["r"].get<std::string>().substr(2);
  r.insert(0, 64 - r.size(), '0');
  EXPECT_EQ(crypto::hex_encode(modulo_order(hash(joined(sigma, esk)))), r);

  scale_codec::Encoder vote;
  vote.bytes(unhex("8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48"));  // //Bob, with a length.
  vote.compact(2).u16(2).u16(0).compact(2).u16(1000).u16(65535).u64(0);
  EXPECT_EQ(vote.data(), unhex(v["plaintext_scale"]));

  const Bytes commit = unhex(v["commit"]);
  ASSERT_EQ(commit.size(), v["commit_len"].get<std::size_t>());
  ASSERT_EQ(commit.size(), vote.data().size() + 244);
  scale_codec::Encoder layout;
  const auto part = [&](ByteView bytes) { layout.u64(bytes.size()).raw(bytes); };
  layout.raw(ByteView(commit).first(96));  // U.
  part(either(sigma, unhex(v["gt_bytes_sha256"])));
  part(either(esk, hash(sigma)));
  const auto sealed = ByteView(commit).subspan(96 + 40 + 40 + 16, vote.data().size() + 16);
  EXPECT_EQ(open_box(esk, nonce, sealed), vote.data());
  scale_codec::Encoder body;
  body.u64(sealed.size()).raw(sealed).u64(nonce.size()).raw(nonce);
  part(body.data());
  part(crypto::as_bytes("AES_GCM_"));
  EXPECT_EQ(layout.data(), commit);
}

TEST(Timelock, QuicknetIsTheBeaconOfItsHash) {
  const auto& v = known_answers()["drand_quicknet"];
  Bytes text;
  const auto big_endian = [&](std::uint64_t number, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text.push_back(static_cast<std::uint8_t>(number >> shift));
  };
  big_endian(v["period"].get<std::uint64_t>(), 4);
  big_endian(v["genesis"].get<std::uint64_t>(), 8);
  text = joined(text, unhex(v["public_key"]));
  // The group's seed and the beacon's name, which the network publishes beside the key.
  text = joined(text, *crypto::hex_decode("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"));
  text = joined(text, crypto::as_bytes("quicknet"));
  EXPECT_EQ(hash(text), unhex(v["chain_hash"]));
}

TEST(Timelock, PointsAndPairing) {
  namespace bls = pairing12;
  const auto& v = known_answers()["timelock_v4"];
  const auto generator = bls::generator();
  EXPECT_TRUE(generator.y * generator.y == generator.x * generator.x * generator.x + (bls::Fp2{4, 4}));
  const bls::Int r(v["r"].get<std::string>());
  const Bytes commit = unhex(v["commit"]);
  EXPECT_EQ(bls::encode_g2(bls::multiply(r, generator)), Bytes(commit.begin(), commit.begin() + 96));

  const auto identity = bls::decode_g1(unhex(v["Q_compressed"])), signature = bls::decode_g1(unhex(v["round_signature"]));
  const auto key = bls::decode_g2(unhex(known_answers()["drand_quicknet"]["public_key"]));
  ASSERT_TRUE(identity && signature && key);
  EXPECT_EQ(bls::encode_g2(*key), unhex(known_answers()["drand_quicknet"]["public_key"]));
  const auto value = bls::pairing(*identity, *key);
  EXPECT_TRUE(value == bls::pairing(*signature, generator));  // The signature of the round is valid.
  // The parameter of the curve is negative, and the usual libraries leave a factor of three in the final power.
  const Bytes bytes = bls::encode(bls::conjugate(bls::power(bls::power(value, bls::Long(r)), 3)));
  EXPECT_EQ(crypto::hex_encode(ByteView(bytes).first(48)), v["gt_first48"]);
  EXPECT_EQ(hash(bytes), unhex(v["gt_bytes_sha256"]));
}

// What the chain does when the round is there: the seal opened with the round's signature; empty if it does not open.
Bytes open_seal(const Bytes& sealed, const Bytes& signature) {
  namespace bls = pairing12;
  const auto read_part = [&](std::size_t at, std::size_t size) { return Bytes(sealed.begin() + static_cast<std::ptrdiff_t>(at), sealed.begin() + static_cast<std::ptrdiff_t>(at + size)); };
  const auto point = bls::decode_g2(read_part(0, 96));
  const auto key = bls::decode_g1(signature);
  if (!point || !key) return {};
  const Bytes value = bls::encode(bls::conjugate(bls::power(bls::pairing(*key, *point), 3)));
  const Bytes sigma = either(read_part(104, 32), hash(value));
  const Bytes text_key = either(read_part(144, 32), hash(sigma));
  const std::size_t text = sealed.size() - kTimelockOverhead;
  const Bytes body = read_part(192, text + 16), nonce = read_part(192 + text + 16 + 8, 12);
  return open_box(text_key, nonce, body);
}

struct Sealing : testing::Test {
  const nlohmann::json& v = known_answers()["timelock_v4"];
  const PairingFunction pairing = installed_pairing();
  void SetUp() override {
    if (!pairing) GTEST_SKIP() << "brainlock-pairing is not built: Go and CIRCL are missing";
  }
};

TEST_F(Sealing, TheKnownAnswerByteForByte) {
  TimelockSecrets secrets;
  const auto fill = [&](auto& field, const char* name) {
    const Bytes bytes = unhex(v[name]);
    ASSERT_EQ(bytes.size(), field.size());
    std::copy(bytes.begin(), bytes.end(), field.begin());
  };
  fill(secrets.text_key, "esk");
  fill(secrets.seed, "t_bytes");
  fill(secrets.nonce, "nonce");
  crypto::AccountId bob{};
  const Bytes account = unhex("0x8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48");
  std::copy(account.begin(), account.end(), bob.begin());
  const std::vector<ledger::Weight> vote{{2, 1000}, {0, 65535}};
  const Bytes text = timelocked_text(bob, vote, 0);
  EXPECT_EQ(text, unhex(v["plaintext_scale"]));
  const auto sealed = timelock_seal(text, v["round"].get<std::uint64_t>(), pairing, secrets);
  ASSERT_TRUE(sealed.ok()) << sealed.error().to_string();
  EXPECT_EQ(*sealed, unhex(v["commit"]));
}

TEST_F(Sealing, TheSignatureOfTheRoundOpensItAndNoOther) {
  const Bytes signature = unhex(v["round_signature"]);
  std::vector<Bytes> seals;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1100}}) {
    const Bytes text(size, 0x5a);
    const auto sealed = timelock_seal(text, 1000, pairing);
    ASSERT_TRUE(sealed.ok()) << sealed.error().to_string();
    EXPECT_EQ(sealed->size(), size + kTimelockOverhead);
    EXPECT_EQ(open_seal(*sealed, signature), text) << size;
    seals.push_back(*sealed);
  }
  EXPECT_NE(timelock_seal(Bytes{1}, 1000, pairing).value(), seals[1]) << "a seal of the same text is another one";
  const auto other = timelock_seal(Bytes(20, 1), 1001, pairing);
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(open_seal(*other, signature).empty());
}

TEST_F(Sealing, TheProgramRefusesWhatIsNoInput) {
  const Bytes key = unhex(known_answers()["drand_quicknet"]["public_key"]), round(32, 1);
  Bytes r(32, 0);
  EXPECT_EQ(pairing(round, r, key).error().code, ErrorCode::kUnavailable) << "a scalar of zero";
  r[31] = 1;
  EXPECT_TRUE(pairing(round, r, key).ok());
  Bytes bad = key;
  bad[50] ^= 1;
  EXPECT_EQ(pairing(round, r, bad).error().code, ErrorCode::kUnavailable);
  Bytes infinity(96, 0);
  infinity[0] = 0xc0;
  EXPECT_EQ(pairing(round, r, infinity).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(pairing(round, r, Bytes(95)).error().code, ErrorCode::kInvalidArgument);
}

TEST(PairingProgram, WhatFailsHasACode) {
  const Bytes round(32, 1), r(32, 1), key(96, 1);
  EXPECT_EQ(pairing_program("/nonexistent/brainlock-pairing")(round, r, key).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(pairing_program("/bin/false")(round, r, key).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(pairing_program("/bin/true")(round, r, key).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(pairing_program("/bin/cat")(round, r, key).error().code, ErrorCode::kMalformed) << "160 bytes of its input";
  EXPECT_EQ(pairing_program("/usr/bin/yes")(round, r, key).error().code, ErrorCode::kUnavailable) << "more than an answer: its next write fails";
}

TEST(PairingProgram, OneThatHangsIsKilled) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path());
  const auto script = folder.path() / "hangs";
  std::ofstream(script) << "#!/bin/sh\nexec sleep 60\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(pairing_program(script, std::chrono::milliseconds(300))(Bytes(32, 1), Bytes(32, 1), Bytes(96, 1)).error().code, ErrorCode::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

TEST(Timelock, RoundsOfTheBeacon) {
  EXPECT_EQ(beacon_round_at(0), 0U);
  EXPECT_EQ(beacon_round_at(kBeaconGenesisMs - 1), 0U);
  EXPECT_EQ(beacon_round_at(kBeaconGenesisMs), 1U);
  EXPECT_EQ(beacon_round_at(kBeaconGenesisMs + 2'999), 1U);
  EXPECT_EQ(beacon_round_at(kBeaconGenesisMs + 3'000), 2U);
}

}  // namespace
}  // namespace brainlock::chain
