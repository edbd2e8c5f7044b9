// Arbitrary key, signature and message: never a crash, and nothing verifies under a key nobody signed with.
#include <cstdlib>

#include "brainlock/crypto/sr25519.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::crypto;
  const ByteView input(data, size);
  if (size < 96) {
    (void)sr25519_verify(input.first(size / 2), ByteView{}, input.subspan(size / 2));
    return 0;
  }
  static const auto pair = Sr25519KeyPair::from_uri("//Fuzz");
  if (sr25519_verify(pair->public_key(), input.subspan(96), input.subspan(32, 64))) std::abort();
  (void)sr25519_verify(input.first(32), input.subspan(96), input.subspan(32, 64));
  return 0;
}
