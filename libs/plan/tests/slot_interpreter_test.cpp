// The interpreter against the instructions' definitions, slot by slot and as slowly as they are written.
#include "brainlock/plan/slot_interpreter.hpp"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "brainlock/plan/slot_coefficients.hpp"
#include "small_program.hpp"

namespace brainlock::plan {
namespace {

using Complex = std::complex<double>;
using Slots = std::vector<Complex>;

Complex at(const Slots& x, std::int64_t t) {
  const auto n = static_cast<std::int64_t>(x.size());
  return x[static_cast<std::size_t>(((t % n) + n) % n)];
}

Complex weight(const SlotVector& w, std::size_t t) {
  const auto value = [&](std::size_t i) {
    return Complex(w.values[i]) + (w.rest.empty() ? Complex() : Complex(w.rest[i]));
  };
  if (w.dense()) return value(t % w.period);
  for (std::size_t i = 0; i < w.slots.size(); ++i)
    if (w.slots[i] == t) return value(i);
  return 0;
}

/// program.hpp's comments, read aloud. What Raises make is taken from `raised`: it depends on a key. Lifted registers
/// are complex behind one.
std::map<Register, Slots> by_definition(const Program& program, std::span<const float> input,
                                        const std::map<Register, Slots>& raised = {}) {
  const std::size_t n = program.parameters.ring_degree / 2;
  const auto lifted = [&](Complex z) { return raised.empty() ? z.real() : z; };
  std::map<Register, Slots> r;
  const auto packed = pack(program.input, static_cast<std::uint32_t>(n), input);
  for (std::size_t i = 0; i < packed.size(); ++i) r[static_cast<Register>(i)] = packed[i];
  for (const Instruction& instruction : program.instructions) {
    if (const auto* split = std::get_if<Split>(&instruction.op)) {
      for (std::size_t part = 0; part < split->out.size(); ++part)
        for (const Complex z : r[split->in])
          r[split->out[part]].push_back(split->out.size() == 1 ? lifted(z) : part == 0 ? 2 * z.real() : 2 * z.imag());
    } else if (const auto* square = std::get_if<Square>(&instruction.op)) {
      for (std::size_t part = 0; part < square->out.size(); ++part)
        for (const Complex z : r[square->in])
          r[square->out[part]].push_back(!square->conjugates() ? z * z : part == 0 ? 4 * z.real() * z.real() : -4 * z.imag() * z.imag());
    } else if (const auto* combine = std::get_if<Combine>(&instruction.op)) {
      Slots& out = r[combine->out];
      out.resize(n);
      for (std::size_t t = 0; t < n; ++t)
        for (const auto& term : combine->terms) out[t] += at(r[term.in], static_cast<std::int64_t>(t) + term.rotation);
    } else if (const auto* drop = std::get_if<Drop>(&instruction.op)) {
      r[drop->out] = r[drop->in];
    } else if (const auto* raise = std::get_if<Raise>(&instruction.op)) {
      r[raise->out] = raised.at(raise->out);
    } else if (const auto* add = std::get_if<Add>(&instruction.op)) {
      Slots& out = r[add->out];
      out.resize(n);
      for (const Register term : add->terms)
        for (std::size_t t = 0; t < n; ++t) out[t] += r[term][t];
    } else {
      const auto& linear = std::get<Linear>(instruction.op);
      for (std::size_t o = 0; o < linear.outputs.size(); ++o) {
        const auto& output = linear.outputs[o];
        Slots out(n);
        for (std::uint32_t g = 0; g < output.giants; ++g) {
          Slots acc(n);
          for (std::size_t k = 0; k < output.columns.size(); ++k) {
            const std::int32_t w = output.weights[k * output.giants + g];
            if (w < 0) continue;
            const auto& column = linear.columns[output.columns[k]];
            for (std::size_t t = 0; t < n; ++t)
              acc[t] += weight(linear.vectors[static_cast<std::size_t>(w)], t) *
                        lifted(at(r[linear.inputs[column.input]], static_cast<std::int64_t>(t) + column.rotation));
          }
          for (std::size_t t = 0; t < n; ++t) out[t] += at(acc, static_cast<std::int64_t>(t) + std::int64_t{g} * linear.giant_step);
        }
        for (const std::int32_t rotation : linear.rotate_sums) {
          const Slots before = out;
          for (std::size_t t = 0; t < n; ++t) out[t] += at(before, static_cast<std::int64_t>(t) + rotation);
        }
        if (!linear.masks.empty() && !linear.masks[o].values.empty())
          for (std::size_t t = 0; t < n; ++t) out[t] *= weight(linear.masks[o], t);
        if (!output.bias.values.empty())
          for (std::size_t t = 0; t < n; ++t) out[t] += weight(output.bias, t);
        r[output.out] = out;
      }
    }
  }
  return r;
}

std::vector<float> tensor(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(test::kElements);
  for (float& x : out) x = uniform(random);
  return out;
}

/// The first Linear again, with rotations of every remainder, so that each meets the wrap-around at another place.
Program rotated_program(std::int32_t rotation, std::uint32_t period) {
  Program p = test::small_program();
  auto& linear = std::get<Linear>(p.instructions[1].op);
  std::mt19937_64 random(static_cast<std::uint64_t>(rotation + 100));
  linear.columns[1].rotation = rotation;
  linear.columns[2].rotation = -rotation;
  linear.period = period;
  linear.giant_step = rotation;
  for (auto& vector : linear.vectors) vector = test::dense_vector(period, random);
  p.keys = collect_keys(p);
  EXPECT_TRUE(validate(p).ok());
  return p;
}

void expect_as_defined(const Program& program, std::uint64_t seed) {
  const auto input = tensor(seed);
  SlotTrace trace;
  std::map<Register, Slots> packed, raised;
  trace.packed = [&](Register r, std::span<const Complex> slots) { packed[r].assign(slots.begin(), slots.end()); };
  const auto got = run_slots(program, input, &trace);
  for (const Instruction& instruction : program.instructions)
    if (const auto* raise = std::get_if<Raise>(&instruction.op)) raised[raise->out] = packed.at(raise->out);
  const auto registers = by_definition(program, input, raised);
  const auto want = unpack(program.output, {registers.at(program.output_registers[0])});
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-12 * (1 + std::fabs(want[i]))) << i;
  for (const auto& [r, slots] : registers) {
    double largest = 0, square = 0;
    for (const Complex z : slots) largest = std::max({largest, std::fabs(z.real()), std::fabs(z.imag())}), square += std::norm(z);
    EXPECT_NEAR(trace.largest[r], largest, 1e-12 * (1 + largest)) << "register " << r;
    EXPECT_NEAR(trace.mean_square[r], square / static_cast<double>(slots.size()), 1e-12 * (1 + square)) << "register " << r;
  }
}

TEST(SlotInterpreter, DoesWhatTheInstructionsSay) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) expect_as_defined(test::small_program(seed), seed);
}

TEST(SlotInterpreter, BranchesToo) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) expect_as_defined(test::branched_program(seed), seed);
}

TEST(SlotInterpreter, MasksToo) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Program program = test::masked_program(seed);
    const auto input = tensor(seed);
    const auto registers = by_definition(program, input);
    const auto got = run_slots(program, input);
    const auto want = unpack(program.output, {registers.at(program.output_registers[0])});
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-12 * (1 + std::fabs(want[i]))) << i;
  }
}

// raised_program() without the mask behind its last layer, before which values are traced, too.
TEST(SlotInterpreter, ComplexNumbersBehindARaiseToo) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Program p = test::raised_program(seed);
    auto& last = std::get<Linear>(p.instructions[4].op);
    last.masks.clear();
    last.mask_scale = 0;
    ASSERT_TRUE(validate(p).ok());
    expect_as_defined(p, seed);
    // With one square, of complex numbers, and one input.
    p.instructions[3].op = Square{3, {4}};
    last.inputs = {4};
    last.columns[1].input = 0;
    last.outputs[0].out = 5;
    p.output_registers = {5};
    p.register_count = 6;
    p.keys = collect_keys(p);
    ASSERT_TRUE(validate(p).ok()) << validate(p).error().to_string();
    expect_as_defined(p, seed);
    // And of their real parts.
    std::get<Square>(p.instructions[3].op).real_part = true;
    p.keys = collect_keys(p);
    ASSERT_TRUE(validate(p).ok()) << validate(p).error().to_string();
    expect_as_defined(p, seed);
  }
}

// What does not fit the modulus before a mask is lost behind it.
TEST(SlotInterpreter, TheLargestValueBeforeAMaskIsTraced) {
  Program masked = test::masked_program(), plain = test::small_program();
  auto& linear = std::get<Linear>(masked.instructions[1].op);
  auto& same = std::get<Linear>(plain.instructions[1].op);
  linear.masks[0] = {test::kSlots, {5}, {0.25F}, {}};
  linear.outputs[0].bias = same.outputs[0].bias = {};
  const auto input = tensor(1);
  SlotTrace with, without;
  (void)run_slots(masked, input, &with);
  (void)run_slots(plain, input, &without);
  const Register out = linear.outputs[0].out;
  EXPECT_EQ(with.largest[out], without.largest[out]);
  EXPECT_LT(with.mean_square[out], without.mean_square[out] / 100);
}

TEST(SlotInterpreter, EveryRotationAndPeriod) {
  for (const std::uint32_t period : {1U, 2U, 8U, 32U})
    for (std::int32_t rotation = -31; rotation <= 31; ++rotation) expect_as_defined(rotated_program(rotation, period), 3);
}

TEST(SlotInterpreter, LongRegistersInShortTiles) {
  // 256 slots: several tiles of 64, and the wrap-around inside one of them.
  for (const std::uint32_t period : {4U, 64U, 256U}) {
    for (const std::int32_t rotation : {0, 1, 63, 64, 65, 200, -1, -130}) {
      Program p = test::small_program();
      p.parameters.ring_degree = 512;
      auto& first = std::get<Linear>(p.instructions[1].op);
      std::mt19937_64 random(9);
      first.columns[1].rotation = rotation;
      first.period = period;
      for (auto& vector : first.vectors) vector = test::dense_vector(period, random);
      auto& second = std::get<Linear>(p.instructions[4].op);
      second.period = 256;
      for (auto& vector : second.vectors) vector.period = 256;
      second.outputs[0].bias.period = 256;
      p.keys = collect_keys(p);
      ASSERT_TRUE(validate(p).ok()) << validate(p).error().to_string();
      expect_as_defined(p, 4);
    }
  }
}

TEST(SlotInterpreter, NoiseEntersWhereItSays) {
  const Program p = test::small_program();
  std::string calls;
  Noise noise;
  noise.input = [&](std::span<Complex> x) { calls += "i", x[0] += 1.0; };
  noise.conjugate = [&](const Instruction&, std::span<Complex>) { calls += "c"; };
  noise.lifted = [&](const Instruction&, std::span<double>, std::span<double>) { calls += "l"; };
  noise.after_linear = [&](const Instruction&, const Linear::Output&, std::span<Complex>) { calls += "o"; };
  const std::vector<float> zero(test::kElements);
  auto moved = zero;
  moved[0] = 1;
  EXPECT_EQ(run_slots(p, zero, nullptr, &noise), run_slots(p, moved));
  EXPECT_EQ(calls, "iclloclllo") << "input; split; linear; square; combine; linear";
}

TEST(SlotInterpreter, ImaginaryErrorsMeetComplexWeights) {
  const Program p = test::small_program();
  Program turned = p;   // by i
  for (auto& vector : std::get<Linear>(turned.instructions[1].op).vectors)
    for (auto& value : vector.values) value = {-value.imag(), value.real()};
  const auto errors = [](bool imaginary) {
    Noise noise;
    noise.lifted = [imaginary](const Instruction& instruction, std::span<double> re, std::span<double> im) {
      if (!std::holds_alternative<Split>(instruction.op)) return;
      for (std::size_t t = 0; t < re.size(); ++t) (imaginary ? im : re)[t] += 0.01 * static_cast<double>(t % 7);
    };
    return noise;
  };
  const std::vector<float> zero(test::kElements);
  const Noise imaginary = errors(true), real = errors(false);
  const auto got = run_slots(p, zero, nullptr, &imaginary);
  EXPECT_EQ(got, run_slots(turned, zero, nullptr, &real));
  EXPECT_NE(got, run_slots(p, zero));
}

/// The input raised, and nothing else; its slots are the answer.
Program raise_alone(double scale_in, double scale_out) {
  Program p = test::small_program();
  p.input = test::small_map(2, 1, scale_in);
  p.output = test::small_map(2, 4, scale_out);
  for (TensorMap* map : {&p.input, &p.output}) {
    map->channels = 2 * test::kSlots;
    map->places.clear();
    for (std::uint32_t i = 0; i < 2 * test::kSlots; ++i) map->places.push_back({i, 0, i / 2, i % 2});
  }
  p.instructions = {{Raise{0, 1, 0}, "refresh", 1, 4, scale_in, scale_out}};
  p.register_count = 2;
  p.output_registers = {1};
  p.keys = collect_keys(p);
  if (const Status status = validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

std::vector<float> long_tensor(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(std::size_t{2} * test::kSlots);
  for (float& x : out) x = uniform(random);
  return out;
}

/// What a Raise has put beside its message, as coefficients over q[0] / scale_out.
Slots multiples(const Program& p, std::span<const float> input, const Noise* noise = nullptr) {
  const Instruction& raise = p.instructions[0];
  const auto got = run_slots(p, input, nullptr, noise);
  const double units = raise.scale_in / raise.scale_out;
  Slots beside;
  for (std::size_t t = 0; t < test::kSlots; ++t)
    beside.emplace_back(got[2 * t] - units * static_cast<double>(input[2 * t]),
                        got[2 * t + 1] - units * static_cast<double>(input[2 * t + 1]));
  Slots coefficients = slot_coefficients(beside);
  for (Complex& c : coefficients) c *= raise.scale_out / p.parameters.q[0];
  return coefficients;
}

TEST(SlotInterpreter, ARaiseChangesUnitsAndAddsIntegers) {
  for (const double scale_out : {0x1p24, 0x1p31, 3e8}) {
    const Program p = raise_alone(0x1p24, scale_out);
    double sum = 0, squares = 0;
    std::size_t count = 0;
    Noise noise;
    for (noise.multiples_seed = 1; noise.multiples_seed <= 40; ++noise.multiples_seed)
      for (const Complex& c : multiples(p, long_tensor(noise.multiples_seed), &noise))
        for (const double x : {c.real(), c.imag()}) {
          ASSERT_NEAR(x, std::round(x), 1e-9);
          sum += x;
          squares += x * x;
          ++count;
        }
    // Of c0 + c1 s over q[0], each coefficient uniform: (1 + 2 N / 3) / 12; normal ones rounded: 1 / 12 more.
    const double variance = (1 + 2.0 * test::kDegree / 3) / 12 + 1.0 / 12, number = static_cast<double>(count);
    EXPECT_NEAR(squares / number / variance, 1, 5 * std::sqrt(2 / number));
    EXPECT_LT(std::fabs(sum / number), 5 * std::sqrt(variance / number));
  }
}

TEST(SlotInterpreter, TheSeedChoosesTheIntegers) {
  const Program p = raise_alone(0x1p24, 0x1p30);
  const auto input = long_tensor(2);
  Noise noise;
  const auto got = run_slots(p, input, nullptr, &noise);
  EXPECT_EQ(run_slots(p, input, nullptr, &noise), got);
  EXPECT_EQ(run_slots(p, input), got) << "seed 1 without a Noise";
  for (const std::uint64_t seed : {std::uint64_t{2}, 1 + (std::uint64_t{1} << 32)}) {
    noise.multiples_seed = seed;
    EXPECT_NE(run_slots(p, input, nullptr, &noise), got) << seed;
  }
}

TEST(SlotInterpreter, EachRaiseHasItsOwnIntegers) {
  Program p = raise_alone(0x1p24, 0x1p30);
  p.instructions.push_back(p.instructions[0]);
  std::get<Raise>(p.instructions[1].op).out = 2;
  p.register_count = 3;
  ASSERT_TRUE(validate(p).ok());
  const auto input = long_tensor(2), zero = std::vector<float>(std::size_t{2} * test::kSlots);
  const auto first = run_slots(p, input);
  p.output_registers = {2};
  EXPECT_NE(run_slots(p, input), first);
  // Whatever the message.
  p.output_registers = {1};
  const auto a = multiples(p, input), b = multiples(p, zero);
  for (std::size_t k = 0; k < a.size(); ++k)
    EXPECT_LT(std::abs(a[k] - b[k]), 1e-9) << k;
}

/// One linear of weight `weight` and bias `bias` in every slot, of a real input.
Program one_weight(const SlotVector& weight, const SlotVector& bias) {
  Program p = test::small_program();
  p.input = test::small_map(1, 4, 0x1p30);
  p.instructions.resize(2);
  p.instructions[0].op = Split{0, {1}};
  auto& linear = std::get<Linear>(p.instructions[1].op);
  linear.inputs = {1};
  linear.columns = {{0, 0}};
  linear.giant_step = 0;
  linear.period = weight.period;
  linear.vectors = {weight};
  linear.outputs = {{2, {0}, 1, {0}, bias}};
  p.output = test::small_map(1, 3, p.instructions[1].scale_out);
  p.register_count = 3;
  p.output_registers = {2};
  p.keys = collect_keys(p);
  if (const Status status = validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

TEST(SlotInterpreter, TheRestOfWeightsAndBiasesCounts) {
  const Complex third = 1.0 / 3, seventh = 1.0 / 7;
  const SlotVector weight = SlotVector::precise({&third, 1}), bias = SlotVector::precise({&seventh, 1});
  const SlotVector zero{1, {}, {0.0F}, {}}, one{1, {}, {1.0F}, {}};
  std::vector<float> input(test::kElements, 1.0F);
  const auto of = [&](const SlotVector& w, const SlotVector& b) { return run_slots(one_weight(w, b), input)[3]; };
  EXPECT_NEAR(of(weight, {}), 1.0 / 3, 1e-14);
  EXPECT_NEAR(of(zero, bias), 1.0 / 7, 1e-14);
  EXPECT_NEAR(of(weight, bias), 1.0 / 3 + 1.0 / 7, 1e-14);
  SlotVector floats = weight;
  floats.rest.clear();
  EXPECT_GT(std::fabs(of(floats, {}) - 1.0 / 3), 1e-9) << "a float is not enough";
  // Of single slots, too, and of masks.
  const auto alone = [](SlotVector v, std::uint32_t slot) {
    v.period = test::kSlots;
    v.slots = {slot};
    return v;
  };
  EXPECT_NEAR(of(alone(weight, 3), alone(bias, 3)), 1.0 / 3 + 1.0 / 7, 1e-14);
  EXPECT_EQ(of(alone(weight, 2), alone(bias, 4)), 0);
  Program masked = one_weight(one, {});
  auto& linear = std::get<Linear>(masked.instructions[1].op);
  linear.masks = {weight};
  linear.mask_scale = 0x1p10;
  ASSERT_TRUE(validate(masked).ok());
  EXPECT_NEAR(run_slots(masked, input)[3], 1.0 / 3, 1e-14);
}

TEST(SlotInterpreter, PackedRegistersAreTracedInOrder) {
  const Program p = test::raised_program();
  SlotTrace trace;
  std::vector<Register> order;
  std::map<Register, Slots> packed;
  trace.packed = [&](Register r, std::span<const Complex> slots) {
    order.push_back(r), packed[r].assign(slots.begin(), slots.end());
  };
  const auto input = tensor(4);
  const auto got = run_slots(p, input, &trace);
  EXPECT_EQ(order, (std::vector<Register>{0, 1, 3, 6}));
  EXPECT_EQ(packed[0], pack(p.input, test::kSlots, input)[0]);
  EXPECT_EQ(unpack(p.output, {packed[6]}), got);
  for (const Register r : order) {
    ASSERT_EQ(packed[r].size(), test::kSlots);
    double squares = 0;
    for (const Complex& z : packed[r]) squares += std::norm(z);
    EXPECT_EQ(trace.mean_square[r], squares / test::kSlots) << r;
  }
}

TEST(SlotInterpreter, TheLargestCoefficientThatARaiseReadsIsTraced) {
  const Program p = test::raised_program();
  const auto input = tensor(4);
  SlotTrace trace;
  (void)run_slots(p, input, &trace);
  double largest = 0;
  for (const Complex& c : slot_coefficients(pack(p.input, test::kSlots, input)[0]))
    largest = std::max({largest, std::fabs(c.real()), std::fabs(c.imag())});
  ASSERT_EQ(trace.largest_coefficient.size(), p.register_count);
  EXPECT_GT(largest, 0.01);
  EXPECT_EQ(trace.largest_coefficient[0], largest);
  for (Register r = 1; r < p.register_count; ++r) EXPECT_EQ(trace.largest_coefficient[r], 0) << r;
  (void)run_slots(test::small_program(), input, &trace);
  EXPECT_EQ(trace.largest_coefficient, std::vector<double>(8));
}

TEST(SlotInterpreter, ANoiseBehindARaiseMeetsBothParts) {
  const Program p = test::raised_program();
  const auto input = tensor(4);
  Noise noise;  // without `lifted`, which is not called then
  noise.after_linear = [](const Instruction&, const Linear::Output&, std::span<Complex>) {};
  EXPECT_EQ(run_slots(p, input, nullptr, &noise), run_slots(p, input));
  double real = 0, imaginary = 0;
  noise.lifted = [&](const Instruction& instruction, std::span<double> re, std::span<double> im) {
    if (!std::holds_alternative<Split>(instruction.op)) return;
    for (std::size_t t = 0; t < re.size(); ++t) real += re[t] * re[t], imaginary += im[t] * im[t];
  };
  EXPECT_EQ(run_slots(p, input, nullptr, &noise), run_slots(p, input));
  EXPECT_GT(real, 1);
  EXPECT_GT(imaginary, real / 4);
}

TEST(SlotInterpreter, OneForManyThreads) {
  const Program p = test::small_program();
  const SlotInterpreter interpreter(p);
  std::vector<std::vector<double>> got(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < got.size(); ++i) threads.emplace_back([&, i] { got[i] = interpreter.run(tensor(i)); });
  }
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], run_slots(p, tensor(i)));
}

TEST(SlotInterpreter, UnpackUndoesPack) {
  const Program p = test::small_program();
  const auto input = tensor(8);
  const auto back = unpack(p.input, pack(p.input, p.parameters.ring_degree / 2, input));
  EXPECT_TRUE(std::equal(back.begin(), back.end(), input.begin(), input.end()));
}

}  // namespace
}  // namespace brainlock::plan
