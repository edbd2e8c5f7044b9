// The ring's constants in device memory: twiddles, and the factors of every conversion at every limb count.
#pragma once

#include <vector>

#include "brainlock/device/conversion.hpp"
#include "device_pool.hpp"
#include "kernels/arguments.hpp"

namespace brainlock::device_cuda {

/// Constants at one limb count; pointers are to device memory.
struct LevelTables {
  /// Scalars that turn an inverse transform into conversion sources, 1 / N among them: of a packed polynomial per limb, of a
  /// lifted one per row (its q limbs get 1 / N alone).
  const gpu::Factor* packed_sources = nullptr;
  const gpu::Factor* lifted_sources = nullptr;
  gpu::ConversionTable by_p{};                      ///< the remainder modulo P to the q limbs
  const gpu::Factor* prepared_inverse = nullptr;    ///< see device::LevelConstants
  const gpu::Factor* unprepare = nullptr;
  const gpu::ConversionTable* digits = nullptr;     ///< per digit
  unsigned digit_sources = 0;                       ///< most sources of a digit

  struct Rescale {
    const gpu::Factor* sources = nullptr;           ///< per divisor, 1 / N among them
    const gpu::Factor* inverse = nullptr;           ///< per target
    gpu::ConversionTable table{};
  };
  std::vector<Rescale> rescale;                     ///< by dropped limbs
};

/// What takes words modulo q[0] to the other limbs of Q.
struct RaiseTables {
  const gpu::Factor* source = nullptr;  ///< for the only source: 1 / N
  gpu::ConversionTable table{};         ///< target t: q[t + 1]
};

struct RingTables {
  /// Uploads everything. kResource without memory.
  static Result<RingTables> make(const device::Ring& ring, Driver& driver, DevicePool& pool);

  gpu::Ring ring{};
  std::vector<LevelTables> level;   ///< by limb count; [0] empty
  RaiseTables raise;
  device::Buffer memory;
};

}  // namespace brainlock::device_cuda
