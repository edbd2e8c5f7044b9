// Scheme parameters on the wire.
#pragma once

#include <memory>

#include "brainlock/ckks/parameters.hpp"
#include "brainlock/wire/header.hpp"

namespace brainlock::wire {

/// Largest object of this kind in version 1, header included.
inline constexpr std::size_t kMaxParametersBytes = kHeaderBytes + 4 * (4 + 128 + 15);

Bytes serialize_parameters(const ckks::Parameters& parameters);

/// The specification, checked for form only. kTooLarge, kTruncated, kMalformed, kUnsupported, kCorrupted.
Result<ckks::ParameterSpec> parse_parameter_spec(ByteView bytes);
/// The checked set: all of the above, then Parameters::create(), which refuses a set below 128 bits (kInsecure), and
/// the id in the header must be the set's own (kMismatch).
Result<std::shared_ptr<const ckks::Parameters>> parse_parameters(ByteView bytes);

}  // namespace brainlock::wire
