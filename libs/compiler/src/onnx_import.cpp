#include "brainlock/compiler/onnx_import.hpp"

#include <fstream>
#include <system_error>

#include "graph_importer.hpp"
#include "onnx_reader.hpp"

namespace brainlock::compiler {

Result<Graph> import_onnx(std::span<const std::byte> bytes, const ImportOptions& options) {
  BRAINLOCK_ASSIGN(const OnnxModel model, read_onnx(bytes, options.max_file_bytes, options.max_nodes));
  return build_graph(model, bytes.size(), options);
}

Result<Graph> import_onnx_file(const std::filesystem::path& path, const ImportOptions& options) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::exists(status)) return Error{ErrorCode::kNotFound, "no model file " + path.string()};
  if (!std::filesystem::is_regular_file(status)) return Error{ErrorCode::kIo, path.string() + " is not a file"};
  const std::uintmax_t size = std::filesystem::file_size(path, failure);
  if (failure) return Error{ErrorCode::kIo, path.string() + ": " + failure.message()};
  if (size > options.max_file_bytes) {
    return Error{ErrorCode::kTooLarge, path.string() + " has " + std::to_string(size) + " bytes; at most " +
                                           std::to_string(options.max_file_bytes)};
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
    return Error{ErrorCode::kIo, "cannot read " + path.string()};
  }
  auto graph = import_onnx(bytes, options);
  if (!graph.ok()) return graph.error().in(path.filename().string());
  return graph;
}

}  // namespace brainlock::compiler
