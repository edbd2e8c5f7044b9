// What tests of the driver on the machine share: a driver on a device of the kind they want, with a ring on it.
#pragma once

#include <memory>

#include "machine/machine.hpp"
#include "rig.hpp"
#include "transform_launches.hpp"

namespace brainlock::device_cuda::machine {

/// A small ring on a driver, and transforms of it.
class Transforms {
 public:
  Transforms(std::shared_ptr<Driver> driver, unsigned log_degree)
      : driver_(std::move(driver)), ring_(1u << log_degree, 2, 1, 1), pool_(std::make_shared<DevicePool>(driver_)) {
    auto tables = RingTables::make(ring_.ring(), *driver_, *pool_);
    if (tables.ok()) tables_ = std::move(tables).value();
  }
  bool ok() const { return tables_.ring.moduli != nullptr; }
  const test::TestRing& ring() const { return ring_; }
  std::size_t words() const { return 3 * ring_.ring().degree(); }
  /// Of all limbs, from `in` to `out`.
  gpu::NttArguments arguments(const gpu::Word* in, gpu::Word* out) const {
    gpu::NttArguments a{};
    a.ring = tables_.ring;
    a.rows = gpu::row_map(0, 2, 1, 1, false, false);
    a.scalars = tables_.level[2].lifted_sources;
    a.jobs[0] = {in, out, nullptr, nullptr};
    return a;
  }
  static TransformLaunches launches(Variants::Transform way, bool forward, const gpu::NttArguments& a) {
    return transform_launches(way, forward, a, 3, 1);
  }
  /// What the forward transform of these words is.
  test::Words forward(test::Words words) const {
    const std::size_t n = ring_.ring().degree();
    for (std::uint32_t l = 0; l < 3; ++l)
      math::available_kernels().front()->ntt_forward(ring_.table(l), words.data() + l * n);
    return words;
  }
  test::Words some_words(unsigned seed) const {
    std::mt19937 random(seed);
    return test::polynomial(ring_.ring(), 2, true, random);
  }

 private:
  std::shared_ptr<Driver> driver_;
  test::TestRing ring_;
  std::shared_ptr<DevicePool> pool_;
  RingTables tables_{};
};

}  // namespace brainlock::device_cuda::machine
