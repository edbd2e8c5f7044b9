// Frozen inputs with their logits: models/*/NAME.expect.txt.
#pragma once

#include <filesystem>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::app {

/// Images and what the network in the clear says of them, computed once in double precision by another program.
struct Expectation {
  std::vector<std::vector<float>> images;   ///< C, H, W; bytes / 255
  std::vector<std::vector<double>> logits;
};

/// A line "count C H W", a line of bytes for each image, a line of logits for each. kMismatch: for another input than `input` or of
/// other logits than `output` has; kMalformed otherwise; errors of read_file().
Result<Expectation> read_expectation(const std::filesystem::path& file, const plan::TensorMap& input, const plan::TensorMap& output);

}  // namespace brainlock::app
