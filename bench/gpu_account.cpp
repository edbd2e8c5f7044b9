// What one request costs a GPU, kernel by kernel, without a GPU: all launches of a package's program are made on a device that only counts. The sums are
// those of docs/cuda.md: an account, not a measurement.
//
//   gpu_account PACKAGE [two-pass]
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "brainlock/ckks_client/client.hpp"
#include "brainlock/device_cuda/emulated_backend.hpp"
#include "brainlock/package/package.hpp"
#include "brainlock/runtime/executor.hpp"

using namespace brainlock;

namespace {

// One H200: memory, and 132 multiprocessors of 64 lanes for 32-bit integers at the highest clock.
constexpr double kBytesPerSecond = 4.8e12, kMultiprocessors = 132, kOperationsPerSecond = kMultiprocessors * 64 * 1.98e9;
constexpr double kThreadsOfFull = 1024 * kMultiprocessors;   // with fewer throughput is taken to be in proportion

struct Sum {
  std::uint64_t launches = 0, small = 0;
  double bytes = 0, operations = 0, seconds = 0, seconds_if_small_is_slow = 0;

  void add(const device_cuda::CountedLaunch& launch) {
    const auto threads = static_cast<double>(launch.threads), b = static_cast<double>(launch.memory_bytes), o = static_cast<double>(launch.integer_operations);
    const double at_peak = std::max(b / kBytesPerSecond, o / kOperationsPerSecond);
    ++launches;
    small += threads < kThreadsOfFull ? 1 : 0;
    bytes += b;
    operations += o;
    seconds += at_peak;
    seconds_if_small_is_slow += at_peak * std::max(1.0, kThreadsOfFull / threads);
  }
  void print(const char* name) const {
    std::printf("%-22s %8llu %6llu %8.2f %8.2f %8.2f %8.2f\n", name, static_cast<unsigned long long>(launches), static_cast<unsigned long long>(small), bytes * 1e-9,
                operations * 1e-9, seconds * 1e3, seconds_if_small_is_slow * 1e3);
  }
};

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.to_string().c_str());
  return 1;
}

/// Of a random key, in which the account does not look.
Result<std::shared_ptr<const ckks::LoadedKeys>> make_keys(const runtime::Machine& machine, const plan::Program& program) {
  BRAINLOCK_ASSIGN(const ckks_client::SecretKey secret, ckks_client::SecretKey::generate(machine.parameters));
  BRAINLOCK_ASSIGN(ckks::EvaluationKeySet set, ckks_client::generate_keys(secret, runtime::key_requests(program), machine.pool->threads()));
  return ckks::load_keys(machine.backend, machine.pool, machine.parameters, runtime::key_requests(program), std::move(set));
}

}  // namespace

int main(int argc, char** argv) {
  const bool two_passes = argc == 3 && std::string(argv[2]) == "two-pass";
  if (argc < 2 || argc > 3 || (argc == 3 && !two_passes)) {
    std::fprintf(stderr, "usage: %s PACKAGE [two-pass]\n", argv[0]);
    return 2;
  }
  const auto package = package::Package::load(std::string(argv[1]));
  if (!package) return fail(package.error());
  std::map<std::string, Sum> sums;
  bool counting = false;
  device_cuda::EmulationOptions options;
  options.clusters = !two_passes;
  options.counts_only = true;
  options.on_launch = [&](const device_cuda::CountedLaunch& launch) {
    if (!counting) return;
    sums[launch.kernel].add(launch);
    sums["~"].add(launch);   // behind the others
  };
  auto machine = std::make_shared<runtime::Machine>();
  machine->parameters = (*package)->parameters();
  machine->pool = std::make_shared<device::ThreadPool>(0);
  auto backend = device_cuda::make_emulated_backend(ckks::make_ring(*machine->parameters), options);
  if (!backend) return fail(backend.error());
  machine->backend = *backend;
  const plan::Program& program = (*package)->program();
  const auto loaded = runtime::LoadedProgram::load(machine, plan::Program(program));
  if (!loaded) return fail(loaded.error());
  const auto keys = make_keys(*machine, program);
  if (!keys) return fail(keys.error());
  std::vector<ckks::Ciphertext> inputs(program.input.ciphertexts);
  for (ckks::Ciphertext& in : inputs) {
    in.limbs = program.input.limbs;
    in.scale = ckks::Scale::from_value(program.input.scale);
    in.c0.resize(std::size_t{in.limbs} * program.parameters.ring_degree);
    in.c1.resize(in.c0.size());
  }
  runtime::RunOptions run;
  run.replay = false;
  counting = true;
  const auto answer = runtime::Executor().run(**loaded, **keys, std::move(inputs), run);
  if (!answer) return fail(answer.error());
  std::printf("%-22s %8s %6s %8s %8s %8s %8s\n", "kernel", "launches", "small", "GB", "G instr.", "ms", "ms small");
  for (const auto& [kernel, sum] : sums) sum.print(kernel == "~" ? "all" : kernel.c_str());
  return 0;
}
