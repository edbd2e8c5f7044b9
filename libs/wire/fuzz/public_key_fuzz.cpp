#include "brainlock/wire/public_key.hpp"

#include "fuzz_parameters.hpp"

using namespace brainlock::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::both_ways(Kind::kPublicKey, data, size, [](ByteView bytes) {
    const auto key = parse_public_key(bytes, *fuzz::parameters());
    if (!key.ok()) return;
    const auto again = serialize_public_key(*key, *fuzz::parameters());
    fuzz::require(again.ok() && std::equal(again->begin(), again->end(), bytes.begin(), bytes.end()));
  });
  return 0;
}
