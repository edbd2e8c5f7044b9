// What a GPU's backend does in one of several ways, and which it took. The ways give equal words; which is faster the device itself has to say,
// so they are compared there when it is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "brainlock/device/backend.hpp"

namespace brainlock::device_cuda {

struct Variants {
  enum class Transform {
    kTwoPasses,        ///< two launches, by way of device memory: the plain way
    kTwoPassesRoomy,   ///< the same with twice the registers and half of the threads at a time
    kCluster,          ///< one launch: blocks of a cluster hand words on through their shared memory. Compute capability 9.0
    kClusterRoomy,
  };
  static constexpr unsigned kTransforms = 4;
  [[nodiscard]] static const char* name(Transform way);   ///< "two-pass", "two-pass-roomy", "cluster", "cluster-roomy"
  /// One direction, for batches of one size.
  struct Choice {
    Transform taken = Transform::kTwoPasses;
    std::uint32_t limbs = 0;              ///< of the batch that was timed; 0: none was
    double seconds[kTransforms] = {};     ///< a batch, by way; 0: not tried, or wrong
  };
  static constexpr std::uint32_t kFewLimbs = 20;   ///< batches up to this size are `few`
  Choice forward_few, forward_many, inverse_few, inverse_many;
  std::string transforms_reason;   ///< why: measured, told to, or what stands against the others

  bool dependent_launches = false;               ///< in recordings: see LaunchOrder of driver.hpp
  std::uint32_t kernels = 0;                     ///< of the chain that was timed; 0: none was
  double one_by_one_s = 0, dependent_s = 0;      ///< a kernel of it
  std::string launches_reason;

  [[nodiscard]] Transform transform(bool forward, std::uint64_t limbs) const {
    const bool few = limbs <= kFewLimbs;
    return (forward ? few ? forward_few : forward_many : few ? inverse_few : inverse_many).taken;
  }
};

/// Nothing where the backend is no GPU's.
std::optional<Variants> variants_of(const device::Backend& backend);

}  // namespace brainlock::device_cuda
