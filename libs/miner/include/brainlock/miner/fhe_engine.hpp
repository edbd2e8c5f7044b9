// The real engine: packages on the runtime.
#pragma once

#include "brainlock/device_cuda/select.hpp"
#include "brainlock/miner/engine.hpp"
#include "brainlock/package/package.hpp"

namespace brainlock::miner {

/// Loaded at the same time, however much memory there is: as many as a subnet has validators.
inline constexpr std::size_t kMostKeySets = 64;

/// Loads the packages (encodes their weights) for one device. threads 0: usable_processors(). `lanes`: requests of a package that a GPU
/// runs at the same time. Errors of runtime::Machine::make() and LoadedProgram::load().
Result<std::unique_ptr<Engine>> make_fhe_engine(std::vector<std::shared_ptr<const package::Package>> packages, unsigned threads,
                                                const device_cuda::DeviceChoice& device = {}, unsigned lanes = 1);

/// Forecast in bytes for serving the packages with one key set each and one request at a time.
struct RamForecast {
  std::uint64_t weights = 0;        ///< of all packages
  std::uint64_t largest_keys = 0;   ///< of one key set
  std::uint64_t largest_working = 0;
  [[nodiscard]] std::uint64_t least() const { return weights + largest_keys + largest_working; }
};
RamForecast forecast_ram(const std::vector<std::shared_ptr<const package::Package>>& packages);

}  // namespace brainlock::miner
