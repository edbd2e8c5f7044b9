// Whole instructions at the shapes of VGG9's heaviest layers, with keys and inputs of random words (their values do not
// change the time). Counters: seconds in each part of a linear layer.
#include <benchmark/benchmark.h>

#include <sys/resource.h>

#include <cmath>
#include <random>

#include "brainlock/ckks/uniform.hpp"
#include "brainlock/runtime/executor.hpp"

namespace brainlock::runtime {
namespace {

struct Shape {
  std::uint32_t log_degree, q, p, alpha;
  std::uint32_t inputs;        ///< packed ciphertexts before the split (2 lifted ones each) or the square
  std::uint32_t pre_rotated;
  std::int32_t rotations;
  std::uint32_t outputs, giants, period, drop;
  std::uint32_t columns_of_two;  ///< 2: every output takes all columns, 1: every other one
  bool square;
};

plan::Program make_program(const Shape& shape) {
  plan::Program program;
  program.model_name = "bench";
  const std::uint32_t degree = 1U << shape.log_degree, slots = degree / 2;
  program.parameters.ring_degree = degree;
  program.parameters.p = math::ntt_primes(29, static_cast<int>(shape.p), degree);
  program.parameters.q = math::ntt_primes(28, static_cast<int>(shape.q), degree, program.parameters.p);
  program.parameters.digit_limbs = shape.alpha;
  plan::TensorMap map;
  map.channels = map.height = 1;
  map.width = slots;
  map.ciphertexts = shape.inputs;
  map.limbs = shape.q;
  map.scale = std::exp2(26.0);
  program.input = map;
  program.register_count = shape.inputs;
  plan::Linear linear;
  const auto add = [&](auto op, std::uint32_t out_limbs) {
    program.instructions.push_back({op, "bench", shape.q, out_limbs, map.scale, map.scale});
  };
  for (std::uint32_t i = 0; i < shape.inputs; ++i) {
    const std::vector<plan::Register> out{program.register_count, program.register_count + 1};
    program.register_count += 2;
    if (shape.square) {
      add(plan::Square{i, out}, shape.q);
    } else {
      add(plan::Split{i, out}, shape.q);
    }
    linear.inputs.insert(linear.inputs.end(), out.begin(), out.end());
  }
  for (std::uint32_t i = 0; i < shape.pre_rotated; ++i) {
    add(plan::Combine{{{linear.inputs[i], 1024}}, program.register_count}, shape.q);
    linear.inputs.push_back(program.register_count++);
  }
  linear.name = "bench";
  linear.period = shape.period;
  linear.giant_step = shape.rotations;
  linear.weight_scale = std::exp2(13.0);
  for (std::int32_t r = 0; r < shape.rotations; ++r) {
    for (std::uint32_t i = 0; i < linear.inputs.size(); ++i) linear.columns.push_back({i, r});
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int v = 0; v < 64; ++v) {
    plan::SlotVector vector;
    vector.period = shape.period;
    for (std::uint32_t s = 0; s < shape.period; ++s) vector.values.emplace_back(uniform(random), uniform(random));
    linear.vectors.push_back(std::move(vector));
  }
  map.limbs = shape.q - shape.drop;
  map.ciphertexts = shape.outputs;
  program.output = map;
  for (std::uint32_t o = 0; o < shape.outputs; ++o) {
    plan::Linear::Output output;
    output.out = program.register_count++;
    output.giants = shape.giants;
    for (std::uint32_t c = 0; c < linear.columns.size(); ++c) {
      if (shape.columns_of_two == 2 || (c + o) % 2 == 0) output.columns.push_back(c);
    }
    for (std::size_t w = 0; w < output.columns.size() * shape.giants; ++w) output.weights.push_back(static_cast<std::int32_t>(w % 64));
    program.output_registers.push_back(output.out);
    linear.outputs.push_back(std::move(output));
  }
  add(std::move(linear), shape.q - shape.drop);
  program.keys = plan::collect_keys(program);
  return program;
}

ckks::EvaluationKey random_key(const ckks::Parameters& parameters, const ckks::KeyRequest& request) {
  ckks::EvaluationKey key;
  key.galois_element = request.galois_element;
  key.limbs = request.limbs;
  key.seed.emplace();
  ckks::expand(key, parameters);
  key.b = key.a;
  return key;
}

void run_shape(benchmark::State& state, const Shape& shape) {
  const plan::Program program = make_program(shape);
  const auto& choice = program.parameters;
  const auto parameters = ckks::Parameters::create_insecure_for_tests({choice.ring_degree, choice.q, choice.p, choice.digit_limbs}).value();
  const auto machine = Machine::make(parameters, static_cast<unsigned>(state.range(0))).value();
  auto loaded = LoadedProgram::load(machine, program);
  if (!loaded.ok()) return state.SkipWithError(loaded.error().to_string().c_str());
  const auto requests = key_requests(program);
  ckks::KeyLoader loader(machine->backend, machine->pool, parameters, requests);
  for (const auto& request : requests) {
    if (!loader.add(random_key(*parameters, request)).ok()) return state.SkipWithError("key");
  }
  const auto keys = loader.finish().value();
  std::vector<ckks::Ciphertext> inputs(shape.inputs);
  for (auto& input : inputs) {
    input.limbs = shape.q;
    input.scale = ckks::Scale::from_value(program.input.scale);
    input.seed.emplace();
    ckks::expand(input, *parameters);
    input.c0 = input.c1;
  }
  {  // the first run fills the memory pool
    std::vector<ckks::Ciphertext> copies;
    for (const auto& input : inputs) copies.push_back(input.clone());
    if (!Executor().run(**loaded, *keys, std::move(copies)).ok()) return state.SkipWithError("run");
  }
  // The best of all runs, part by part: other work on the machine only ever adds.
  constexpr double kNever = 1e9;
  double front = kNever, decompose = kNever, core = kNever, giants = kNever, rescale = kNever, total = kNever;
  const auto keep = [](double& best, double seconds) { best = std::min(best, seconds); };
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<ckks::Ciphertext> copies;
    for (const auto& input : inputs) copies.push_back(input.clone());
    state.ResumeTiming();
    RunProfile profile;
    auto result = Executor().run(**loaded, *keys, std::move(copies), {}, &profile);
    if (!result.ok()) return state.SkipWithError(result.error().to_string().c_str());
    benchmark::DoNotOptimize(result);
    double before_linear = 0;
    for (const auto& entry : profile.entries) before_linear += entry.op == "linear" ? 0 : entry.seconds;
    keep(front, before_linear);
    keep(decompose, profile.decompose_seconds);
    keep(core, profile.core_seconds);
    keep(giants, profile.giant_seconds);
    keep(rescale, profile.rescale_seconds);
    keep(total, profile.seconds);
  }
  getrusage(RUSAGE_SELF, &after);
  state.counters["faults"] = static_cast<double>(after.ru_minflt - before.ru_minflt) / static_cast<double>(state.iterations());
  state.counters["rss_mb"] = static_cast<double>(after.ru_maxrss) / 1024;
  state.counters["front_ms"] = 1e3 * front;   // split or square, and pre-rotations
  state.counters["decompose_ms"] = 1e3 * decompose;
  state.counters["core_ms"] = 1e3 * core;
  state.counters["giants_ms"] = 1e3 * giants;
  state.counters["rescale_ms"] = 1e3 * rescale;
  state.counters["total_ms"] = 1e3 * total;
}

// conv2, conv3 of N = 2^14 and conv2, conv5 of N = 2^15 as the compiler lays them out
constexpr Shape kFastConv2{14, 9, 4, 4, 4, 4, 16, 4, 8, 32, 1, 1, true};
constexpr Shape kFastConv4{14, 7, 4, 4, 2, 4, 16, 2, 16, 64, 1, 2, true};
constexpr Shape kPreciseConv2{15, 11, 6, 6, 2, 4, 16, 2, 8, 32, 1, 1, true};
constexpr Shape kPreciseConv5{15, 8, 6, 6, 1, 2, 16, 1, 28, 128, 1, 2, true};

void fast_conv4(benchmark::State& state) { run_shape(state, kFastConv4); }
void precise_conv5(benchmark::State& state) { run_shape(state, kPreciseConv5); }
void fast_conv2(benchmark::State& state) { run_shape(state, kFastConv2); }
void precise_conv2(benchmark::State& state) { run_shape(state, kPreciseConv2); }
BENCHMARK(fast_conv4)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond)->ArgName("threads");
BENCHMARK(fast_conv2)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond)->ArgName("threads");
BENCHMARK(precise_conv5)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond)->ArgName("threads");
BENCHMARK(precise_conv2)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond)->ArgName("threads");

}  // namespace
}  // namespace brainlock::runtime
