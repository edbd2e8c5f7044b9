// What `bench` says of a device: its work for one request, and how many it takes at once.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "brainlock/device_cuda/measure.hpp"
#include "inference.hpp"

namespace brainlock::app {

/// A device's work for one request, with its share of what the hardware could do in `latency_s`. null for the CPU.
struct DeviceWork {
  device::Counters counters;
  std::optional<device::Peaks> peaks;
  double latency_s = 0;

  /// Of the peaks; nothing where a peak is not known.
  [[nodiscard]] std::optional<double> memory_share() const;
  [[nodiscard]] std::optional<double> integer_share() const;
  [[nodiscard]] nlohmann::json json() const;
  void print() const;
};
/// One more run, counted; nothing where the backend counts nothing.
std::optional<DeviceWork> count_work(const Server& server, const ckks::LoadedKeys& keys, std::vector<ckks::Ciphertext> inputs,
                                     const runtime::RunOptions& options, double latency_s);

/// A recorded request kernel by kernel, see runtime::LoadedProgram::kernel_times(); nothing where there is no recording, and with a warning where it fails.
struct KernelTimes {
  std::vector<device::KernelTime> kernels;
  std::optional<device::Peaks> peaks;

  [[nodiscard]] nlohmann::json json() const;
  void print() const;
};
std::optional<KernelTimes> measure_kernels(const Server& server, const ckks::LoadedKeys& keys);

/// Forward transforms apart from the network, see device_cuda/measure.hpp; nothing for the CPU, and with a warning where it fails.
struct TransformWork {
  device_cuda::TransformSpeed speed;
  std::optional<device::Peaks> peaks;

  /// Of the peak of memory: what the passes load and store, and the least there is.
  [[nodiscard]] std::optional<double> traffic_share() const;
  [[nodiscard]] std::optional<double> operand_share() const;
  [[nodiscard]] nlohmann::json json() const;
  void print() const;
};
std::optional<TransformWork> measure_transforms(const Server& server, const device_cuda::DeviceChoice& choice);

/// Which of several ways a GPU took at opening, and why; null for the CPU.
nlohmann::json variants_json(const Server& server);
void print_variants(const Server& server);

/// {lanes, plain, recorded, replayed, kernels, reason}; null for the CPU.
nlohmann::json replay_json(const Server& server);

/// `batch` requests from `in_flight` threads at once, inputs and outputs in the host's memory.
struct Throughput {
  unsigned batch = 0, in_flight = 0;
  double seconds = 0;
  [[nodiscard]] double images_per_s() const { return batch / seconds; }
};
/// Inputs are copied before the clock starts. Every answer must have the words of `expected`: kInternal otherwise.
Result<Throughput> measure_throughput(const Server& server, const ckks::LoadedKeys& keys, std::span<const ckks::Ciphertext> inputs,
                                      std::span<const ckks::Ciphertext> expected, unsigned batch, unsigned in_flight, const runtime::RunOptions& options);

std::vector<ckks::Ciphertext> copy_ciphertexts(std::span<const ckks::Ciphertext> in);
bool same_words(std::span<const ckks::Ciphertext> a, std::span<const ckks::Ciphertext> b);

}  // namespace brainlock::app
