// A machine with a GPU that is not there. cuda_driver.cu, as nvcc compiled it, is linked with this folder's functions
// of CUDA's runtime (runtime_*.cpp) instead of NVIDIA's; kernels are run from the PTX that nvcc made of them
// (ptx_*.cpp). What tests tell the machine, and ask it.
//
// It is strict where CUDA's documents leave room: work is done later than it is asked for, other queues'
// work in between; a copy reads pinned memory when it is its turn; freed memory is gone at once. A finding is what a
// real machine might let pass.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace brainlock::device_cuda::machine {

struct MachineOptions {
  int devices = 1;
  int major = 9, minor = 0;
  int driver_version = CUDART_VERSION;  ///< 0: there is no driver
  int multiprocessors = 132;
  std::uint64_t memory_bytes = std::uint64_t{8} << 30;
  bool clusters = true;
  bool room_for_clusters = true;
  bool events_are_waited_for = true;                         ///< false: a fault, to see that tests notice
  unsigned seed = 1;                                         ///< of the order in which queues get their turns
  std::uint64_t most_instructions = std::uint64_t{1} << 32;  ///< of a thread
  /// Applied to the PTX before it is read, to see that tests notice.
  std::function<std::string(std::string)> edit = {};
};

/// Another machine, on which nothing is left of this one.
void set_machine(const MachineOptions& options);

/// The n-th call from now on (from 1), of this name or of any ("" ), fails. Afterwards the device is lost, or as it
/// was.
struct PlannedFailure {
  std::uint64_t call = 0;
  cudaError_t error = cudaErrorUnknown;
  bool lost = false;
  std::string name = {};
};
void plan_failure(const PlannedFailure& failure);
/// The name of the call that failed as planned, or "" if there was none so far.
std::string failed_call();

/// What was done against CUDA's rules, and what a kernel must not do, since the last time.
std::vector<std::string> take_findings();
/// What was made and is still there; of a lost device, nothing counts.
std::vector<std::string> leftovers();
std::uint64_t instructions();
std::uint64_t launches();
double all_instructions();  ///< of all tests so far

}  // namespace brainlock::device_cuda::machine
