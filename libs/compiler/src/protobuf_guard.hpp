// A walk over the wire form of an ONNX model before protobuf builds objects from it.
#pragma once

#include <cstddef>
#include <span>

#include "brainlock/base/result.hpp"

namespace brainlock::compiler {

/// Refuses bytes whose parsed form would be much larger than they are.
///
/// Protobuf turns two bytes (an empty message) into an object of a hundred and more, one byte (a varint) into eight, so
/// a file within its size limit could still ask for tens of gigabytes. The walk visits every field once, knows which
/// fields of ONNX hold messages, and counts: messages, strings, varints, unknown fields, nodes and depth, each against
/// a limit. Errors: kTruncated, kMalformed (wire types), kTooLarge (counts). Allocates nothing. Thread safe.
Status guard_onnx_wire(std::span<const std::byte> bytes, int max_nodes);

}  // namespace brainlock::compiler
