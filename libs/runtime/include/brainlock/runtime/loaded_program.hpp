// A program ready to run: checked, its weights and biases encoded.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "brainlock/ckks/loaded_keys.hpp"
#include "brainlock/plan/program.hpp"
#include "brainlock/runtime/machine.hpp"

namespace brainlock::runtime {

/// The evaluation keys that a program needs.
std::vector<ckks::KeyRequest> key_requests(const plan::Program& program);

/// Made once, then immutable and shared by all requests.
class LoadedProgram {
 public:
  /// kMalformed: the program does not pass plan::validate(); kMismatch: it is for other parameters; kUnsupported: a
  /// rescale by more primes than one conversion takes; kInvalidArgument: a weight or bias does not fit its scale;
  /// kResource: weights, one set of keys and one request do not fit the memory of a device that has its own.
  /// Uses all threads of the machine. `progress` is called on this thread after each instruction: how many are ready, of
  /// how many, and the layer.
  using Progress = std::function<void(std::size_t, std::size_t, const std::string&)>;
  static Result<std::shared_ptr<const LoadedProgram>> load(std::shared_ptr<const Machine> machine, plan::Program program,
                                                           const Progress& progress = {});
  ~LoadedProgram();

  [[nodiscard]] const Machine& machine() const;
  /// The program, without its weight vectors (they are encoded).
  [[nodiscard]] const plan::Program& program() const;
  /// Device memory of weights and biases.
  [[nodiscard]] std::size_t weight_bytes() const;
  /// Takes the working memory of one request from the system now (device::Backend::touch()): call it when keys are loaded, or the first request does it.
  void make_ready() const;
  /// kNotFound or kMismatch names the first key that is missing or too short.
  [[nodiscard]] Status check_keys(const ckks::LoadedKeys& keys) const;

  /// How requests ran so far, and why not otherwise.
  struct ReplayReport {
    std::uint64_t plain = 0, recorded = 0, replayed = 0;   ///< runs; a run that was recorded is then replayed
    std::uint64_t kernels = 0;                             ///< of the last recording
    unsigned lanes = 0;                                    ///< requests that can run at the same time
    std::string reason;                                    ///< why some or all lanes do not record; empty: they do
  };
  [[nodiscard]] ReplayReport replay_report() const;
  /// How long each kernel of a recorded run takes, by the device's clock. kUnsupported: there is no recording of these keys (a third request has one where the
  /// device takes any), or all lanes that have it are at work. Waits for the device.
  [[nodiscard]] Result<std::vector<device::KernelTime>> kernel_times(const ckks::LoadedKeys& keys) const;

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  LoadedProgram();
  std::unique_ptr<Impl> impl_;
};

/// Forecast of a server's memory for one request of a program that passes plan::validate(), in bytes. What threads take for themselves is not in it: on the
/// CPU about twice the digits of one limb each, 1 MB at N = 2^15 with three.
struct MemoryForecast {
  std::uint64_t keys = 0;      ///< evaluation keys, loaded
  std::uint64_t weights = 0;   ///< encoded weights and biases
  std::uint64_t working = 0;   ///< ciphertexts, digits and accumulators at their peak
  [[nodiscard]] std::uint64_t total() const { return keys + weights + working; }
};
MemoryForecast forecast_memory(const plan::Program& program);
std::uint64_t forecast_memory_bytes(const plan::Program& program);

}  // namespace brainlock::runtime
