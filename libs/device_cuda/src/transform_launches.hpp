// A batch of transforms as launches.
#pragma once

#include "brainlock/device_cuda/variants.hpp"
#include "driver.hpp"

namespace brainlock::device_cuda {

struct TransformLaunches {
  gpu::Launch launch[2];
  unsigned count = 0;
  const gpu::Launch* begin() const { return launch; }
  const gpu::Launch* end() const { return launch + count; }
};

constexpr bool is_cluster(Variants::Transform way) { return way == Variants::Transform::kCluster || way == Variants::Transform::kClusterRoomy; }

/// `rows` rows of each of the jobs; `arguments` is pointed to.
inline TransformLaunches transform_launches(Variants::Transform kind, bool forward, const gpu::NttArguments& arguments, unsigned rows, unsigned jobs) {
  using gpu::Kernel;
  using Transform = Variants::Transform;
  const unsigned log_degree = arguments.ring.log_degree;
  const bool roomy = kind == Transform::kTwoPassesRoomy || kind == Transform::kClusterRoomy;
  const unsigned variant = log_degree + (roomy ? gpu::kRoomyVariant : 0);
  const auto launch = [&](Kernel kernel, unsigned log_tile, unsigned threads, unsigned shared_words) {
    return gpu::Launch{kernel, variant, {1u << (log_degree - log_tile), rows, jobs}, threads, shared_words * sizeof(gpu::Word), &arguments, sizeof(arguments), {}};
  };
  if (is_cluster(kind)) {
    const gpu::ClusterShape s = gpu::cluster_shape(log_degree);
    return {{launch(forward ? Kernel::kNttForwardCluster : Kernel::kNttInverseCluster, s.log_tile, s.threads, 2 * s.tile_words), {}}, 1};
  }
  const gpu::TransformShape s = gpu::transform_shape(log_degree);
  return {{launch(forward ? Kernel::kNttForwardColumns : Kernel::kNttInverseRows, s.log_tile, s.threads, s.shared_words),
           launch(forward ? Kernel::kNttForwardRows : Kernel::kNttInverseColumns, s.log_tile, s.threads, s.shared_words)},
          2};
}

}  // namespace brainlock::device_cuda
