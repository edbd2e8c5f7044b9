// Processor, memory, disk, limits, GPUs.
#include <algorithm>
#include <cmath>

#include "brainlock/base/processors.hpp"
#include "brainlock/device_cuda/select.hpp"
#include "brainlock/miner/key_registry.hpp"
#include "judge.hpp"
#include "text.hpp"

namespace brainlock::doctor {
namespace {

/// A miner has 512 connections at most, key files and the rest; the unit gives it 4096.
constexpr std::uint64_t kLeastOpenFiles = 128, kGoodOpenFiles = 1024;
/// Seeds and keys of a service, in whole pages; the unit gives it 64 MB.
constexpr std::uint64_t kGoodLockedBytes = 1 << 20;
/// A validator besides its keys: the model in the clear, questions, answers, history.
constexpr std::uint64_t kValidatorBytes = 256'000'000;
constexpr std::uint64_t kRoomForLogs = 100'000'000;
constexpr const char* kSmaller = "compile the model with `--profile fast`, which has smaller keys";

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string need_text(const miner::RamForecast& need) {
  return bytes_text(need.least()) + " (weights " + bytes_text(need.weights) + ", one key set " + bytes_text(need.largest_keys) + ", work " +
         bytes_text(need.largest_working) + ")";
}

}  // namespace

Finding judge_kernels(const MachineFacts& machine) {
  const std::string& forced = machine.forced_kernels;
  if (!forced.empty() && std::find(machine.kernels.begin(), machine.kernels.end(), forced) == machine.kernels.end()) {
    return failure("BRAINLOCK_ISA=" + forced + " is set, this processor runs " + joined(machine.kernels), "take BRAINLOCK_ISA out of the service's environment");
  }
  const std::string& best = machine.kernels.back();
  const std::string& runs = forced.empty() ? best : forced;
  if (best == "scalar") return warning("scalar kernels: the processor has no AVX2", "a machine with AVX2 or AVX-512 is several times faster");
  if (runs != best) return warning(runs + " kernels, forced by BRAINLOCK_ISA; the processor runs " + best, "take BRAINLOCK_ISA out of the service's environment");
  return ok(runs + " kernels will run" + (forced.empty() ? "" : " (as BRAINLOCK_ISA says)"));
}

Finding judge_processors(const MachineFacts& machine, unsigned threads) {
  const unsigned usable = usable_processors(machine.processors, machine.processor_quota);
  const unsigned used = threads == 0 ? usable : threads;
  const std::string has = std::to_string(machine.processors) + (machine.processors == 1 ? " processor" : " processors");
  if (machine.processor_quota && static_cast<double>(used) > *machine.processor_quota + 0.5) {
    char quota[16];
    std::snprintf(quota, sizeof quota, "%.1f", *machine.processor_quota);
    return warning(std::to_string(used) + " threads would share " + quota + " processors, the quota of the control group", "--threads 0 takes " + std::to_string(usable) + "; or a larger quota");
  }
  if (used > machine.processors) return warning("--threads " + std::to_string(used) + " on " + has, "--threads 0 takes as many as there are");
  return ok(has + (used == machine.processors ? "" : ", " + std::to_string(used) + " of them used") + (used == usable && usable < machine.processors ? " (the quota of the control group)" : ""));
}

Finding judge_limits(const MachineFacts& machine, Role role) {
  if (role == Role::kMachine) return ok(std::to_string(machine.open_files) + " open files at most");
  if (machine.open_files < kLeastOpenFiles) {
    return failure("at most " + std::to_string(machine.open_files) + " open files: too few for the connections", "LimitNOFILE=4096 in the unit, or `ulimit -n 4096` before the start");
  }
  if (machine.open_files < kGoodOpenFiles && role == Role::kMiner) {
    return warning("at most " + std::to_string(machine.open_files) + " open files; a miner takes 512 connections", "LimitNOFILE=4096 in the unit, or `ulimit -n 4096` before the start");
  }
  if (machine.locked_bytes < kGoodLockedBytes) {
    return warning("only " + bytes_text(machine.locked_bytes) + " of memory may be locked: keys could be swapped to disk", "LimitMEMLOCK=64M in the unit, or `ulimit -l 65536`");
  }
  return ok(std::to_string(machine.open_files) + " open files at most, " + (machine.locked_bytes == UINT64_MAX ? "any" : bytes_text(machine.locked_bytes)) + " of locked memory");
}

Finding judge_memory(const MachineFacts& machine) {
  const std::uint64_t limit = machine.memory_limit();
  std::string text = bytes_text(machine.memory_bytes) + ", " + bytes_text(machine.available_bytes) + " available";
  if (limit < machine.memory_bytes) text += "; " + machine.memory_limit_name() + " is " + bytes_text(limit);
  return ok(text);
}

Finding judge_miner_memory(const MachineFacts& machine, const miner::RamForecast& need, double max_ram_gb, unsigned in_flight, bool running) {
  const std::uint64_t limit = machine.memory_limit();
  const auto allowed = static_cast<std::uint64_t>(std::max(0.0, max_ram_gb) * 1e9);
  if (allowed > 0 && need.least() > allowed) {
    return failure("serving needs " + need_text(need) + ", --max-ram allows " + bytes_text(allowed),
                   "--max-ram " + std::to_string(static_cast<long>(std::ceil(static_cast<double>(need.least()) * 1e-9))) + " or more, or " + kSmaller);
  }
  if (need.least() > limit) return failure("serving needs " + need_text(need) + ", " + machine.memory_limit_name() + " is " + bytes_text(limit), std::string("more memory, or ") + kSmaller);
  const std::uint64_t planned = allowed > 0 ? allowed : need.weights + 4 * need.largest_keys + in_flight * need.largest_working;
  if (planned > limit) {
    return warning((allowed > 0 ? "--max-ram " + bytes_text(planned) : "four key sets, as without --max-ram, take " + bytes_text(planned)) + "; " + machine.memory_limit_name() + " is " + bytes_text(limit),
                   "--max-ram " + std::to_string(std::max(1L, static_cast<long>(static_cast<double>(limit) * 0.9e-9))) + ", so that the miner drops keys before the system kills it");
  }
  if (!running && need.least() > machine.available_bytes) {
    return warning("serving needs " + need_text(need) + ", " + bytes_text(machine.available_bytes) + " are available now", "stop what else uses memory (`ps aux --sort=-rss | head`)");
  }
  const std::uint64_t rest = planned - std::min(planned, need.weights + need.largest_working);
  return ok("serving needs " + need_text(need) + "; room for " + std::to_string(std::max<std::uint64_t>(1, rest / std::max<std::uint64_t>(1, need.largest_keys))) + " key sets of " + bytes_text(planned));
}

Finding judge_validator_memory(const MachineFacts& machine, std::uint64_t key_bytes) {
  const std::uint64_t need = key_bytes + kValidatorBytes, limit = machine.memory_limit();
  if (need > limit) return failure("making the keys needs about " + bytes_text(need) + ", " + machine.memory_limit_name() + " is " + bytes_text(limit), "more memory");
  if (need > machine.available_bytes) return warning("making the keys needs about " + bytes_text(need) + ", " + bytes_text(machine.available_bytes) + " are available now", "stop what else uses memory (`ps aux --sort=-rss | head`)");
  return ok("making the keys needs about " + bytes_text(need) + ", " + bytes_text(machine.available_bytes) + " are available");
}

Finding judge_gpus(const MachineFacts& machine, const std::string& devices, const std::optional<miner::RamForecast>& need) {
  using Kind = device_cuda::DeviceChoice::Kind;
  std::vector<device_cuda::DeviceChoice> choices;
  bool all = false;
  for (std::size_t at = 0; at <= devices.size();) {
    const auto comma = std::min(devices.find(',', at), devices.size());
    const std::string word = devices.substr(at, comma - at);
    at = comma + 1;
    if (word == "cuda:all") {
      all = true;
      continue;
    }
    const auto choice = device_cuda::parse_device(word);
    if (!choice.ok()) return failure("--device " + devices + ": " + choice.error().message, "--device cpu, cuda, cuda:N, cuda:all or auto");
    choices.push_back(*choice);
  }
  const auto uses = [&](Kind kind) { return std::any_of(choices.begin(), choices.end(), [&](const auto& choice) { return choice.kind == kind; }); };
  const bool wanted = all || uses(Kind::kCuda);
  if (!wanted && !uses(Kind::kAuto)) return skipped("--device " + devices + " asks for none");
  const std::string remedy = "see that `nvidia-smi` lists it for this user (in a unit: deploy/brainlock-miner-gpu.conf), or --device cpu";
  if (!machine.gpus || !machine.gpus->ok()) {
    const std::string why = machine.gpus ? machine.gpus->error().message : "the GPUs were not asked for";
    if (!wanted) return warning("--device auto will take the CPU: " + why, remedy);
    return failure("--device " + devices + ": " + why, machine.built_with_cuda ? remedy : "build it where nvcc is (docs/cuda.md), or --device cpu");
  }
  const auto& gpus = machine.gpus->value();
  std::string names;
  for (const auto& gpu : gpus) {
    const bool chosen = all || uses(Kind::kAuto) || std::any_of(choices.begin(), choices.end(), [&](const auto& choice) { return choice.kind == Kind::kCuda && choice.index == gpu.index; });
    if (!chosen) continue;
    const std::string name = "cuda:" + std::to_string(gpu.index) + " (" + gpu.name + ", " + bytes_text(gpu.memory_bytes) + ")";
    if (gpu.major < device_cuda::kLeastComputeCapability) {
      if (all || !wanted) continue;
      return failure(name + " has compute capability " + std::to_string(gpu.major) + "." + std::to_string(gpu.minor) + ", 8.0 is needed", "a newer GPU, or --device cpu");
    }
    if (need && need->least() > gpu.memory_bytes) return failure(name + ": serving needs " + need_text(*need), std::string("a GPU with more memory, or ") + kSmaller);
    names += (names.empty() ? "" : ", ") + name;
  }
  for (const auto& choice : choices) {
    if (choice.kind == Kind::kCuda && std::none_of(gpus.begin(), gpus.end(), [&](const auto& gpu) { return gpu.index == choice.index; })) {
      return failure("there is no cuda:" + std::to_string(choice.index) + " among " + std::to_string(gpus.size()) + " GPUs", "`brainlock devices` lists them");
    }
  }
  if (names.empty()) return wanted ? failure("no GPU has compute capability 8.0", "a newer GPU, or --device cpu") : warning("--device auto will take the CPU: no GPU has compute capability 8.0", "a newer GPU");
  return ok(names);
}

Finding judge_disk(Role role, const std::string& folder, std::uint64_t free_bytes, std::uint64_t free_files, std::uint64_t key_bytes) {
  const std::string has = bytes_text(free_bytes) + " free for " + folder;
  const std::string remedy = "make room there, or put --state on a larger disk";
  if (free_files == 0) return failure("no more files fit on the disk of " + folder + " (inodes)", remedy);
  const std::uint64_t others = role == Role::kMiner ? miner::KeyQuota{}.keep_free_bytes : kRoomForLogs;   // what a miner's keys leave to others
  if (free_bytes < key_bytes + others) {
    return failure(has + ": not enough for one key file of " + bytes_text(key_bytes) + " and the " + bytes_text(others) + " beside it that stay free", remedy);
  }
  const std::uint64_t good = (role == Role::kMiner ? 16 : 3) * key_bytes + 10 * kRoomForLogs;
  if (free_bytes < good) return warning(has + "; a key file takes " + bytes_text(key_bytes), remedy);
  if (role != Role::kMiner) return ok(has);
  return ok(has + ": " + std::to_string(free_bytes / std::max<std::uint64_t>(1, key_bytes)) + " key files of " + bytes_text(key_bytes));
}

}  // namespace brainlock::doctor
