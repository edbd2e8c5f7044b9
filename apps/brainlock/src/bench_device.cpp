#include "bench_device.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>

#include "brainlock/device_cuda/variants.hpp"
#include "ui.hpp"

namespace brainlock::app {

std::vector<ckks::Ciphertext> copy_ciphertexts(std::span<const ckks::Ciphertext> in) {
  std::vector<ckks::Ciphertext> out;
  for (const auto& ciphertext : in) out.push_back(ciphertext.clone());
  return out;
}

bool same_words(std::span<const ckks::Ciphertext> a, std::span<const ckks::Ciphertext> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return x.c0 == y.c0 && x.c1 == y.c1; });
}

std::optional<DeviceWork> count_work(const Server& server, const ckks::LoadedKeys& keys, std::vector<ckks::Ciphertext> inputs,
                                     const runtime::RunOptions& options, double latency_s) {
  device::Backend& backend = *server.machine->backend;
  if (!backend.counters()) return std::nullopt;
  backend.count(true);
  must(runtime::Executor().run(*server.program, keys, std::move(inputs), options));
  DeviceWork out{*backend.counters(), backend.peaks(), latency_s};
  backend.count(false);
  return out;
}

namespace {

std::optional<double> share(std::uint64_t amount, double seconds, double peak_per_s) {
  if (!(peak_per_s > 0) || !(seconds > 0)) return std::nullopt;
  return static_cast<double>(amount) / seconds / peak_per_s;
}

nlohmann::json number(const std::optional<double>& value) { return value ? nlohmann::json(*value) : nlohmann::json(); }

std::string percent(const std::optional<double>& value) { return value ? std::to_string(static_cast<int>(100 * *value + 0.5)) + " %" : "?"; }

}  // namespace

std::optional<double> DeviceWork::memory_share() const { return share(counters.memory_bytes, latency_s, peaks ? peaks->memory_bytes_per_s : 0); }
std::optional<double> DeviceWork::integer_share() const {
  return share(counters.integer_operations, latency_s, peaks ? peaks->integer_operations_per_s : 0);
}

nlohmann::json DeviceWork::json() const {
  return {{"kernels", counters.kernels},
          {"distinct_kernels", counters.distinct_kernels},
          {"launches", counters.launches},
          {"replays", counters.replays},
          {"submit_s", counters.submit_s},
          {"copies_to_device", counters.copies_to_device},
          {"copies_from_device", counters.copies_from_device},
          {"bytes_to_device", counters.bytes_to_device},
          {"bytes_from_device", counters.bytes_from_device},
          {"memory_bytes", counters.memory_bytes},
          {"integer_operations", counters.integer_operations},
          {"memory_peak_bytes_per_s", peaks ? peaks->memory_bytes_per_s : 0},
          {"integer_peak_per_s", peaks ? peaks->integer_operations_per_s : 0},
          {"memory_share", number(memory_share())},
          {"integer_share", number(integer_share())}};
}

void DeviceWork::print() const {
  std::printf("  device     %llu kernels (%u kinds) in %llu launches and %llu replays, %s to submit; %s in, %s out\n",
              static_cast<unsigned long long>(counters.kernels), counters.distinct_kernels, static_cast<unsigned long long>(counters.launches),
              static_cast<unsigned long long>(counters.replays), human_seconds(counters.submit_s).c_str(),
              human_bytes(counters.bytes_to_device).c_str(), human_bytes(counters.bytes_from_device).c_str());
  std::printf("             memory traffic %s, %.3g G integer operations: %s and %s of the peaks\n", human_bytes(counters.memory_bytes).c_str(),
              1e-9 * static_cast<double>(counters.integer_operations), percent(memory_share()).c_str(), percent(integer_share()).c_str());
}

std::optional<KernelTimes> measure_kernels(const Server& server, const ckks::LoadedKeys& keys) {
  if (server.program->replay_report().replayed == 0) return std::nullopt;
  auto times = server.program->kernel_times(keys);
  if (times) return KernelTimes{std::move(*times), server.machine->backend->peaks()};
  std::fprintf(stderr, "brainlock: kernels were not timed: %s\n", times.error().to_string().c_str());
  return std::nullopt;
}

nlohmann::json KernelTimes::json() const {
  auto out = nlohmann::json::array();
  for (const device::KernelTime& k : kernels) {
    out.push_back({{"kernel", k.kernel},
                   {"launches", k.launches},
                   {"seconds", k.seconds},
                   {"memory_bytes", k.memory_bytes},
                   {"integer_operations", k.integer_operations},
                   {"memory_share", number(share(k.memory_bytes, k.seconds, peaks ? peaks->memory_bytes_per_s : 0))},
                   {"integer_share", number(share(k.integer_operations, k.seconds, peaks ? peaks->integer_operations_per_s : 0))}});
  }
  return out;
}

void KernelTimes::print() const {
  std::printf("  %-22s %9s %10s %12s %12s\n", "kernel", "launches", "time", "of memory", "of integers");
  double total = 0;
  for (const device::KernelTime& k : kernels) {
    total += k.seconds;
    std::printf("  %-22s %9llu %10s %12s %12s\n", k.kernel.c_str(), static_cast<unsigned long long>(k.launches), human_seconds(k.seconds).c_str(),
                percent(share(k.memory_bytes, k.seconds, peaks ? peaks->memory_bytes_per_s : 0)).c_str(),
                percent(share(k.integer_operations, k.seconds, peaks ? peaks->integer_operations_per_s : 0)).c_str());
  }
  std::printf("  launched one by one, with a reading of the device's clock after each: %s in all\n", human_seconds(total).c_str());
}

std::optional<double> TransformWork::traffic_share() const { return share(speed.traffic_bytes, speed.seconds, peaks ? peaks->memory_bytes_per_s : 0); }
std::optional<double> TransformWork::operand_share() const { return share(speed.operand_bytes, speed.seconds, peaks ? peaks->memory_bytes_per_s : 0); }

namespace {

using device_cuda::Variants;

nlohmann::json seconds_or_null(double seconds) { return seconds > 0 ? nlohmann::json(seconds) : nlohmann::json(); }

}  // namespace

nlohmann::json TransformWork::json() const {
  return {{"degree", speed.degree},
          {"limbs", speed.limbs},
          {"way", Variants::name(speed.way)},
          {"seconds", speed.seconds},
          {"two_passes_s", seconds_or_null(speed.two_passes_s)},
          {"traffic_bytes", speed.traffic_bytes},
          {"operand_bytes", speed.operand_bytes},
          {"traffic_share", number(traffic_share())},
          {"operand_share", number(operand_share())}};
}

void TransformWork::print() const {
  std::printf("  transforms %u limbs of N = %u forward in %s (%s): %.3g TB/s of device memory, %s of the peak (%s if words were loaded and stored once)\n", speed.limbs,
              speed.degree, human_seconds(speed.seconds).c_str(), Variants::name(speed.way), 1e-12 * static_cast<double>(speed.traffic_bytes) / speed.seconds,
              percent(traffic_share()).c_str(), percent(operand_share()).c_str());
}

std::optional<TransformWork> measure_transforms(const Server& server, const device_cuda::DeviceChoice& choice) {
  const device::Backend& backend = *server.machine->backend;
  const auto variants = device_cuda::variants_of(backend);
  if (!variants) return std::nullopt;
  const auto speed = device_cuda::measure_forward_transforms(choice, backend.ring(), *variants);
  if (speed) return TransformWork{*speed, backend.peaks()};
  std::fprintf(stderr, "brainlock: transforms were not measured: %s\n", speed.error().to_string().c_str());
  return std::nullopt;
}

nlohmann::json variants_json(const Server& server) {
  const auto v = device_cuda::variants_of(*server.machine->backend);
  if (!v) return nullptr;
  const auto choice = [](const Variants::Choice& c) {
    nlohmann::json seconds;
    for (unsigned way = 0; way < Variants::kTransforms; ++way) seconds[Variants::name(static_cast<Variants::Transform>(way))] = seconds_or_null(c.seconds[way]);
    return nlohmann::json{{"taken", Variants::name(c.taken)}, {"limbs", c.limbs}, {"seconds", seconds}};
  };
  return {{"transforms",
           {{"reason", v->transforms_reason},
            {"few_limbs", Variants::kFewLimbs},
            {"forward", {{"few", choice(v->forward_few)}, {"many", choice(v->forward_many)}}},
            {"inverse", {{"few", choice(v->inverse_few)}, {"many", choice(v->inverse_many)}}}}},
          {"launches",
           {{"taken", v->dependent_launches ? "dependent" : "plain"},
            {"reason", v->launches_reason},
            {"kernels", v->kernels},
            {"plain_s", seconds_or_null(v->one_by_one_s)},
            {"dependent_s", seconds_or_null(v->dependent_s)}}}};
}

void print_variants(const Server& server) {
  const auto v = device_cuda::variants_of(*server.machine->backend);
  if (!v) return;
  std::printf("  ways       transforms forward %s (few limbs), %s (many), inverse %s, %s: %s\n", Variants::name(v->forward_few.taken), Variants::name(v->forward_many.taken),
              Variants::name(v->inverse_few.taken), Variants::name(v->inverse_many.taken), v->transforms_reason.c_str());
  std::printf("             launches of recordings %s: %s\n", v->dependent_launches ? "dependent" : "plain", v->launches_reason.c_str());
}

nlohmann::json replay_json(const Server& server) {
  const auto report = server.program->replay_report();
  if (report.lanes == 0 && report.reason.empty()) return nullptr;
  return {{"lanes", report.lanes}, {"plain", report.plain}, {"recorded", report.recorded}, {"replayed", report.replayed},
          {"kernels", report.kernels}, {"reason", report.reason.empty() ? nlohmann::json() : nlohmann::json(report.reason)}};
}

Result<Throughput> measure_throughput(const Server& server, const ckks::LoadedKeys& keys, std::span<const ckks::Ciphertext> inputs,
                                      std::span<const ckks::Ciphertext> expected, unsigned batch, unsigned in_flight, const runtime::RunOptions& options) {
  std::vector<std::vector<ckks::Ciphertext>> questions;
  for (unsigned i = 0; i < batch; ++i) questions.push_back(copy_ciphertexts(inputs));
  std::atomic<unsigned> next{0};
  std::mutex mutex;
  Status failure;
  Throughput out{batch, std::min(batch, in_flight), 0};
  const Stopwatch watch;
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < out.in_flight; ++t) {
      threads.emplace_back([&] {
        for (unsigned i = next++; i < batch; i = next++) {
          auto answer = runtime::Executor().run(*server.program, keys, std::move(questions[i]), options);
          const bool right = answer.ok() && same_words(*answer, expected);
          if (right) continue;
          const std::lock_guard lock(mutex);
          if (failure.ok()) failure = answer.ok() ? Error{ErrorCode::kInternal, "an answer of the batch has other words than the same request alone"} : answer.error();
        }
      });
    }
  }
  out.seconds = watch.seconds();
  BRAINLOCK_TRY(failure);
  return out;
}

}  // namespace brainlock::app
