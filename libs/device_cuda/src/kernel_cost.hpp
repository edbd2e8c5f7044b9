// What a launch loads, stores and computes, by its arguments.
#pragma once

#include "driver.hpp"

namespace brainlock::device_cuda {

struct KernelCost {
  std::uint64_t memory_bytes = 0;         ///< each word that is loaded or stored, once a launch; tables of the ring and lists left out
  std::uint64_t integer_operations = 0;   ///< 32-bit instructions of the arithmetic, by kernel_cost.cpp's table

  KernelCost& operator+=(const KernelCost& other) {
    memory_bytes += other.memory_bytes;
    integer_operations += other.integer_operations;
    return *this;
  }
};

KernelCost cost_of(const gpu::Launch& launch);

}  // namespace brainlock::device_cuda
