#include "brainlock/wire/evaluation_keys.hpp"

#include "brainlock/crypto/blake2b.hpp"
#include "fuzz_parameters.hpp"

using namespace brainlock;
using namespace brainlock::wire;

namespace {

void parse(ByteView bytes) {
  const auto keys = parse_evaluation_keys(bytes, fuzz::parameters());
  if (!keys.ok()) return;
  const auto again = serialize_evaluation_keys(*keys, fuzz::parameters());
  fuzz::require(again.ok() && std::equal(again->begin(), again->end(), bytes.begin(), bytes.end()));
}

/// Input as manifest and records, sealed: the length the manifest implies, a right checksum on each part.
Bytes sealed_keys(ByteView data) {
  Reader in(data);
  const std::uint32_t count = in.u32() % 8;
  Bytes list;
  Writer listing(list);
  listing.u32(count);
  std::vector<ckks::KeyRequest> manifest;
  for (std::uint32_t i = 0; i < count; ++i) {
    manifest.push_back({in.u32(), in.u32()});
    listing.u32(manifest.back().galois_element);
    listing.u32(manifest.back().limbs);
    if (manifest.back().limbs > 2) return {};
  }
  Id checksum{};
  const std::uint64_t total = evaluation_keys_bytes(manifest, *fuzz::parameters());
  Bytes bytes = make_header(Kind::kEvaluationKeys, id_of(*fuzz::parameters()), total - kHeaderBytes, list, &checksum);
  Writer out(bytes);
  out.bytes(list);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t size = evaluation_keys_bytes({&manifest[i], 1}, *fuzz::parameters()) - kHeaderBytes - 12 - 32;
    Bytes record(size);
    const auto part = in.take(std::min<std::uint64_t>(size, in.left()));
    std::copy(part.begin(), part.end(), record.begin());
    Bytes prefix;
    Writer(prefix).bytes(checksum);
    Writer(prefix).u32(i);
    crypto::Blake2b256 hash;
    hash.update(prefix);
    hash.update(record);
    out.bytes(record);
    out.bytes(hash.finish());
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  parse({data, size});
  parse(sealed_keys({data, size}));
  return 0;
}
