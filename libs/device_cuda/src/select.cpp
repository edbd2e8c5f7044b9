#include "brainlock/device_cuda/select.hpp"

#include <charconv>

#include "brainlock/device/cpu_backend.hpp"
#include "brainlock/device_cuda/cuda_backend.hpp"
#include "brainlock/device_cuda/emulated_backend.hpp"
#include "cuda/cuda_driver.hpp"

namespace brainlock::device_cuda {

Result<DeviceChoice> parse_device(std::string_view text) {
  using Kind = DeviceChoice::Kind;
  if (text == "cpu") return DeviceChoice{Kind::kCpu, 0};
  if (text == "cuda") return DeviceChoice{Kind::kCuda, 0};
  if (text == "auto") return DeviceChoice{Kind::kAuto, 0};
  if (text == "emulated") return DeviceChoice{Kind::kEmulated, 0};
  constexpr std::string_view kPrefix = "cuda:";
  if (text.starts_with(kPrefix)) {
    const std::string_view number = text.substr(kPrefix.size());
    unsigned index = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error == std::errc{} && end == number.data() + number.size() && index < 1024) return DeviceChoice{Kind::kCuda, static_cast<int>(index)};
  }
  return {ErrorCode::kInvalidArgument, "device '" + std::string(text.substr(0, 40)) + "': expected cpu, cuda, cuda:N (the N-th GPU, from 0) or auto"};
}

Status check_device(const DeviceChoice& choice) {
  if (choice.kind != DeviceChoice::Kind::kCuda) return {};
  BRAINLOCK_TRY(make_cuda_driver(choice.index));
  return {};
}

Result<Selected> select_backend(const DeviceChoice& choice, device::Ring ring, std::shared_ptr<device::ThreadPool> pool) {
  Selected out;
  switch (choice.kind) {
    case DeviceChoice::Kind::kCpu: {
      BRAINLOCK_ASSIGN(out.backend, device::make_cpu_backend(std::move(ring), std::move(pool)));
      return out;
    }
    case DeviceChoice::Kind::kCuda: {
      BRAINLOCK_ASSIGN(out.backend, make_cuda_backend(std::move(ring), choice.index));
      return out;
    }
    case DeviceChoice::Kind::kEmulated: {
      BRAINLOCK_ASSIGN(out.backend, make_emulated_backend(std::move(ring)));
      return out;
    }
    case DeviceChoice::Kind::kAuto: break;
  }
  auto cuda = make_cuda_backend(ring, 0);
  if (cuda) {
    out.backend = std::move(*cuda);
    out.reason = "took " + out.backend->name();
    return out;
  }
  BRAINLOCK_ASSIGN(out.backend, device::make_cpu_backend(std::move(ring), std::move(pool)));
  out.reason = "took the CPU: " + cuda.error().message;
  return out;
}

}  // namespace brainlock::device_cuda
