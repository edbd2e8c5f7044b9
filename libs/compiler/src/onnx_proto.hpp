// ONNX's protobuf types, for the reader and the writer alone.
#pragma once

#include <cstddef>
#include <span>

#include "brainlock/base/result.hpp"

// Debian's libonnx is built with the ML domain; without this the header asks for a file that is not shipped.
#define ONNX_ML 1
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

namespace brainlock::compiler {

/// Bytes as they came, once they have passed guard_onnx_wire(). Errors as read_onnx().
Result<onnx::ModelProto> parse_onnx(std::span<const std::byte> bytes, std::size_t max_bytes, int max_nodes);

}  // namespace brainlock::compiler
