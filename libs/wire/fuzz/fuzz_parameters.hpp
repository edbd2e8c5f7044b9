// The toy ring of vectors/wire, which the fuzz targets read objects of.
#pragma once

#include <cstdlib>
#include <memory>

#include "brainlock/ckks/parameters.hpp"
#include "codec.hpp"

namespace brainlock::wire::fuzz {

inline const std::shared_ptr<const ckks::Parameters>& parameters() {
  static const auto made = [] {
    const ckks::ParameterSpec spec{8, {268435361, 536870849}, {1073741441}, 1};
    auto result = ckks::Parameters::create_insecure_for_tests(spec);
    if (!result.ok()) std::abort();
    return *result;
  }();
  return made;
}

/// A sealed object around the input, so that what lies behind the checksum is reached too.
inline Bytes sealed(Kind kind, ByteView body) {
  Bytes bytes = make_header(kind, id_of(*parameters()), body.size(), body);
  Writer(bytes).bytes(body);
  return bytes;
}

/// The input as it is, then as the body of a sealed object.
template <typename Parse>
void both_ways(Kind kind, const std::uint8_t* data, std::size_t size, const Parse& parse) {
  parse(ByteView(data, size));
  parse(ByteView(sealed(kind, {data, size})));
}

inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace brainlock::wire::fuzz
