// Packing, and one evaluation key of N = 2^15 at 13 + 5 limbs out and in.
#include <benchmark/benchmark.h>

#include "brainlock/wire/bit_packing.hpp"
#include "brainlock/wire/evaluation_keys.hpp"

namespace brainlock::wire {
namespace {

constexpr std::size_t kN = 1u << 15;

void BM_Pack(benchmark::State& state) {
  const std::vector<std::uint32_t> words(kN, 12345);
  Bytes packed(packed_bytes(kN, 30));
  for (auto _ : state) pack_words(words, 30, packed);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(4 * kN));
}
BENCHMARK(BM_Pack);

void BM_Unpack(benchmark::State& state) {
  const Bytes packed(packed_bytes(kN, 30), 0x11);
  std::vector<std::uint32_t> words(kN);
  for (auto _ : state) benchmark::DoNotOptimize(unpack_words(packed, 1073643521, words));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(4 * kN));
}
BENCHMARK(BM_Unpack);

struct Fixture {
  Fixture() {
    ckks::ParameterSpec spec;
    spec.ring_degree = kN;
    spec.digit_limbs = 5;
    spec.p = math::ntt_primes(30, 5, spec.ring_degree);
    spec.q = math::ntt_primes(30, 13, spec.ring_degree, spec.p);
    parameters = ckks::Parameters::create(spec).value();
    ckks::EvaluationKey key;
    key.galois_element = 5;
    key.limbs = 13;
    key.seed.emplace();
    key.b.assign(3 * 18 * kN, 54321);
    keys.keys.push_back(std::move(key));
  }
  std::shared_ptr<const ckks::Parameters> parameters;
  ckks::EvaluationKeySet keys;
};
const Fixture& fixture() {
  static const Fixture made;
  return made;
}

void BM_WriteEvaluationKey(benchmark::State& state) {
  std::size_t bytes = 0;
  for (auto _ : state) bytes = serialize_evaluation_keys(fixture().keys, fixture().parameters)->size();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}
BENCHMARK(BM_WriteEvaluationKey)->Unit(benchmark::kMillisecond);

void BM_ReadEvaluationKey(benchmark::State& state) {
  const auto bytes = *serialize_evaluation_keys(fixture().keys, fixture().parameters);
  for (auto _ : state) benchmark::DoNotOptimize(parse_evaluation_keys(bytes, fixture().parameters));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(BM_ReadEvaluationKey)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace brainlock::wire
