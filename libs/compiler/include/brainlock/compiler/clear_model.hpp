// The model of a package, to be run in the clear.
#pragma once

#include <span>

#include "brainlock/compiler/graph.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// The normal form of the ONNX model that `program` was compiled from. kMismatch: it takes or gives other numbers of values than the program states: whoever
/// made the package has put those of two networks together, and inputs have the size that the program states. Otherwise the errors of import_onnx() and
/// normalise(). Takes milliseconds to seconds.
Result<Graph> clear_model(std::span<const std::byte> onnx, const plan::Program& program);

}  // namespace brainlock::compiler
