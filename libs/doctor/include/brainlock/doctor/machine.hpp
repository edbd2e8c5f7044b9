// What the machine gives this process, read once: plain values, so that tests can make them up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/device_cuda/devices.hpp"

namespace brainlock::doctor {

struct MachineFacts {
  std::string user;                                 ///< who runs this
  unsigned user_id = 0;

  std::vector<std::string> kernels;                 ///< instruction sets that this program has kernels for and the processor runs, slowest first
  std::string forced_kernels;                       ///< BRAINLOCK_ISA; empty if not set
  unsigned processors = 1;                          ///< that this process may use
  std::optional<double> processor_quota;            ///< of its control group, in processors

  std::uint64_t memory_bytes = 0;                   ///< of the machine
  std::uint64_t available_bytes = 0;                ///< of it, without swapping
  std::optional<std::uint64_t> group_memory_bytes;  ///< limit of the control group, least of those above it
  std::optional<std::uint64_t> address_space_bytes; ///< ulimit -v

  std::uint64_t open_files = 0;                     ///< limits of the process
  std::uint64_t locked_bytes = 0;

  std::optional<bool> clock_synchronised;           ///< what the kernel says of a time service; absent where it says nothing

  bool built_with_cuda = false;
  std::optional<Result<std::vector<device_cuda::DeviceInfo>>> gpus;   ///< what the driver shows
  std::vector<std::string> addresses;               ///< of the machine's interfaces, canonical

  /// The most memory that this process can ever have.
  [[nodiscard]] std::uint64_t memory_limit() const;
  /// What that limit is, for people: "memory of the machine", "limit of the control group", ...
  [[nodiscard]] std::string memory_limit_name() const;
};

/// Reads them. A BRAINLOCK_ISA that the processor cannot run is noted and taken out of the environment, since the kernels end the process for it. Before any
/// thread is started. GPUs are asked for only with `ask_gpus`: a driver takes a second.
MachineFacts read_machine_facts(bool ask_gpus);

}  // namespace brainlock::doctor
