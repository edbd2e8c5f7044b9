// Parameters, threads and backend: what programs, keys and requests share.
#pragma once

#include <memory>
#include <string>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/device/backend.hpp"
#include "brainlock/device/thread_pool.hpp"
#include "brainlock/device_cuda/select.hpp"

namespace brainlock::runtime {

/// Immutable; any number of programs, key sets and requests may use it at once (their work interleaves, batch by batch).
struct Machine {
  std::shared_ptr<const ckks::Parameters> parameters;
  std::shared_ptr<device::ThreadPool> pool;
  std::shared_ptr<device::Backend> backend;

  std::string device_reason;   ///< why this backend, where it was left open (device "auto")
  unsigned lanes = 1;          ///< requests of a program that a GPU runs at the same time, each with working memory of its own

  /// The device for people: its name, threads and kernels on the CPU, and the reason for it where it was left open.
  [[nodiscard]] std::string description() const;

  /// A machine on `device`; the pool does the host's part, and all of it on the CPU. A pool may serve several machines. Errors of
  /// device_cuda::select_backend().
  static Result<std::shared_ptr<const Machine>> make(std::shared_ptr<const ckks::Parameters> parameters,
                                                     std::shared_ptr<device::ThreadPool> pool, const device_cuda::DeviceChoice& device = {},
                                                     unsigned lanes = 1);
  /// threads 0: as many as the processors that this process may use.
  static Result<std::shared_ptr<const Machine>> make(std::shared_ptr<const ckks::Parameters> parameters, unsigned threads,
                                                     const device_cuda::DeviceChoice& device = {}, unsigned lanes = 1);
};

}  // namespace brainlock::runtime
