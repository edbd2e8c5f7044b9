// Arbitrary bytes as metadata; what is accepted must be usable: every default and constant is decoded.
#include "brainlock/chain/runtime.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::chain;
  const auto metadata = Metadata::decode({data, size});
  if (!metadata.ok()) return 0;
  for (const auto& pallet : metadata->pallets()) {
    for (const auto& entry : pallet.storage) {
      (void)decode_value(*metadata, entry.value, brainlock::crypto::ByteView(entry.default_value));
    }
    for (const auto& constant : pallet.constants) {
      (void)decode_value(*metadata, constant.type, brainlock::crypto::ByteView(constant.value));
    }
    (void)metadata->module_error_name(pallet.index, 0);
  }
  return 0;
}
