// Client operations on a 128-bit set: N = 2^15, 13 + 5 limbs of 30 bits, three digits.
#include <benchmark/benchmark.h>

#include "brainlock/ckks_client/client.hpp"
#include "sampling.hpp"

namespace brainlock::ckks_client {
namespace {

std::shared_ptr<const ckks::Parameters> parameters() {
  static const auto made = [] {
    ckks::ParameterSpec spec;
    spec.ring_degree = 1u << 15;
    spec.digit_limbs = 5;
    spec.p = math::ntt_primes(30, 5, spec.ring_degree);
    spec.q = math::ntt_primes(30, 13, spec.ring_degree, spec.p);
    return ckks::Parameters::create(spec).value();
  }();
  return made;
}

const SecretKey& secret() {
  static const SecretKey key = std::move(SecretKey::generate(parameters())).value();
  return key;
}

const std::vector<std::complex<double>>& slots() {
  static const std::vector<std::complex<double>> values(parameters()->slots(), {0.5, -0.25});
  return values;
}

void BM_SampleGaussian(benchmark::State& state) {
  crypto::SecureRandom random;
  std::vector<std::int8_t> out(1u << 15);
  for (auto _ : state) sample_gaussian(random, out);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(BM_SampleGaussian);

void BM_SampleTernary(benchmark::State& state) {
  crypto::SecureRandom random;
  std::vector<std::int8_t> out(1u << 15);
  for (auto _ : state) sample_ternary(random, out);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(BM_SampleTernary);

/// Keys at all 13 limbs; argument: threads.
void BM_GenerateKeys(benchmark::State& state) {
  constexpr std::uint32_t kKeys = 4;
  std::vector<ckks::KeyRequest> requests{{0, 13}};
  for (std::uint32_t i = 1; i < kKeys; ++i) requests.push_back({ckks::rotation_element(1u << 15, i), 13});
  secret();
  for (auto _ : state) benchmark::DoNotOptimize(generate_keys(secret(), requests, static_cast<unsigned>(state.range(0))));
  state.SetItemsProcessed(state.iterations() * kKeys);
}
BENCHMARK(BM_GenerateKeys)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

/// Argument: limbs.
void BM_Encrypt(benchmark::State& state) {
  const ckks::Encoder encoder(parameters());
  for (auto _ : state) {
    benchmark::DoNotOptimize(encrypt(secret(), encoder, slots(), ckks::Scale::from_log2(26), static_cast<std::uint32_t>(state.range(0))));
  }
}
BENCHMARK(BM_Encrypt)->Arg(1)->Arg(13)->Unit(benchmark::kMillisecond);

void BM_EncryptPublic(benchmark::State& state) {
  const ckks::Encoder encoder(parameters());
  const auto key = generate_public_key(secret());
  for (auto _ : state) {
    benchmark::DoNotOptimize(encrypt_public(*parameters(), *key, encoder, slots(), ckks::Scale::from_log2(26), 13));
  }
}
BENCHMARK(BM_EncryptPublic)->Unit(benchmark::kMillisecond);

void BM_Decrypt(benchmark::State& state) {
  const ckks::Encoder encoder(parameters());
  const auto ciphertext = encrypt(secret(), encoder, slots(), ckks::Scale::from_log2(26), static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(decrypt(secret(), encoder, *ciphertext));
}
BENCHMARK(BM_Decrypt)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace brainlock::ckks_client
