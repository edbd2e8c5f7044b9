// Encoding, decoding and seed expansion on a 128-bit set of N = 2^15.
#include <benchmark/benchmark.h>

#include "brainlock/ckks/encoder.hpp"
#include "brainlock/ckks/uniform.hpp"

namespace brainlock::ckks {
namespace {

std::shared_ptr<const Parameters> parameters() {
  static const auto made = [] {
    ParameterSpec spec;
    spec.ring_degree = 1u << 15;
    spec.digit_limbs = 5;
    spec.p = math::ntt_primes(30, 5, spec.ring_degree);
    spec.q = math::ntt_primes(30, 13, spec.ring_degree, spec.p);
    return Parameters::create(spec).value();
  }();
  return made;
}

void BM_MakeEncoder(benchmark::State& state) {
  parameters();
  for (auto _ : state) benchmark::DoNotOptimize(Encoder(parameters()));
}
BENCHMARK(BM_MakeEncoder)->Unit(benchmark::kMicrosecond);

/// Arguments: period, limbs.
void BM_Encode(benchmark::State& state) {
  const Encoder encoder(parameters());
  const std::vector<std::complex<double>> slots(static_cast<std::size_t>(state.range(0)), {0.5, -0.25});
  for (auto _ : state) {
    benchmark::DoNotOptimize(encoder.encode(slots, Scale::from_log2(26), static_cast<std::uint32_t>(state.range(1))));
  }
}
BENCHMARK(BM_Encode)->Args({1 << 14, 1})->Args({1 << 14, 13})->Args({64, 13})->Unit(benchmark::kMicrosecond);

/// Periodic weights as the linear layers use them: coefficients once, run values per limb. Argument: period.
void BM_RunValues(benchmark::State& state) {
  const Encoder encoder(parameters());
  const auto period = static_cast<std::size_t>(state.range(0));
  const auto coefficients = encoder.to_coefficients(std::vector<std::complex<double>>(period, {0.5, -0.25}), Scale::from_log2(18));
  std::vector<std::uint32_t> out(2 * period);
  for (auto _ : state) {
    encoder.to_run_values(*coefficients, 0, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(BM_RunValues)->Arg(32)->Arg(64)->Arg(256)->Arg(1024);

/// Argument: limbs.
void BM_Decode(benchmark::State& state) {
  const Encoder encoder(parameters());
  const auto limbs = static_cast<std::uint32_t>(state.range(0));
  const auto plaintext = encoder.encode(std::vector<std::complex<double>>(parameters()->slots(), {0.5, -0.25}), Scale::from_log2(26), limbs);
  for (auto _ : state) benchmark::DoNotOptimize(encoder.decode(*plaintext, limbs, Scale::from_log2(26)));
}
BENCHMARK(BM_Decode)->Arg(1)->Arg(4)->Unit(benchmark::kMicrosecond);

/// One limb from a seed: the server's cost of a compressed key, per limb.
void BM_UniformLimb(benchmark::State& state) {
  Words out(1u << 15);
  std::uint64_t stream = 0;
  for (auto _ : state) {
    uniform_limb(Seed{}, stream++, parameters()->modulus(0).q, out.data(), out.size());
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(4 * out.size()));
}
BENCHMARK(BM_UniformLimb)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace brainlock::ckks
