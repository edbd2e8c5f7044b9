// Any bytes: an error, or a graph that is valid and normalises.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace brainlock::compiler;
  auto graph = import_onnx(std::as_bytes(std::span(data, size)));
  if (!graph.ok()) return 0;
  if (!validate(*graph).ok()) std::abort();
  const auto normal = normalise(std::move(graph).value());
  if (normal.ok() && !validate(*normal).ok()) std::abort();
  return 0;
}
