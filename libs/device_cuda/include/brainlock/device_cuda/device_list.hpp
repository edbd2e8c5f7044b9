// Several devices at once, as a service names them: cuda:all, or a list as cuda:0,cuda:2.
#pragma once

#include <string_view>
#include <vector>

#include "brainlock/device_cuda/select.hpp"

namespace brainlock::device_cuda {

/// What parse_device() takes, several with commas between, or "cuda:all": every GPU that can be used (compute capability 8.0). One device
/// at least, none twice. kInvalidArgument; of cuda:all also the errors of list_devices(), and kUnsupported where no GPU is new enough.
Result<std::vector<DeviceChoice>> parse_devices(std::string_view text);

}  // namespace brainlock::device_cuda
