// A backend on a device that what is tried at opening may break.
#pragma once

#include <functional>

#include "cuda_backend.hpp"

namespace brainlock::device_cuda {

/// A backend on the driver that `open` gives. If the device is lost on the way, and was not before, it is brought back by `reset`, and all is done
/// once more with nothing tried: a way to be faster that a device cannot take is no reason to do without the device. reset() is called when
/// nothing of the first try is left, and says whether it did it.
Result<std::shared_ptr<device::Backend>> open_backend(const device::Ring& ring, const std::function<Result<std::shared_ptr<Driver>>()>& open,
                                                      const TrialOptions& trials, const std::function<bool()>& reset);

}  // namespace brainlock::device_cuda
