// ONNX bytes to Graph. The only door through which a model enters; protobuf stays behind it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/compiler/graph.hpp"

namespace brainlock::compiler {

/// One operator that cannot be run encrypted: which, why, and what to train or export instead.
struct ImportIssue {
  std::string node;
  std::string op;
  std::string reason;
  std::string rewrite;
};

struct ImportOptions {
  std::size_t max_file_bytes = std::size_t{512} << 20;
  int max_nodes = 10'000;
  int max_polynomial_degree = 8;               ///< powers beyond it are cut into several activations
  std::vector<ImportIssue>* issues = nullptr;  ///< if given, receives what a kUnsupported error lists
};

/// Reads an ONNX model (opsets 7 to 23) of one input and one output; the batch dimension is taken as 1. An
/// input of channels last that is turned to channels first before the first layer is taken channels first.
///
/// The graph is as the model states it, except that elementwise arithmetic on one tensor has been gathered into
/// kQuadratic / kPolynomial nodes (a batch normalisation is a kQuadratic with a == 0), and that reshapes have gone into
/// the order of dense weights. Call normalise() next.
///
/// Errors: kTooLarge (file, nodes, tensors), kTruncated / kMalformed (not a consistent ONNX model), kUnsupported
/// (well-formed, but not every operator is covered; the message lists all of them, one a line, with reason and
/// rewrite). Thread safe. Cost: linear in the file.
Result<Graph> import_onnx(std::span<const std::byte> bytes, const ImportOptions& options = {});

/// The same from a file; kNotFound / kIo beside the errors above.
Result<Graph> import_onnx_file(const std::filesystem::path& path, const ImportOptions& options = {});

}  // namespace brainlock::compiler
