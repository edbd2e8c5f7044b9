// An OnnxModel that was edited, back into the file that it was read from.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "onnx_model.hpp"

namespace brainlock::compiler {

/// The model of `original` with the nodes and constants of `edited`, which was read from it: nodes that have a place in the file are written as they were, others (of
/// the standard domain; attributes that are integers, floats or lists of integers) after their OnnxNode, constants that the file does not have as float or int64.
/// Everything else (names, metadata, inputs, outputs) stays; weights that nothing reads any longer are left out. Errors: those of reading `original`.
Result<std::vector<std::byte>> write_onnx(std::span<const std::byte> original, const OnnxModel& edited, std::size_t max_bytes, int max_nodes);

}  // namespace brainlock::compiler
