// Arbitrary bytes through the PNG reader; whatever decodes must encode and decode to itself.
#include <cstdlib>

#include "brainlock/sampler/png.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::sampler;
  const auto image = decode_png({data, size});
  if (!image.ok() || image->size() > 100'000) return 0;
  const auto bytes = encode_png(*image);
  if (!bytes.ok()) std::abort();
  const auto again = decode_png(*bytes);
  if (!again.ok() || !(*again == *image)) std::abort();
  return 0;
}
