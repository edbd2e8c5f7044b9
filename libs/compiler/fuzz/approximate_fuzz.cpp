// Any bytes: an error, or a graph with functions that is valid; a small one also becomes a model of polynomials that imports.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "brainlock/compiler/approximate.hpp"
#include "brainlock/compiler/onnx_import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::compiler;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto graph = import_with_functions(bytes);
  if (!graph.ok()) return 0;
  if (!validate(*graph).ok()) std::abort();
  constexpr std::uint64_t kWork = 1 << 18;
  if (multiply_accumulates(*graph) > kWork || graph->nodes.front().shape.size() > 4096) return 0;
  ApproximateOptions options;
  options.degree = 3;
  for (int i = 0; i < 3; ++i) {
    std::vector<float> input(graph->nodes.front().shape.size());
    for (std::size_t k = 0; k < input.size(); ++k) input[k] = static_cast<float>((k * 7 + static_cast<std::size_t>(i) * 3) % 11) / 11;
    (i < 2 ? options.inputs : options.held_out).push_back(std::move(input));
  }
  const auto made = approximate_onnx(bytes, options);
  if (made.ok() && !import_onnx(made->onnx).ok()) std::abort();
  if (!made.ok() && made.error().code == brainlock::ErrorCode::kInternal) std::abort();
  return 0;
}
