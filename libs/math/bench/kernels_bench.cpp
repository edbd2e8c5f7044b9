// Every kernel of every table this CPU runs. Arguments: N or n, and the shape. Figures: limbs/s or MAC/s and the bytes
// of operands touched. Run with --benchmark_repetitions=5 and read the minimum or median: CPU time, one thread.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <utility>

#include "brainlock/math/kernels.hpp"

namespace brainlock::math {
namespace {

using U32 = std::uint32_t;
using Words = AlignedVector<U32>;

constexpr int kPrimeBits = 28;
constexpr std::size_t kRowPadding = 16;  // words: keeps rows of a power-of-two length out of each other's cache sets

Words random_words(std::size_t n, U32 q) {
  static std::mt19937 rng(1);
  Words v(n);
  for (auto& x : v) x = std::uniform_int_distribution<U32>(0, q - 1)(rng);
  return v;
}

/// Rows in one allocation, `stride` words apart.
struct Rows {
  Rows(std::size_t count, std::size_t stride, U32 q) : words(random_words(count * stride, q)) {
    for (std::size_t i = 0; i < count; ++i) {
      in.push_back(words.data() + i * stride);
      out.push_back(words.data() + i * stride);
    }
  }
  Words words;
  std::vector<const U32*> in;
  std::vector<U32*> out;
};

void set_counters(benchmark::State& state, double limbs, double bytes) {
  state.counters["limbs/s"] = benchmark::Counter(limbs, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["bytes/s"] = benchmark::Counter(bytes, benchmark::Counter::kIsIterationInvariantRate);
}

/// Twelve limbs, each with its own tables, as in a real chain: the twiddles come from beyond the first cache.
void ntt(benchmark::State& state, const Kernels* k, bool inverse) {
  const auto n = static_cast<U32>(state.range(0));
  const auto bits = static_cast<int>(state.range(1));
  constexpr int kLimbs = 12;
  std::vector<std::shared_ptr<const NttTables>> tables;
  std::vector<Words> x;
  for (const U32 q : ntt_primes(bits, kLimbs, n)) {
    tables.push_back(make_ntt_tables(n, q));
    x.push_back(random_words(n, q));
  }
  std::size_t i = 0;
  for (auto _ : state) {
    (inverse ? k->ntt_inverse : k->ntt_forward)(*tables[i], x[i].data());
    i = i + 1 == x.size() ? 0 : i + 1;
  }
  set_counters(state, 1, 8.0 * n);
}

struct Pointwise {
  const char* name;
  void (*call)(const Kernels&, U32* out, const U32* a, const U32* b, const Modulus&, std::size_t n);
  double words;
};
const Pointwise kPointwise[] = {
    {"add", [](const Kernels& k, U32* o, const U32* a, const U32* b, const Modulus& m, std::size_t n) { k.add(o, a, b, m, n); }, 3},
    {"sub", [](const Kernels& k, U32* o, const U32* a, const U32* b, const Modulus& m, std::size_t n) { k.sub(o, a, b, m, n); }, 3},
    {"negate", [](const Kernels& k, U32* o, const U32* a, const U32*, const Modulus& m, std::size_t n) { k.negate(o, a, m, n); }, 2},
    {"mul", [](const Kernels& k, U32* o, const U32* a, const U32* b, const Modulus& m, std::size_t n) { k.mul(o, a, b, m, n); }, 3},
    {"mul_add", [](const Kernels& k, U32* o, const U32* a, const U32* b, const Modulus& m, std::size_t n) { k.mul_add(o, a, b, m, n); }, 4},
    {"mul_scalar", [](const Kernels& k, U32* o, const U32* a, const U32*, const Modulus& m, std::size_t n) { k.mul_scalar(o, a, 5, static_cast<U32>((std::uint64_t{5} << 32) / m.q), m, n); }, 2},
    {"sub_mul_scalar", [](const Kernels& k, U32* o, const U32* a, const U32* b, const Modulus& m, std::size_t n) { k.sub_mul_scalar(o, a, b, 5, static_cast<U32>((std::uint64_t{5} << 32) / m.q), m, n); }, 3},
    {"mul_halves", [](const Kernels& k, U32* o, const U32* a, const U32*, const Modulus& m, std::size_t n) { k.mul_halves(o, a, 5, 7, m, n); }, 2},
    {"reduce_centred", [](const Kernels& k, U32* o, const U32* a, const U32*, const Modulus& m, std::size_t n) { k.reduce_centred(o, a, 268369921, m, n); }, 2},
};

void pointwise(benchmark::State& state, const Kernels* k, const Pointwise* p) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const Modulus m = make_modulus(ntt_primes(kPrimeBits, 1, 1 << 14).front());
  const Words a = random_words(n, m.q), b = random_words(n, m.q);
  Words out(n);
  for (auto _ : state) {
    p->call(*k, out.data(), a.data(), b.data(), m, n);
    benchmark::ClobberMemory();
  }
  set_counters(state, 1, 4 * p->words * static_cast<double>(n));
}

void square(benchmark::State& state, const Kernels* k) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const Modulus m = make_modulus(ntt_primes(kPrimeBits, 1, 1 << 14).front());
  const Words a = random_words(n, m.q), b = random_words(n, m.q);
  Words d0(n), d1(n), d2(n);
  for (auto _ : state) {
    k->square(d0.data(), d1.data(), d2.data(), a.data(), b.data(), m, n);
    benchmark::ClobberMemory();
  }
  set_counters(state, 1, 20.0 * static_cast<double>(n));
}

void permute(benchmark::State& state, const Kernels* k) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto table = make_automorphism_table(static_cast<U32>(n), 5 * 5 * 5);
  const Words a = random_words(n, 1 << 28);
  Words out(n);
  for (auto _ : state) {
    k->permute(out.data(), a.data(), *table, n);
    benchmark::ClobberMemory();
  }
  set_counters(state, 1, 8.0 * static_cast<double>(n));
}

/// Arguments: n, sources, targets. limbs/s counts target limbs.
void convert_basis(benchmark::State& state, const Kernels* k) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto sources = static_cast<std::size_t>(state.range(1));
  const auto count = static_cast<std::size_t>(state.range(2));
  std::vector<Modulus> moduli;
  for (const U32 q : ntt_primes(kPrimeBits, static_cast<int>(count), 1 << 14)) moduli.push_back(make_modulus(q));
  const Rows y(sources, n + kRowPadding, moduli.back().q);
  Rows out(count, n + kRowPadding, 2);
  const Words factors = random_words(sources, moduli.back().q);
  const std::vector<float> inv_q(sources, 1.0f / static_cast<float>(moduli.back().q));
  std::vector<ConversionTarget> targets;
  for (std::size_t i = 0; i < count; ++i) targets.push_back({&moduli[i], factors.data(), factors[0], out.out[i]});
  for (auto _ : state) {
    k->convert_basis(y.in.data(), inv_q.data(), sources, targets.data(), count, n);
    benchmark::ClobberMemory();
  }
  set_counters(state, static_cast<double>(count), 4.0 * static_cast<double>(n * (sources + count)));
}

/// Arguments: N, digits, keys in rotation (1: hot; many: keys come from memory).
enum class Order { kPlain, kGathered };

void inner_product(benchmark::State& state, const Kernels* k, Order order) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto digits = static_cast<std::size_t>(state.range(1));
  const auto keys = static_cast<std::size_t>(state.range(2));
  const Modulus m = make_modulus(ntt_primes(kPrimeBits, 1, 1 << 14).front());
  const std::size_t stride = n + kRowPadding;
  const Rows digit(digits, stride, m.q);
  const bool gathered = order == Order::kGathered;
  const Rows key(gathered ? 0 : 2 * digits * keys, stride, m.q);
  const Words unit_keys = random_words(gathered ? 2 * digits * keys * n : 0, m.q);   // unit by unit
  Rows out(2, stride, m.q);
  const auto table = make_automorphism_table(static_cast<U32>(n), 125);
  std::size_t i = 0;
  for (auto _ : state) {
    if (order == Order::kGathered) {
      for (std::size_t begin = 0; begin < n; begin += kUnitWords) {
        k->inner_product_gathered(out.out[0] + begin, out.out[1] + begin, digit.in[0], digits > 1 ? digit.in[1] - digit.in[0] : stride,
                                  unit_keys.data() + 2 * digits * (i * n + begin), digits, nullptr, nullptr, nullptr, *table, begin, m);
      }
    } else {
      const U32* const* k0 = key.in.data() + 2 * digits * i;
      k->inner_product(out.out[0], out.out[1], digit.in.data(), k0, k0 + digits, digits, nullptr, m, n);
    }
    benchmark::ClobberMemory();
    i = i + 1 == keys ? 0 : i + 1;
  }
  set_counters(state, 1, 4.0 * static_cast<double>(n * (3 * digits + 2)));
}

/// Arguments: n, inputs, outputs, run length, bits of the prime, row padding in words.
void gemm_periodic(benchmark::State& state, const Kernels* k) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto inputs = static_cast<std::size_t>(state.range(1));
  const auto outputs = static_cast<std::size_t>(state.range(2));
  const auto run = static_cast<std::size_t>(state.range(3));
  const Modulus m = make_modulus(ntt_primes(static_cast<int>(state.range(4)), 1, 1 << 14).front());
  const std::size_t stride = n + static_cast<std::size_t>(state.range(5));
  constexpr std::size_t kSets = 2;   // both polynomials of a ciphertext
  const Rows x(kSets * inputs, stride, m.q);
  Rows out(kSets * outputs, stride, m.q);
  const Words w = random_words(n / run * inputs * outputs, m.q);
  for (auto _ : state) {
    k->gemm_periodic(out.out.data(), outputs, x.in.data(), inputs, kSets, w.data(), inputs * outputs, outputs, run, false, m, n);
    benchmark::ClobberMemory();
  }
  const double macs = static_cast<double>(kSets * n * inputs * outputs);
  state.counters["MAC/s"] = benchmark::Counter(macs, benchmark::Counter::kIsIterationInvariantRate);
  set_counters(state, static_cast<double>(kSets * outputs * n) / (1 << 14),
               4.0 * static_cast<double>(kSets * n * (inputs + outputs) + w.size()));
}

void mac_full(benchmark::State& state, const Kernels* k) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto inputs = static_cast<std::size_t>(state.range(1)), run = static_cast<std::size_t>(state.range(2));
  const Modulus m = make_modulus(ntt_primes(kPrimeBits, 1, 1 << 14).front());
  const Rows x0(inputs, n + kRowPadding, m.q), x1(inputs, n + kRowPadding, m.q);
  const Rows w(inputs, n / run + kRowPadding, m.q);
  Words out0(n), out1(n);
  for (auto _ : state) {
    k->mac_full(out0.data(), out1.data(), w.in.data(), x0.in.data(), x1.in.data(), inputs, m, n, run);
    benchmark::ClobberMemory();
  }
  set_counters(state, 2, 4.0 * static_cast<double>(n * (2 * inputs + 2) + n / run * inputs));
}

void register_all() {
  for (const Kernels* k : available_kernels()) {
    const std::string isa(k->name);
    const auto name = [&](const char* operation) { return isa + "/" + operation; };
    for (const bool inverse : {false, true}) {
      auto* b = benchmark::RegisterBenchmark(name(inverse ? "ntt_inverse" : "ntt_forward").c_str(), ntt, k, inverse);
      b->ArgNames({"N", "bits"});
      for (const int log_n : {12, 13, 14, 15, 16}) b->Args({1 << log_n, 28});
      b->Args({1 << 14, 30});
    }
    for (const Pointwise& p : kPointwise) benchmark::RegisterBenchmark(name(p.name).c_str(), pointwise, k, &p)->ArgName("N")->Arg(1 << 14);
    benchmark::RegisterBenchmark(name("square").c_str(), square, k)->ArgName("N")->Arg(1 << 14);
    benchmark::RegisterBenchmark(name("permute").c_str(), permute, k)->ArgName("N")->Arg(1 << 14)->Arg(1 << 15);
    benchmark::RegisterBenchmark(name("convert_basis").c_str(), convert_basis, k)
        ->ArgNames({"n", "sources", "targets"})->Args({1 << 14, 4, 12})->Args({1 << 14, 6, 18})->Args({1 << 14, 2, 5});
    for (const auto& [operation, order] : {std::pair{"inner_product", Order::kPlain}, std::pair{"inner_product_gathered", Order::kGathered}}) {
      benchmark::RegisterBenchmark(name(operation).c_str(), inner_product, k, order)
          ->ArgNames({"N", "digits", "keys"})->Args({1 << 14, 1, 1})->Args({1 << 14, 3, 1})->Args({1 << 14, 4, 1})->Args({1 << 14, 3, 200});
    }
    auto* gemm = benchmark::RegisterBenchmark(name("gemm_periodic").c_str(), gemm_periodic, k);
    gemm->ArgNames({"n", "inputs", "outputs", "run", "bits", "pad"});
    for (const int outputs : {4, 6, 8, 12, 16}) gemm->Args({256, 192, outputs, 128, 28, 16});
    gemm->Args({64, 96, 16, 64, 28, 16})->Args({64, 32, 8, 64, 28, 16})->Args({256, 64, 6, 128, 28, 16})->Args({256, 300, 16, 128, 28, 16})->Args({512, 48, 4, 64, 28, 16});
    gemm->Args({256, 192, 12, 128, 30, 16})->Args({256, 192, 12, 128, 28, 0});
    benchmark::RegisterBenchmark(name("mac_full").c_str(), mac_full, k)->ArgNames({"n", "inputs", "run"})->Args({1 << 14, 16, 1})->Args({512, 16, 1})->Args({1 << 14, 16, 4})->Args({512, 16, 4});
  }
}

const int kRegistered = (register_all(), 0);

}  // namespace
}  // namespace brainlock::math
