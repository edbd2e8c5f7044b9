// Arbitrary bytes as a key file: JSON, vault text and boxes. The slow password hashes are left out.
#include "brainlock/chain/keyfile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock;
  const crypto::ByteView input(data, size);
  (void)chain::WalletKey::from_json(input);
  static const crypto::WipedArray<32> key;
  (void)chain::decrypt_nacl(input, key);
  if (chain::key_file_format(input) == chain::KeyFileFormat::kAnsibleVault) (void)chain::decrypt_key_file(input, "x");
  return 0;
}
