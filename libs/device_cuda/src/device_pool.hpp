// Device memory that is kept and reused: few large allocations of the driver, cut into buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "brainlock/device/buffer.hpp"
#include "driver.hpp"

namespace brainlock::device_cuda {

/// Thread safe. Buffers begin at multiples of 256 bytes. A buffer that was given back may be handed out again at once: the device does
/// all work in the order of the calls, so what still reads the old contents has its turn first.
class DevicePool : public device::BufferOwner, public std::enable_shared_from_this<DevicePool> {
 public:
  struct Options {
    std::size_t slab_bytes = std::size_t{64} << 20;   ///< of an allocation of the driver; a little less or more where it is for a large buffer
    bool lasting = false;   ///< memory stays the pool's until its end, because launches that were noted will use it
  };
  explicit DevicePool(std::shared_ptr<Driver> driver) : DevicePool(std::move(driver), Options()) {}
  DevicePool(std::shared_ptr<Driver> driver, Options options) : driver_(std::move(driver)), options_(options) {}
  ~DevicePool() override;
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  /// kResource when the device has no more, with what was asked for and what is free.
  Result<device::Buffer> allocate(std::size_t words);
  void release(std::uint32_t* data, std::size_t capacity_bytes) override;
  /// Gives allocations of which nothing is in use back to the device; a lasting pool does not.
  void trim();
  /// Held by the pool, but in no buffer.
  std::uint64_t idle_bytes();

 private:
  struct Piece {
    std::size_t bytes;
    std::uintptr_t slab;   ///< start of the allocation it is part of; only such neighbours are joined
  };
  Status grow(std::size_t bytes);
  void trim_locked();

  std::shared_ptr<Driver> driver_;
  const Options options_;
  std::mutex mutex_;
  std::map<std::uintptr_t, std::size_t> slabs_;   ///< start -> bytes
  std::map<std::uintptr_t, Piece> free_;          ///< start -> piece
};

}  // namespace brainlock::device_cuda
