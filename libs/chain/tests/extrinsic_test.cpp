#include "brainlock/chain/extrinsic.hpp"

#include "brainlock/crypto/hash.hpp"
#include "brainlock/ledger/key_signer.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

using nlohmann::json;

template <std::size_t N>
std::array<std::uint8_t, N> fixed(const json& text) {
  const auto bytes = unhex(text);
  std::array<std::uint8_t, N> out{};
  EXPECT_EQ(bytes.size(), N);
  std::copy_n(bytes.begin(), std::min(N, bytes.size()), out.begin());
  return out;
}

Era era_from(const json& text) {
  const auto bytes = unhex(text);
  if (bytes.size() == 1) return {};
  const unsigned bits = bytes[0] | static_cast<unsigned>(bytes[1]) << 8;
  Era era;
  era.period = std::uint64_t{2} << (bits & 15);
  era.phase = (bits >> 4) * std::max<std::uint64_t>(era.period >> 12, 1);
  return era;
}

SigningContext context_from(const json& v) {
  SigningContext context;
  context.spec_version = v["spec_version"];
  context.transaction_version = v["transaction_version"];
  context.genesis = fixed<32>(v["genesis"]);
  context.mortality = fixed<32>(v.contains("bh") ? v["bh"] : v["mortality_block_hash"]);
  context.era = era_from(v["era"]);
  context.nonce = v["nonce"];
  context.tip = v["tip"];
  return context;
}

TEST(Era, PublishedEncodings) {
  EXPECT_EQ(crypto::hex_encode(Era{}.encode()), "00");
  EXPECT_EQ(crypto::hex_encode(Era::mortal(64, 1000).encode()), "8502");
  EXPECT_EQ(crypto::hex_encode(Era::mortal(8, 1000).encode()), "0200");
  EXPECT_EQ(crypto::hex_encode(Era::mortal(64, 41).encode()), "9502");
  EXPECT_EQ(Era::mortal(64, 1000).birth(1000), 1000u);
  EXPECT_EQ(Era::mortal(64, 1000).birth(1063), 1000u);
  EXPECT_EQ(Era::mortal(64, 1000).birth(1064), 1064u);
  EXPECT_EQ(Era::mortal(5, 10).period, 8u);
  EXPECT_EQ(Era::mortal(1u << 20, 10).period, 65536u);
  const Era coarse = Era::mortal(65536, 100'003);
  EXPECT_LE(coarse.birth(100'003), 100'003u);
  EXPECT_GT(coarse.birth(100'003) + 16, 100'003u);
}

TEST(Extrinsic, SignedBytesAndWholeExtrinsicsOfTheVectors) {
  std::size_t checked = 0;
  for (const auto* spec : {"spec293", "spec381"}) {
    const auto& set = known_answers()["extrinsics"][spec];
    const auto call = unhex(set["calls"]["burned_register"]);
    for (const auto& [name, v] : set["burned_register_by_alice"].items()) {
      SCOPED_TRACE(std::string(spec) + " " + name);
      const auto context = context_from(v);
      EXPECT_EQ(crypto::hex_encode_0x(signed_bytes(call, context)), v["signed_bytes"]);
      const auto expected = unhex(v["extrinsic"]);
      // Length 2 | 84 | 00 | key 32 | 01 | signature 64: ours with the same signature must be the same bytes.
      const crypto::ByteView view(expected);
      const auto signer = fixed<32>(crypto::hex_encode(view.subspan(4, 32)));
      const auto signature = fixed<64>(crypto::hex_encode(view.subspan(37, 64)));
      EXPECT_EQ(assemble_extrinsic(call, context, signer, signature), expected);
      EXPECT_TRUE(crypto::sr25519_verify(signer, signing_payload(call, context), signature));
      ++checked;
    }
  }
  EXPECT_EQ(checked, 6u);
}

TEST(Extrinsic, TransactionsThatTheChainAcceptedVerify) {
  for (const auto& v : known_answers()["finney_onchain"]["extrinsics"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    const auto context = context_from(v);
    const auto call = unhex(v["method"]);
    EXPECT_EQ(signed_bytes(call, context).size(), v["payload_len"].get<std::size_t>());
    EXPECT_TRUE(crypto::sr25519_verify(unhex(v["pub"]), signing_payload(call, context), unhex(v["sig"])));
  }
}

TEST(Extrinsic, LongPayloadsAreHashed) {
  const SigningContext context;
  const std::size_t around = signed_bytes({}, context).size();
  EXPECT_EQ(signing_payload(crypto::Bytes(256 - around), context).size(), 256u);
  EXPECT_EQ(signing_payload(crypto::Bytes(257 - around), context).size(), 32u);
}

TEST(Extrinsic, GenuineSigningRulesAreKnown) {
  const auto metadata = Metadata::decode(read_vector_file("metadata-spec224.scale"));
  ASSERT_TRUE(metadata.ok());
  EXPECT_TRUE(check_signing_rules(*metadata).ok()) << check_signing_rules(*metadata).error().to_string();
  const ledger::KeySigner alice(crypto::Sr25519KeyPair::from_uri("//Alice").value());
  const auto extrinsic = sign_extrinsic(*metadata, crypto::Bytes{0, 0, 0}, SigningContext{}, alice);
  ASSERT_TRUE(extrinsic.ok());
  EXPECT_EQ(crypto::ByteView(*extrinsic)[2], 0x84);
}

// The genuine metadata with another identifier in its list of extensions; the type's path, which comes first, keeps its
// name.
Metadata renamed_extension(std::string_view before, std::string_view after) {
  auto blob = read_vector_file("metadata-spec224.scale");
  const auto text = [](std::string_view name) {  // SCALE: the length, compact, and the bytes
    crypto::Bytes out{static_cast<std::uint8_t>(name.size() << 2)};
    out.insert(out.end(), name.begin(), name.end());
    return out;
  };
  const auto old = text(before), put = text(after);
  const auto at = std::find_end(blob.begin(), blob.end(), old.begin(), old.end());
  EXPECT_NE(at, blob.end()) << before;
  if (at != blob.end())
    blob.insert(blob.erase(at, at + static_cast<std::ptrdiff_t>(old.size())), put.begin(), put.end());
  return Metadata::decode(blob).value();
}

// The wrapper of the fee carries what it wraps; one that limits rates carries nothing.
TEST(Extrinsic, ExtensionsOfOtherRuntimesAreKnown) {
  for (const auto& [before, after] : {std::pair{"ChargeTransactionPayment", "ChargeTransactionPaymentWrapper"},
                                      std::pair{"CheckWeight", "RateLimitTransactionExtension"},
                                      std::pair{"CheckWeight", "CheckShieldedTxValidity"}}) {
    const auto status = check_signing_rules(renamed_extension(before, after));
    EXPECT_TRUE(status.ok()) << after << ": " << status.error().to_string();
  }
}

TEST(Extrinsic, ExtensionsWithBytesAreThereOnceAndInTheirPlaces) {
  const auto message = [](std::string_view before, std::string_view after) {
    const auto status = check_signing_rules(renamed_extension(before, after));
    EXPECT_EQ(status.ok() ? ErrorCode::kInternal : status.error().code, ErrorCode::kUnsupported);
    return status.ok() ? std::string() : status.error().message;
  };
  // These two look alike: only their order tells them apart.
  EXPECT_NE(message("CheckSpecVersion", "CheckTxVersion").find("CheckTxVersion in another place"), std::string::npos);
  EXPECT_NE(message("CheckTxVersion", "CheckSpecVersion").find("CheckSpecVersion in another place"), std::string::npos);
  // What should carry bytes does not, and the other way round.
  EXPECT_NE(message("CheckNonce", "CheckWeight").find("another shape"), std::string::npos);
  EXPECT_NE(message("CheckWeight", "CheckNonce").find("another shape"), std::string::npos);
}

TEST(Extrinsic, UnknownOrMisplacedExtensionsAreRefused) {
  auto blob = read_vector_file("metadata-spec224.scale");
  const std::string name = "CheckWeight";
  const auto at = std::search(blob.begin(), blob.end(), name.begin(), name.end());
  // The last occurrence is the identifier in the extension list; the type's path comes first.
  auto last = std::find_end(blob.begin(), blob.end(), name.begin(), name.end());
  ASSERT_NE(at, blob.end());
  *last = 'X';
  const auto changed = Metadata::decode(blob);
  ASSERT_TRUE(changed.ok());
  const auto status = check_signing_rules(*changed);
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(status.error().message.find("XheckWeight"), std::string::npos);
}

}  // namespace
}  // namespace brainlock::chain
