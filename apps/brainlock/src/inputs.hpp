// Where an input comes from: an image file, a data set, or the synthetic generator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"
#include "commands.hpp"

namespace brainlock::app {

struct InputOptions {
  std::string image;
  std::string dataset;
  std::size_t index = 0;
  std::optional<std::uint64_t> synthetic;

  void add_to(CLI::App& command);
};

struct Input {
  std::vector<float> values;      ///< C, H, W, each in [0, 1]
  std::string description;        ///< "CIFAR-10 test image 7 (cat)"
  std::optional<int> label;
};

/// One input of the shape the package expects. Without any option: synthetic image 1.
Result<Input> load_input(const InputOptions& options, const plan::TensorMap& shape);

/// "airplane" .. "truck" for ten classes, else the number.
std::string class_name(std::size_t index, std::size_t classes);

}  // namespace brainlock::app
