#include "brainlock/chain/keyfile.hpp"

#include <nlohmann/json.hpp>

#include "brainlock/crypto/bip39.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

using crypto::ByteView;
using nlohmann::json;

std::string_view text(const crypto::SecretBuffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

const json& nacl() { return known_answers()["keyfile_nacl"]; }
std::string plaintext() { return nacl()["plaintext"].get<std::string>(); }

crypto::WipedArray<32> nacl_key() {
  const auto bytes = unhex(nacl()["key"]);
  return crypto::WipedArray<32>(ByteView(bytes).first<32>());
}

json fields() { return json::parse(plaintext()); }
Result<WalletKey> parse(const json& document) { return WalletKey::from_json(crypto::as_bytes(document.dump())); }

TEST(KeyFile, NaclKeyDerivationAndWholeFile) {
  const auto key = nacl_key_from_password("  brainlock-test-pw\n");  // Surrounding space is dropped.
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(crypto::hex_encode(key->view()), nacl()["key"]);
}

TEST(KeyFile, NaclBoxBothWays) {
  const auto file = unhex(nacl()["file_hex"]);
  EXPECT_EQ(key_file_format(file), KeyFileFormat::kNacl);
  const auto plain = decrypt_nacl(file, nacl_key());
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(text(*plain), plaintext());
  const auto nonce = unhex(nacl()["nonce"]);
  EXPECT_EQ(encrypt_nacl(plain->bytes(), nacl_key(), ByteView(nonce).first<24>()), file);
}

TEST(KeyFile, EveryTruncationAndGarbledByteOfNaclIsAnError) {
  const auto file = unhex(nacl()["file_hex"]);
  const auto key = nacl_key();
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(decrypt_nacl(ByteView(file).first(size), key).ok()) << size;
  }
  for (std::size_t i = 0; i < file.size(); ++i) {
    auto changed = file;
    changed[i] ^= 1;
    EXPECT_FALSE(decrypt_nacl(changed, key).ok()) << i;
  }
  EXPECT_EQ(decrypt_nacl(ByteView(file).first(20), key).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(decrypt_key_file(ByteView(file).first(20), "x").error().code, ErrorCode::kTruncated);
}

TEST(KeyFile, AnsibleVaultWrittenByAnsible) {
  const auto& legacy = known_answers()["keyfile_legacy"];
  const auto file = legacy["ansible_vault"].get<std::string>();
  const auto plain = decrypt_key_file(crypto::as_bytes(file), legacy["password"].get<std::string>());
  ASSERT_TRUE(plain.ok()) << plain.error().to_string();
  EXPECT_EQ(text(*plain), plaintext());
  EXPECT_EQ(decrypt_key_file(crypto::as_bytes(file), "wrong").error().code, ErrorCode::kDenied);
  for (std::size_t size = 14; size + 1 < file.size(); size += 7) {
    EXPECT_FALSE(decrypt_key_file(crypto::as_bytes(file.substr(0, size)), "brainlock-test-pw").ok()) << size;
  }
  EXPECT_EQ(decrypt_key_file(crypto::as_bytes("$ANSIBLE_VAULT;1.2;AES256;x\n00"), "x").error().code,
            ErrorCode::kUnsupported);
}

TEST(KeyFile, FernetTokenOfTheOldestTools) {
  const auto& legacy = known_answers()["keyfile_legacy"];
  const auto file = legacy["fernet"].get<std::string>();
  EXPECT_EQ(key_file_format(crypto::as_bytes(file)), KeyFileFormat::kFernet);
  const auto plain = decrypt_key_file(crypto::as_bytes(file), legacy["password"].get<std::string>());
  ASSERT_TRUE(plain.ok()) << plain.error().to_string();
  EXPECT_EQ(text(*plain), plaintext());
  EXPECT_EQ(decrypt_key_file(crypto::as_bytes("gAAAAA"), "x").error().code, ErrorCode::kTruncated);
  EXPECT_EQ(decrypt_key_file(crypto::as_bytes("gAAAAA*"), "x").error().code, ErrorCode::kMalformed);
}

TEST(KeyFile, JsonPrecedenceIsPhraseSeedPrivateKeyAddress) {
  auto document = fields();
  const auto key = parse(document);
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(key->has_private_key());
  EXPECT_EQ(key->ss58(), document["ss58Address"]);
  const std::string private_key = crypto::hex_encode_0x((*key->pair())->secret_key().view());
  document.erase("secretPhrase");
  EXPECT_EQ(parse(document)->ss58(), key->ss58());
  document["secretSeed"] = nullptr;
  document["privateKey"] = private_key;
  const auto expanded = parse(document);
  ASSERT_TRUE(expanded.ok());
  EXPECT_TRUE(crypto::sr25519_verify(key->account(), "m", *(*expanded->pair())->sign("m")));
  document.erase("privateKey");
  const auto half = parse(document);
  ASSERT_TRUE(half.ok());
  EXPECT_FALSE(half->has_private_key());
  EXPECT_EQ(half->pair().error().code, ErrorCode::kDenied);
  EXPECT_EQ(half->private_json().error().code, ErrorCode::kDenied);
  EXPECT_EQ(half->account(), key->account());
}

TEST(KeyFile, ContradictionsAreRefused) {
  const std::string alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
  const std::string alice_hex = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
  for (const char* field : {"publicKey", "accountId", "ss58Address"}) {
    auto document = fields();
    document[field] = std::string(field) == "ss58Address" ? alice : alice_hex;
    EXPECT_EQ(parse(document).error().code, ErrorCode::kMismatch) << field;
  }
  auto document = fields();
  for (const char* field : {"publicKey", "accountId"}) document[field] = alice_hex;
  document["ss58Address"] = alice;
  EXPECT_EQ(parse(document).error().code, ErrorCode::kMismatch);  // Consistent, but not of the phrase.
}

TEST(KeyFile, MalformedJson) {
  for (const char* bad : {"", "[]", "{", "7", "{\"secretSeed\":7}", "{}", "{\"secretSeed\":\"0x12\"}",
                          "{\"ss58Address\":\"5\"}", "{\"privateKey\":\"0x00\"}", "{\"publicKey\":\"zz\"}"}) {
    EXPECT_EQ(WalletKey::from_json(crypto::as_bytes(bad)).error().code, ErrorCode::kMalformed) << bad;
  }
  EXPECT_EQ(WalletKey::from_json(crypto::Bytes(kMaxKeyFileBytes + 1, '{')).error().code, ErrorCode::kTooLarge);
  const auto whole = plaintext();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(WalletKey::from_json(crypto::as_bytes(whole.substr(0, size))).ok()) << size;
  }
}

TEST(KeyFile, WrittenJsonReadsBackToTheSameKey) {
  const auto phrase = crypto::generate_mnemonic(12);
  const auto key = WalletKey::from_mnemonic(*phrase);
  ASSERT_TRUE(key.ok());
  const auto written = key->private_json();
  ASSERT_TRUE(written.ok());
  const auto document = json::parse(text(*written));
  EXPECT_EQ(document["secretPhrase"], *phrase);
  for (const char* name : {"accountId", "publicKey", "privateKey", "secretSeed", "ss58Address"}) {
    EXPECT_TRUE(document.contains(name)) << name;
  }
  EXPECT_EQ(document["privateKey"].get<std::string>().size(), 130u);
  EXPECT_EQ(parse(document)->account(), key->account());
  const auto half = WalletKey::from_json(crypto::as_bytes(key->public_json()));
  EXPECT_EQ(half->account(), key->account());
  EXPECT_EQ(key->public_json().find(*phrase), std::string::npos);
}

}  // namespace
}  // namespace brainlock::chain
