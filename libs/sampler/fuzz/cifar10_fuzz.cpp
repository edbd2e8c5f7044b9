// Arbitrary bytes through the CIFAR-10 reader.
#include <cstdlib>

#include "brainlock/sampler/cifar10.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::sampler;
  const auto records = Cifar10::parse({data, size});
  if (!records.ok()) return 0;
  for (std::size_t i = 0; i < records->size(); ++i) {
    const int label = records->label(i);
    if (label < 0 || label >= kCifar10Classes) std::abort();
    if (records->image(i).size() != kCifar10PixelBytes) std::abort();
  }
  return 0;
}
