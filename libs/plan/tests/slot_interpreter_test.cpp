// The interpreter against the instructions' definitions, slot by slot and as slowly as they are written.
#include "brainlock/plan/slot_interpreter.hpp"

#include <gtest/gtest.h>

#include <map>
#include <thread>

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
  if (w.dense()) return Complex(w.values[t % w.period]);
  for (std::size_t i = 0; i < w.slots.size(); ++i)
    if (w.slots[i] == t) return Complex(w.values[i]);
  return 0;
}

/// program.hpp's comments, read aloud.
std::map<Register, Slots> by_definition(const Program& program, std::span<const float> input) {
  const std::size_t n = program.parameters.ring_degree / 2;
  std::map<Register, Slots> r;
  const auto packed = pack(program.input, static_cast<std::uint32_t>(n), input);
  for (std::size_t i = 0; i < packed.size(); ++i) r[static_cast<Register>(i)] = packed[i];
  for (const Instruction& instruction : program.instructions) {
    if (const auto* split = std::get_if<Split>(&instruction.op)) {
      for (std::size_t part = 0; part < split->out.size(); ++part)
        for (const Complex z : r[split->in])
          r[split->out[part]].push_back(split->out.size() == 1 ? z.real() : part == 0 ? 2 * z.real() : 2 * z.imag());
    } else if (const auto* square = std::get_if<Square>(&instruction.op)) {
      for (std::size_t part = 0; part < square->out.size(); ++part)
        for (const Complex z : r[square->in])
          r[square->out[part]].push_back(square->out.size() == 1 ? z * z : part == 0 ? 4 * z.real() * z.real() : -4 * z.imag() * z.imag());
    } else if (const auto* combine = std::get_if<Combine>(&instruction.op)) {
      Slots& out = r[combine->out];
      out.resize(n);
      for (std::size_t t = 0; t < n; ++t)
        for (const auto& term : combine->terms) out[t] += at(r[term.in], static_cast<std::int64_t>(t) + term.rotation);
    } else if (const auto* drop = std::get_if<Drop>(&instruction.op)) {
      r[drop->out] = r[drop->in];
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
                        at(r[linear.inputs[column.input]], static_cast<std::int64_t>(t) + column.rotation).real();
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
  const auto registers = by_definition(program, input);
  SlotTrace trace;
  const auto got = run_slots(program, input, &trace);
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

// What does not fit the modulus before a mask is lost behind it.
TEST(SlotInterpreter, TheLargestValueBeforeAMaskIsTraced) {
  Program masked = test::masked_program(), plain = test::small_program();
  auto& linear = std::get<Linear>(masked.instructions[1].op);
  auto& same = std::get<Linear>(plain.instructions[1].op);
  linear.masks[0] = {test::kSlots, {5}, {0.25F}};
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
