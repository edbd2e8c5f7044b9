#include "brainlock/validator/task.hpp"

#include <algorithm>

#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/compiler/fold.hpp"
#include "brainlock/compiler/onnx_import.hpp"

namespace brainlock::validator {

Result<Task> open_task(const std::filesystem::path& package_directory, std::span<const protocol::ContentId> approved,
                       const std::filesystem::path& key_directory, unsigned threads, const client::KeyProgress& progress) {
  BRAINLOCK_ASSIGN(auto package, package::Package::load(package_directory));
  if (std::find(approved.begin(), approved.end(), package->hash()) == approved.end()) {
    return {ErrorCode::kDenied, "package " + package->hash_hex() + " is not on the list of approved packages"};
  }
  BRAINLOCK_ASSIGN(auto imported, compiler::import_onnx(std::as_bytes(std::span(package->model()))));
  BRAINLOCK_ASSIGN(auto normal, compiler::normalise(std::move(imported)));
  const auto graph = std::make_shared<const compiler::Graph>(std::move(normal));

  Task task;
  task.name = package->program().model_name;
  task.error_bound = package->program().error_bound;
  if (!(task.error_bound > 0)) return {ErrorCode::kMismatch, "the package states no error bound, so nothing can be judged by it"};
  BRAINLOCK_ASSIGN(task.client, client::open_task_client(package, key_directory, threads, progress));
  const std::size_t inputs = task.client->input_shape().size();
  const auto clear = [graph](std::span<const float> input) {
    const auto values = compiler::run_float(*graph, input);
    return std::vector<double>(values.begin(), values.end());
  };
  BRAINLOCK_ASSIGN(auto simulator, package::Simulator::make(package, threads));
  const package::Foretelling foretelling{std::move(simulator), clear};
  task.range = [checker = std::make_shared<const package::RangeChecker>(package, foretelling), inputs](std::span<const float> input) -> Result<package::ValueRange> {
    if (input.size() != inputs) return Error{ErrorCode::kInvalidArgument, "input of another size"};
    return checker->check(input);
  };
  task.baseline = [clear, inputs](std::span<const float> input) -> Result<std::vector<double>> {
    if (input.size() != inputs) return Error{ErrorCode::kInvalidArgument, "input of another size"};
    return clear(input);
  };
  return task;
}

}  // namespace brainlock::validator
