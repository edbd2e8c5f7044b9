#include "brainlock/update/signatures.hpp"

#include <gtest/gtest.h>

namespace brainlock::update {
namespace {

using crypto::Ed25519KeyPair;
const std::string kManifest = "{\"format\": 1}\n";

crypto::Ed25519KeyPair key_of(std::uint8_t number) {
  return Ed25519KeyPair::from_seed(crypto::Bytes(32, number)).value();
}
crypto::Ed25519PublicKey public_of(std::uint8_t number) { return key_of(number).public_key(); }
ErrorCode code(const std::vector<ManifestSignature>& signatures, const std::vector<crypto::Ed25519PublicKey>& pinned,
               std::size_t threshold, const std::string& manifest = kManifest) {
  const Status status = check_signatures(manifest, signatures, pinned, threshold);
  return status.ok() ? ErrorCode::kInternal : status.error().code;  // kInternal: taken
}
constexpr ErrorCode kTaken = ErrorCode::kInternal;

TEST(Signatures, AThresholdOfDifferentPinnedKeys) {
  const std::vector<crypto::Ed25519PublicKey> pinned = {public_of(1), public_of(2), public_of(3)};
  const auto a = sign_manifest(key_of(1), kManifest), b = sign_manifest(key_of(2), kManifest),
             stranger = sign_manifest(key_of(9), kManifest);
  EXPECT_EQ(code({a, b}, pinned, 2), kTaken);
  EXPECT_EQ(code({stranger, b, stranger, a}, pinned, 2), kTaken);
  EXPECT_EQ(code({a}, pinned, 1), kTaken);
  EXPECT_EQ(code({a}, pinned, 2), ErrorCode::kDenied);
  EXPECT_EQ(code({a, a, a}, pinned, 2), ErrorCode::kDenied);  // one key signs once
  EXPECT_EQ(code({a, stranger}, pinned, 2), ErrorCode::kDenied);
  EXPECT_EQ(code({}, pinned, 1), ErrorCode::kDenied);
  EXPECT_EQ(code({a, b}, pinned, 3), ErrorCode::kDenied);
  // Somebody else's signature under a pinned name.
  auto forged = stranger;
  forged.key = public_of(2);
  EXPECT_EQ(code({a, forged}, pinned, 2), ErrorCode::kDenied);
  EXPECT_EQ(code({forged, a, b}, pinned, 2), kTaken);  // a bad one before a good one of the same key spoils nothing
}

TEST(Signatures, ForTheseBytesAlone) {
  const auto a = sign_manifest(key_of(1), kManifest);
  EXPECT_EQ(code({a}, {public_of(1)}, 1), kTaken);
  EXPECT_EQ(code({a}, {public_of(1)}, 1, kManifest + " "), ErrorCode::kDenied);
  EXPECT_EQ(code({a}, {public_of(1)}, 1, ""), ErrorCode::kDenied);
  for (std::size_t bit = 0; bit < 8 * kManifest.size(); ++bit) {
    std::string changed = kManifest;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(code({a}, {public_of(1)}, 1, changed), ErrorCode::kDenied) << bit;
  }
  // A signature over the bare bytes, as any other use of the key would make it, is none.
  const ManifestSignature bare{public_of(1), key_of(1).sign(crypto::as_bytes(kManifest))};
  EXPECT_EQ(code({bare}, {public_of(1)}, 1), ErrorCode::kDenied);
}

TEST(Signatures, ThresholdsThatAskForNothing) {
  const auto a = sign_manifest(key_of(1), kManifest);
  EXPECT_EQ(code({a}, {public_of(1)}, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({a}, {}, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({a}, {public_of(1)}, 2), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({a}, {public_of(1), public_of(1)}, 2), ErrorCode::kInvalidArgument);
}

TEST(Signatures, Lines) {
  const auto a = sign_manifest(key_of(1), kManifest), b = sign_manifest(key_of(2), kManifest);
  const auto read = parse_signatures("# of two\n\n" + signature_line(a) + signature_line(b));
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read.value().size(), 2U);
  EXPECT_EQ(read.value()[1].key, b.key);
  EXPECT_EQ(read.value()[1].signature, b.signature);
  const std::string line = signature_line(a);
  EXPECT_EQ(parse_signatures(line.substr(0, line.size() - 1)).value().size(), 1U);  // without its end
  EXPECT_TRUE(parse_signatures("").value().empty());
  for (const std::string& text :
       {line.substr(1), line.substr(0, line.size() - 2), " " + line, "x" + line.substr(1),
        line.substr(0, 40) + "z" + line.substr(41), std::string("brainlock-release-signature-2") + line.substr(29),
        std::string("\xff\n")}) {
    EXPECT_EQ(parse_signatures(text).error().code, ErrorCode::kMalformed) << text;
  }
  std::string many;
  for (std::size_t i = 0; i < kMaxSignatures; ++i) many += line;
  EXPECT_TRUE(parse_signatures(many).ok());
  EXPECT_EQ(parse_signatures(many + line).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(parse_signatures(std::string(kMaxSignatureBytes + 1, '\n')).error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace brainlock::update
