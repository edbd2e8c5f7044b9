// Arbitrary text as an address: an account or an error; what is accepted encodes back to the same text.
#include <cstdlib>

#include "brainlock/crypto/bip39.hpp"
#include "brainlock/crypto/ss58.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto account = brainlock::crypto::ss58_decode(text); account.ok()) {
    if (brainlock::crypto::ss58_encode(*account) != text) std::abort();
  }
  (void)brainlock::crypto::mnemonic_to_entropy(text);
  return 0;
}
