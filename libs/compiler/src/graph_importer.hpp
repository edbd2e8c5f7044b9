// OnnxModel -> Graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "brainlock/compiler/onnx_import.hpp"
#include "onnx_model.hpp"

namespace brainlock::compiler {

/// Walks the operators that the output depends on and builds the graph. `file_bytes` bounds the memory that constants
/// made on the way may take. Errors as import_onnx(). The result satisfies validate().
Result<Graph> build_graph(const OnnxModel& model, std::size_t file_bytes, const ImportOptions& options);

/// The dimensions of the tensors that depend on the input, by name: those that are known when all operators have been walked, of which some may have been refused.
std::unordered_map<std::string, std::vector<std::int64_t>> tensor_dims(const OnnxModel& model, std::size_t file_bytes, const ImportOptions& options);

}  // namespace brainlock::compiler
