#include "brainlock/validator/task.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "brainlock/compiler/clear_model.hpp"
#include "brainlock/compiler/float_interpreter.hpp"

namespace brainlock::validator {
namespace {

namespace fs = std::filesystem;

std::int64_t made_ms(const fs::path& file) {
  struct stat found {};
  return ::stat(file.c_str(), &found) == 0 ? std::int64_t{found.st_mtim.tv_sec} * 1000 + found.st_mtim.tv_nsec / 1'000'000 : 0;
}

}  // namespace

Result<Task> open_task(const std::filesystem::path& package_directory, std::span<const protocol::ContentId> approved,
                       const std::filesystem::path& key_directory, unsigned threads, const client::KeyProgress& progress) {
  BRAINLOCK_ASSIGN(auto package, package::Package::load(package_directory));
  if (std::find(approved.begin(), approved.end(), package->hash()) == approved.end()) {
    return {ErrorCode::kDenied, "package " + package->hash_hex() + " is not on the list of approved packages"};
  }
  BRAINLOCK_ASSIGN(auto model, compiler::clear_model(std::as_bytes(std::span(package->model())), package->program()));
  const auto graph = std::make_shared<const compiler::Graph>(std::move(model));

  Task task;
  task.name = package->program().model_name;
  task.package = package->hash();
  task.error_bound = package->program().error_bound;
  if (!(task.error_bound > 0)) return {ErrorCode::kMismatch, "the package states no error bound, so nothing can be judged by it"};
  BRAINLOCK_ASSIGN(task.client, client::open_task_client(package, key_directory, threads, progress));
  task.keys_made_ms = made_ms(key_directory / client::kSecretKeyFile);
  task.renew = [package, key_directory, threads]() -> Result<std::shared_ptr<const client::TaskClient>> {
    // The evaluation keys of a secret that is gone are not taken for those of the next one.
    std::error_code error;
    fs::remove(key_directory / client::kSecretKeyFile, error);
    if (error) return Error{ErrorCode::kIo, "cannot remove the old secret key: " + error.message()};
    BRAINLOCK_ASSIGN(auto fresh, client::open_task_client(package, key_directory, threads));
    return std::shared_ptr<const client::TaskClient>(std::move(fresh));
  };
  const std::size_t inputs = task.client->input_shape().size();
  const auto clear = [graph](std::span<const float> input) {
    const auto values = compiler::run_float(*graph, input);
    return std::vector<double>(values.begin(), values.end());
  };
  BRAINLOCK_ASSIGN(auto simulator, package::Simulator::make(package, threads));
  const package::Foretelling foretelling{std::move(simulator), clear, kForetellingDraws};
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
