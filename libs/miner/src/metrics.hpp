// Counters of the service and their Prometheus text.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "brainlock/miner/fair_queue.hpp"
#include "brainlock/miner/key_registry.hpp"
#include "brainlock/net/server.hpp"

namespace brainlock::miner {

/// Safe from many threads.
class Metrics {
 public:
  void request(std::string_view route, std::string_view outcome);
  void computed(double wait_s, double compute_s);

  struct Snapshot {
    FairQueue::Load load;
    KeyRegistry::Totals keys;
    std::size_t loaded_key_sets = 0;
    std::uint64_t loaded_key_bytes = 0;
    std::string version;
    std::size_t working_devices = 0, lost_devices = 0;
  };
  [[nodiscard]] std::string text(const Snapshot& now, const net::ServerCounters* server) const;

 private:
  static constexpr std::array<double, 12> kBuckets{0.01, 0.03, 0.1, 0.3, 1, 2, 5, 10, 20, 40, 80, 160};
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> requests_;
  std::array<std::uint64_t, kBuckets.size() + 1> histogram_{};
  double compute_s_ = 0, wait_s_ = 0;
  std::uint64_t computed_ = 0;
};

}  // namespace brainlock::miner
