#include "brainlock/wire/ciphertext.hpp"

#include "fuzz_parameters.hpp"

using namespace brainlock::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::both_ways(Kind::kCiphertexts, data, size, [](ByteView bytes) {
    const auto list = parse_ciphertexts(bytes, *fuzz::parameters());
    if (!list.ok()) return;
    // What is accepted has one form only.
    const auto again = serialize_ciphertexts(*list, *fuzz::parameters());
    fuzz::require(again.ok() && std::equal(again->begin(), again->end(), bytes.begin(), bytes.end()));
  });
  return 0;
}
