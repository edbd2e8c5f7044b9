#include "brainlock/device_cuda/device_list.hpp"

#include <algorithm>

#include "brainlock/device_cuda/devices.hpp"

namespace brainlock::device_cuda {

Result<std::vector<DeviceChoice>> parse_devices(std::string_view text) {
  constexpr std::size_t kMostText = 4096;
  if (text.size() > kMostText) return {ErrorCode::kInvalidArgument, "devices: a list of " + std::to_string(text.size()) + " characters"};
  std::vector<DeviceChoice> out;
  if (text == "cuda:all") {
    BRAINLOCK_ASSIGN(const auto devices, list_devices());
    for (const DeviceInfo& info : devices) {
      if (info.major >= kLeastComputeCapability) out.push_back({DeviceChoice::Kind::kCuda, info.index});
    }
    if (out.empty()) return {ErrorCode::kUnsupported, "cuda:all: no GPU of compute capability 8.0 or newer; take --device cpu"};
    return out;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    BRAINLOCK_ASSIGN(const DeviceChoice choice, parse_device(text.substr(begin, end - begin)));
    for (const DeviceChoice& other : out) {
      // Emulated devices are as many as are asked for; all others are one piece of hardware each, and auto may be any of them.
      const bool same = other.kind == choice.kind && other.index == choice.index && choice.kind != DeviceChoice::Kind::kEmulated;
      if (same || other.kind == DeviceChoice::Kind::kAuto || choice.kind == DeviceChoice::Kind::kAuto) {
        return {ErrorCode::kInvalidArgument, "devices '" + std::string(text.substr(0, 80)) + "': each once, and auto alone"};
      }
    }
    out.push_back(choice);
    begin = end + 1;
  }
  return out;
}

}  // namespace brainlock::device_cuda
