#include "brainlock/chain/wallet.hpp"

#include <sys/stat.h>

#include <fstream>

#include "temporary_folder.hpp"
#include "vectors.hpp"

namespace brainlock::chain {
namespace {

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 0777;
}

class WalletTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  WalletStore store_{folder_.path() / "wallets"};
};

TEST_F(WalletTest, HotkeyIsPlainPrivateAndReadsBack) {
  const auto key = WalletKey::from_uri("//Alice");
  ASSERT_TRUE(store_.write_hotkey("miner", "h1", *key, {}, false).ok());
  const auto path = folder_.path() / "wallets/miner/hotkeys/h1";
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(mode_of(path.parent_path()), 0700u);
  EXPECT_EQ(mode_of(path.parent_path().parent_path()), 0700u);
  const auto loaded = store_.load_hotkey("miner", "h1", nullptr);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->ss58(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
  EXPECT_TRUE(loaded->has_private_key());
}

TEST_F(WalletTest, OverwritingIsRefusedUnlessAskedFor) {
  ASSERT_TRUE(store_.write_hotkey("w", "h", *WalletKey::from_uri("//Alice"), {}, false).ok());
  const auto again = store_.write_hotkey("w", "h", *WalletKey::from_uri("//Bob"), {}, false);
  EXPECT_EQ(again.error().code, ErrorCode::kDenied);
  EXPECT_EQ(store_.load_hotkey("w", "h", nullptr)->account(), WalletKey::from_uri("//Alice")->account());
  ASSERT_TRUE(store_.write_hotkey("w", "h", *WalletKey::from_uri("//Bob"), {}, true).ok());
  EXPECT_EQ(store_.load_hotkey("w", "h", nullptr)->account(), WalletKey::from_uri("//Bob")->account());
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path() / "wallets/w/hotkeys")) {
    ++files;
  }
  EXPECT_EQ(files, 1u);  // No temporary is left behind.
}

TEST_F(WalletTest, ColdkeyIsEncryptedAndItsPublicHalfIsNot) {
  const auto key = WalletKey::from_seed(crypto::Bytes(32, 7));
  ASSERT_TRUE(store_.write_coldkey("cold", *key, "a password", false).ok());
  EXPECT_EQ(mode_of(store_.coldkey_path("cold")), 0600u);
  const auto bytes = read_secret_file(store_.coldkey_path("cold"), kMaxKeyFileBytes);
  EXPECT_EQ(key_file_format(bytes->bytes()), KeyFileFormat::kNacl);
  EXPECT_EQ(store_.load_coldkeypub("cold")->account(), key->account());
  EXPECT_EQ(store_.load_coldkey("cold", nullptr).error().code, ErrorCode::kDenied);
  int asked = 0;
  const auto loaded = store_.load_coldkey("cold", [&](const auto&) -> Result<std::string> {
    ++asked;
    return std::string("a password");
  });
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(loaded->account(), key->account());
  EXPECT_EQ(store_.write_coldkey("cold", *key, "a password", false).error().code, ErrorCode::kDenied);
}

TEST_F(WalletTest, SwappedHalvesOfAColdkeyAreNoticed) {
  ASSERT_TRUE(store_.write_coldkey("w", *WalletKey::from_uri("//Alice"), {}, false).ok());
  ASSERT_TRUE(write_private_file(store_.coldkeypub_path("w"),
                                 crypto::as_bytes(WalletKey::from_uri("//Bob")->public_json()), true)
                  .ok());
  EXPECT_EQ(store_.load_coldkey("w", nullptr).error().code, ErrorCode::kMismatch);
}

TEST_F(WalletTest, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"", "..", "../x", "a/b", ".hidden", "a b", "x\n"}) {
    EXPECT_EQ(store_.load_hotkey(name, "h", nullptr).error().code, ErrorCode::kInvalidArgument) << name;
    EXPECT_EQ(store_.load_hotkey("w", name, nullptr).error().code, ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(check_wallet_name(std::string(65, 'a')).ok());
}

TEST_F(WalletTest, FileErrorsByName) {
  EXPECT_EQ(store_.load_hotkey("none", "none", nullptr).error().code, ErrorCode::kNotFound);
  std::filesystem::create_directories(store_.hotkey_path("w", "folder"));
  EXPECT_EQ(store_.load_hotkey("w", "folder", nullptr).error().code, ErrorCode::kIo);
  std::ofstream(store_.hotkey_path("w", "big")) << std::string(kMaxKeyFileBytes + 1, ' ');
  EXPECT_EQ(store_.load_hotkey("w", "big", nullptr).error().code, ErrorCode::kTooLarge);
}

TEST_F(WalletTest, ListShowsPublicThingsOnly) {
  ASSERT_TRUE(store_.write_coldkey("b", *WalletKey::from_uri("//Bob"), {}, false).ok());
  ASSERT_TRUE(store_.write_hotkey("b", "h2", *WalletKey::from_uri("//Alice"), {}, false).ok());
  ASSERT_TRUE(store_.write_hotkey("b", "h1", *WalletKey::from_uri("//Charlie"), {}, false).ok());
  ASSERT_TRUE(write_private_file(store_.hotkey_path("b", "broken"), crypto::as_bytes("x"), false).ok());
  const auto wallets = store_.list();
  ASSERT_TRUE(wallets.ok());
  ASSERT_EQ(wallets->size(), 1u);
  const auto& wallet = wallets->front();
  EXPECT_EQ(wallet.name, "b");
  EXPECT_TRUE(wallet.has_coldkey);
  EXPECT_EQ(wallet.coldkey_format, "plain");
  EXPECT_EQ(wallet.coldkey_ss58, "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty");
  ASSERT_EQ(wallet.hotkeys.size(), 3u);
  EXPECT_EQ(wallet.hotkeys[0].problem, "malformed");
  EXPECT_EQ(wallet.hotkeys[1].name, "h1");
  EXPECT_EQ(WalletStore(folder_.path() / "absent").list()->size(), 0u);
}

TEST_F(WalletTest, PasswordFromTheEnvironment) {
  const std::filesystem::path path = "/tmp/x.y/coldkey";
  const std::string name = "BT_PW__TMP_X_Y_COLDKEY";
  EXPECT_FALSE(environment_password(path)->has_value());
  ASSERT_EQ(::setenv(name.c_str(), "IDE=", 1), 0);  // "b" ^ 'B', "e" ^ 'T' = 0x20 0x31
  const auto password = environment_password(path);
  ASSERT_TRUE(password.ok() && password->has_value());
  EXPECT_EQ(**password, "be");
  ASSERT_EQ(::setenv(name.c_str(), "!", 1), 0);
  EXPECT_EQ(environment_password(path).error().code, ErrorCode::kMalformed);
  ::unsetenv(name.c_str());
}

}  // namespace
}  // namespace brainlock::chain
