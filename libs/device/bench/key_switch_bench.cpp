// Key switching on the processor, one rotation at a time: decomposition, inner product with the key, automorphism, division by P of
// both polynomials. Words are random; their values do not change the time. Arguments: log2 N, q limbs, p limbs (the digits' size), threads.
#include <benchmark/benchmark.h>

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "brainlock/device/cpu_backend.hpp"
#include "brainlock/math/kernels.hpp"

namespace brainlock::device {
namespace {

constexpr int kPrimeBits = 28;

/// A backend, one key, one ciphertext and room for the results.
class Setup {
 public:
  Setup(std::uint32_t log_degree, std::uint32_t q_count, std::uint32_t p_count, unsigned threads) : limbs_(q_count) {
    const std::uint32_t degree = 1U << log_degree;
    Ring ring{.tables = {}, .q_count = q_count, .p_count = p_count, .digit_limbs = p_count};
    for (const std::uint32_t q : math::ntt_primes(kPrimeBits, static_cast<int>(q_count + p_count), degree)) {
      tables_.push_back(math::make_ntt_tables(degree, q));
      ring.tables.push_back(tables_.back().get());
    }
    backend_ = make_cpu_backend(std::move(ring), std::make_shared<ThreadPool>(threads)).value();
    key_.words = random(backend_->key_words(limbs_));
    key_.limbs = limbs_;
    key_.digits = backend_->ring().digits(limbs_);
    key_.galois_element = 5;
    key_.automorphism = math::make_automorphism_table(degree, key_.galois_element);
    c0_ = random(backend_->poly_words(limbs_, false));
    c1_ = random(backend_->poly_words(limbs_, false));
    digits_ = random(backend_->digit_words(limbs_));
    for (Buffer* buffer : {&lifted0_, &lifted1_}) *buffer = random(backend_->poly_words(limbs_, true));
    for (Buffer* buffer : {&out0_, &out1_}) *buffer = random(backend_->poly_words(limbs_, false));
  }

  void decompose() {
    const Decompose job{.c0 = c0_.data(), .c1 = c1_.data(), .lifted = false, .digits = digits_.data()};
    check(backend_->decompose(stream_, limbs_, {&job, 1}));
  }
  /// From digits that are there already: what each further rotation of a hoisted ciphertext costs.
  void switch_hoisted() {
    const SwitchKey job{.digits = digits_.data(), .key = &key_, .add_c0 = true, .base0 = nullptr, .base1 = nullptr, .base_limbs = 0,
                        .out0 = lifted0_.data(), .out1 = lifted1_.data()};
    backend_->switch_keys(stream_, limbs_, {&job, 1});
  }
  void switch_once() {
    const SwitchOnce job{.c0 = c0_.data(), .c1 = c1_.data(), .lifted = false, .key = &key_, .base0 = nullptr, .base1 = nullptr,
                         .base_limbs = 0, .out0 = lifted0_.data(), .out1 = lifted1_.data()};
    check(backend_->switch_once(stream_, limbs_, {&job, 1}));
  }
  void mod_down() {
    const ModDown jobs[] = {{lifted0_.data(), out0_.data(), nullptr}, {lifted1_.data(), out1_.data(), nullptr}};
    check(backend_->mod_down(stream_, limbs_, 0, jobs));
  }

 private:
  static void check(const Status& status) {
    if (!status.ok()) throw std::runtime_error(status.error().to_string());
  }
  Buffer random(std::size_t words) {
    Buffer buffer = backend_->allocate(words).value();
    std::uniform_int_distribution<Word> word(0, (1U << (kPrimeBits - 1)) - 1);   // below every prime
    for (std::size_t i = 0; i < words; ++i) buffer.data()[i] = word(generator_);
    return buffer;
  }

  std::mt19937 generator_{1};
  std::uint32_t limbs_;
  std::vector<std::shared_ptr<const math::NttTables>> tables_;
  std::shared_ptr<Backend> backend_;
  Stream stream_;
  SwitchingKey key_;
  Buffer c0_, c1_, digits_, lifted0_, lifted1_, out0_, out1_;
};

template <typename Work>
void run(benchmark::State& state, const Work& work) {
  Setup setup(static_cast<std::uint32_t>(state.range(0)), static_cast<std::uint32_t>(state.range(1)),
              static_cast<std::uint32_t>(state.range(2)), static_cast<unsigned>(state.range(3)));
  state.SetLabel(std::string(math::kernels().name));
  for (auto _ : state) work(setup);
}

void key_switch(benchmark::State& state) {
  run(state, [](Setup& setup) {
    setup.switch_once();
    setup.mod_down();
  });
}
void decompose(benchmark::State& state) { run(state, [](Setup& setup) { setup.decompose(); }); }
void switch_hoisted(benchmark::State& state) { run(state, [](Setup& setup) { setup.switch_hoisted(); }); }
void mod_down(benchmark::State& state) { run(state, [](Setup& setup) { setup.mod_down(); }); }

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"log_N", "q", "p", "threads"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  bench->Args({14, 12, 4, 1})->Args({14, 12, 4, 2});   // the shape of the project's bar
  bench->Args({14, 9, 4, 1});                          // the fast profile's first layers
  bench->Args({15, 11, 6, 1});                         // the precise profile's
}
BENCHMARK(key_switch)->Apply(shapes);
BENCHMARK(decompose)->Apply(shapes);
BENCHMARK(switch_hoisted)->Apply(shapes);
BENCHMARK(mod_down)->Apply(shapes);

}  // namespace
}  // namespace brainlock::device
