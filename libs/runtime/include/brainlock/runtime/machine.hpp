// Parameters, threads and backend: what programs, keys and requests share.
#pragma once

#include <memory>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/parameters.hpp"
#include "brainlock/device/backend.hpp"
#include "brainlock/device/thread_pool.hpp"

namespace brainlock::runtime {

/// Immutable; any number of programs, key sets and requests may use it at once (their work interleaves, batch by batch).
struct Machine {
  std::shared_ptr<const ckks::Parameters> parameters;
  std::shared_ptr<device::ThreadPool> pool;
  std::shared_ptr<device::Backend> backend;

  /// A machine on this processor. A pool may serve several machines.
  static Result<std::shared_ptr<const Machine>> make(std::shared_ptr<const ckks::Parameters> parameters,
                                                     std::shared_ptr<device::ThreadPool> pool);
  /// threads 0: as many as the processors that this process may use.
  static Result<std::shared_ptr<const Machine>> make(std::shared_ptr<const ckks::Parameters> parameters, unsigned threads);
};

}  // namespace brainlock::runtime
