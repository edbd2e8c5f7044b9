// ONNX bytes -> OnnxModel.
#pragma once

#include <cstddef>
#include <span>

#include "brainlock/base/result.hpp"
#include "onnx_model.hpp"

namespace brainlock::compiler {

/// kTooLarge (more than max_bytes, more than max_nodes, parsed forms out of proportion), kTruncated, kMalformed, kUnsupported (weights elsewhere, element types
/// and opsets that are not read). Thread safe.
Result<OnnxModel> read_onnx(std::span<const std::byte> bytes, std::size_t max_bytes, int max_nodes);

}  // namespace brainlock::compiler
