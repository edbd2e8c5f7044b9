// OnnxModel -> Graph.
#pragma once

#include <cstddef>

#include "brainlock/compiler/onnx_import.hpp"
#include "onnx_model.hpp"

namespace brainlock::compiler {

/// Walks the operators that the output depends on and builds the graph. `file_bytes` bounds the memory that constants
/// made on the way may take. Errors as import_onnx(). The result satisfies validate().
Result<Graph> build_graph(const OnnxModel& model, std::size_t file_bytes, const ImportOptions& options);

}  // namespace brainlock::compiler
