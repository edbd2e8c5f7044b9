// Arbitrary bytes as what a chain stores, under the types of a genuine runtime: every value that is decoded encodes
// back to the same bytes (which shows that nothing was lost or made up), prints, and answers every question that the
// client asks of values. The first two bytes choose the item of storage.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "brainlock/chain/runtime.hpp"

namespace {

using namespace brainlock;
using namespace brainlock::chain;

const Metadata& metadata() {
  static const Metadata known = [] {
    std::ifstream in(CHAIN_FUZZ_METADATA, std::ios::binary);
    const crypto::Bytes blob{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    auto decoded = Metadata::decode(blob);
    if (!decoded.ok()) {
      std::cerr << "no metadata at " << CHAIN_FUZZ_METADATA << "\n";
      std::abort();
    }
    return std::move(*decoded);
  }();
  return known;
}

const std::vector<const StorageEntry*>& entries() {
  static const std::vector<const StorageEntry*> all = [] {
    std::vector<const StorageEntry*> out;
    for (const auto& pallet : metadata().pallets()) {
      for (const auto& entry : pallet.storage) out.push_back(&entry);
    }
    return out;
  }();
  return all;
}

void ask(const Value& value) {
  (void)value.as_u64();
  (void)value.as_u128();
  (void)value.as_bool();
  (void)value.as_bytes();
  (void)value.as_account();
  (void)value.as_numbers();
  (void)value.field("block");
  (void)value.is_none();
  for (const auto& item : value.items()) ask(item);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto& entry = *entries()[(data[0] | std::size_t{data[1]} << 8) % entries().size()];
  const crypto::ByteView bytes(data + 2, size - 2);
  const auto value = decode_value(metadata(), entry.value, bytes);
  if (!value.ok()) return 0;
  ask(*value);
  (void)to_json(*value);
  if (value->kind() == Value::Kind::kVariant) (void)dispatch_error_name(metadata(), *value);
  scale_codec::Encoder again;
  const auto encoded = encode_value(again, metadata(), entry.value, *value);
  if (!encoded.ok()) return 0;  // Bit sequences are read, not written.
  if (!std::equal(bytes.begin(), bytes.end(), again.data().begin(), again.data().end())) std::abort();
  return 0;
}
