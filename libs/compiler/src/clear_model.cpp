#include "brainlock/compiler/clear_model.hpp"

#include <string>

#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"

namespace brainlock::compiler {
namespace {

std::size_t size_of(const plan::TensorMap& map) { return std::size_t{map.channels} * map.height * map.width; }

}  // namespace

Result<Graph> clear_model(std::span<const std::byte> onnx, const plan::Program& program) {
  BRAINLOCK_ASSIGN(Graph graph, import_onnx(onnx));
  BRAINLOCK_ASSIGN(graph, normalise(std::move(graph)));
  const std::size_t takes = graph.nodes.front().shape.size(), gives = graph.nodes[static_cast<std::size_t>(graph.output)].shape.size();
  const std::size_t input = size_of(program.input), output = size_of(program.output);
  if (takes == input && gives == output) return graph;
  return Error{ErrorCode::kMismatch, "its model takes " + std::to_string(takes) + " values and gives " + std::to_string(gives) + ", its plan is of another one (" + std::to_string(input) +
                                         ", " + std::to_string(output) + "): do not use it"};
}

}  // namespace brainlock::compiler
