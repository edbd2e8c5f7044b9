// Arbitrary bytes through every read; a compact integer that is accepted encodes back to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "brainlock/scale_codec/decoder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::scale_codec;
  const std::span<const std::uint8_t> input(data, size);
  Decoder in(input);
  while (!in.at_end()) {
    const std::size_t from = in.position();
    switch (input[from] % 5) {
      case 0: {
        const auto value = in.compact();
        if (!value.ok()) return 0;
        const auto again = Encoder().compact(*value).take();
        if (!std::equal(again.begin(), again.end(), input.begin() + from, input.begin() + in.position())) std::abort();
        break;
      }
      case 1: if (!in.bytes().ok()) return 0; break;
      case 2: if (!in.u64().ok()) return 0; break;
      case 3: if (!in.length(3).ok()) return 0; break;
      default: if (!in.u8().ok() || !in.boolean().ok()) return 0; break;
    }
  }
  return 0;
}
