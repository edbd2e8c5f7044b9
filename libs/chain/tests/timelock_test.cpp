// The known answer of a timelocked commit (commit-reveal version 4): the vote's SCALE form, every hash, the sealed body, the layout,
// and with a pairing made for these tests the point U, the pairing's value and the round's signature. What is taken as stated is how
// the round is hashed to the point Q; that the signature is valid for Q says that drand hashed it so too.
#include <openssl/evp.h>

#include <algorithm>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/scale_codec/encoder.hpp"
#include "pairing12.hpp"
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

}  // namespace
}  // namespace brainlock::chain
