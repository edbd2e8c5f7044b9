#include "brainlock/crypto/sr25519.hpp"

#include <benchmark/benchmark.h>

namespace brainlock::crypto {
namespace {

void BM_Sign(benchmark::State& state) {
  const auto pair = Sr25519KeyPair::from_uri("//Alice");
  const Bytes message(static_cast<std::size_t>(state.range(0)), 1);
  for (auto _ : state) benchmark::DoNotOptimize(pair->sign(message));
}
BENCHMARK(BM_Sign)->Arg(256)->Arg(65536);

void BM_Verify(benchmark::State& state) {
  const auto pair = Sr25519KeyPair::from_uri("//Alice");
  const Bytes message(static_cast<std::size_t>(state.range(0)), 1);
  const auto signature = pair->sign(message);
  for (auto _ : state) benchmark::DoNotOptimize(sr25519_verify(pair->public_key(), message, *signature));
}
BENCHMARK(BM_Verify)->Arg(256)->Arg(65536);

}  // namespace
}  // namespace brainlock::crypto
