// The processor as a backend: math::kernels() on a thread pool.
#pragma once

#include <memory>

#include "brainlock/device/backend.hpp"
#include "brainlock/device/thread_pool.hpp"

namespace brainlock::device {

/// Results do not depend on the number of threads. Errors of check_ring().
Result<std::shared_ptr<Backend>> make_cpu_backend(Ring ring, std::shared_ptr<ThreadPool> pool);

}  // namespace brainlock::device
