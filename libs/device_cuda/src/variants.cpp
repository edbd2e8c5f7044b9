#include "brainlock/device_cuda/variants.hpp"

#include "cuda_backend.hpp"

namespace brainlock::device_cuda {

const char* Variants::name(Transform way) {
  switch (way) {
    case Transform::kTwoPasses: return kPlainTransform;
    case Transform::kTwoPassesRoomy: return "two-pass-roomy";
    case Transform::kCluster: return "cluster";
    case Transform::kClusterRoomy: return "cluster-roomy";
  }
  return "";
}

std::optional<Variants> variants_of(const device::Backend& backend) {
  const auto* const cuda = dynamic_cast<const CudaBackend*>(&backend);
  return cuda == nullptr ? std::nullopt : std::optional<Variants>(cuda->variants());
}

}  // namespace brainlock::device_cuda
