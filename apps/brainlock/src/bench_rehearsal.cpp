#include "bench_rehearsal.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "bench_device.hpp"
#include "median.hpp"
#include "ui.hpp"

namespace brainlock::app {

Status check_rehearsal(const device_cuda::DeviceChoice& device) {
  if (device.kind == device_cuda::DeviceChoice::Kind::kCpu) return {};
  return Error{ErrorCode::kUnsupported, "--rehearse-threads adds up the tasks of processors' threads, which a GPU has none of: take --device cpu"};
}

namespace {

template <typename Run, typename Value>
double median_of(const std::vector<Run>& runs, const Value& value) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(value(run));
  return median(std::move(values));
}

}  // namespace

nlohmann::json RehearsedRun::json() const {
  return {{"threads", threads},
          {"seconds", seconds},
          {"min_s", min_s},
          {"max_s", max_s},
          {"work_s", median.work_s},
          {"between_s", median.between_s},
          {"pool_s", median.pool_s},
          {"batches", median.batches},
          {"tasks", median.tasks}};
}

Result<RehearsedRun> rehearse(const Server& server, const ckks::LoadedKeys& keys, std::span<const ckks::Ciphertext> inputs,
                              std::span<const ckks::Ciphertext> expected, unsigned threads, unsigned warm_up, unsigned repeats) {
  const auto rehearsal = std::make_shared<device::Rehearsal>(threads);
  struct Rehearsing {   // however this function ends
    device::ThreadPool& pool;
    ~Rehearsing() { pool.rehearse(nullptr); }
  } rehearsing{*server.machine->pool};
  rehearsing.pool.rehearse(rehearsal);
  std::vector<device::Rehearsal::Sum> sums;
  std::vector<std::vector<std::uint64_t>> batches_ns;
  for (unsigned i = 0; i < warm_up + repeats; ++i) {
    std::vector<ckks::Ciphertext> copies = copy_ciphertexts(inputs);
    rehearsal->restart();
    BRAINLOCK_ASSIGN(const auto answer, runtime::Executor().run(*server.program, keys, std::move(copies)));
    const auto sum = rehearsal->sum();
    if (!same_words(answer, expected)) return Error{ErrorCode::kInternal, "the answer of a rehearsed request has other words than that of a real one"};
    if (i < warm_up) continue;
    sums.push_back(sum);
    batches_ns.push_back(rehearsal->batches_ns());
    if (batches_ns.back().size() != batches_ns.front().size()) return Error{ErrorCode::kInternal, "two rehearsals of a request had different numbers of batches"};
  }
  // Batch by batch: the longest task of a batch is what the others wait for, and whenever this thread is interrupted there is a long one.
  double seconds = median_of(sums, [](const auto& sum) { return sum.between_s; });
  for (std::size_t b = 0; b < batches_ns.front().size(); ++b) {
    seconds += 1e-9 * median_of(batches_ns, [&](const auto& run) { return static_cast<double>(run[b]); });
  }
  std::sort(sums.begin(), sums.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  return RehearsedRun{threads, seconds, sums[sums.size() / 2], sums.front().seconds, sums.back().seconds};
}

void print_rehearsal(std::span<const RehearsedRun> runs) {
  if (runs.empty()) return;
  std::printf("  %9s %10s %21s %10s %10s %9s\n", "rehearsed", "latency", "(single runs)", "work", "between", "batches");
  for (const RehearsedRun& r : runs) {
    const std::string range = human_seconds(r.min_s) + " - " + human_seconds(r.max_s);
    std::printf("  %9u %10s %21s %10s %10s %9llu\n", r.threads, human_seconds(r.seconds).c_str(), range.c_str(), human_seconds(r.median.work_s).c_str(),
                human_seconds(r.median.between_s).c_str(), static_cast<unsigned long long>(r.median.batches));
  }
  std::printf("  added up from the tasks of one thread as if so many had shared them, and never waited for memory, each other's caches or a slower clock\n");
}

}  // namespace brainlock::app
