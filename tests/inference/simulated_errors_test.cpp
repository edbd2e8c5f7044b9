// The errors that the simulator draws against those of ciphertexts, slot by slot, in programs that show one kind of them each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <functional>

#include "brainlock/ckks_client/client.hpp"
#include "brainlock/math/modulus.hpp"
#include "brainlock/package/program_codec.hpp"
#include "brainlock/package/simulator.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/runtime/executor.hpp"

namespace brainlock {
namespace {

constexpr std::uint32_t kDegree = 1U << 13, kSlots = kDegree / 2;
constexpr int kKeys = 16;   // one run with each; every run has thousands of slots

using Values = std::vector<std::vector<double>>;   // of runs: real parts of all slots, then imaginary ones

plan::TensorMap all_slots(std::uint32_t parts, std::uint32_t limbs, double scale) {
  plan::TensorMap map;
  map.channels = parts, map.height = 1, map.width = kSlots;
  map.ciphertexts = 1, map.parts = parts, map.limbs = limbs, map.scale = scale, map.bound = 1;
  for (std::uint32_t i = 0; i < parts * kSlots; ++i) map.places.push_back({i, 0, i % kSlots, i / kSlots});
  return map;
}

/// Writes instructions one behind the other; the last register is the output.
class Writer {
 public:
  Writer(std::uint32_t parts, double scale_log2) {
    p_.model_name = "errors";
    p_.profile = "test";
    p_.parameters.ring_degree = kDegree;
    p_.parameters.p = math::ntt_primes(30, 2, kDegree);
    p_.parameters.q = math::ntt_primes(28, 4, kDegree, p_.parameters.p);
    p_.parameters.digit_limbs = 2;
    p_.input = all_slots(parts, 4, std::exp2(scale_log2));
    held_ = {{4, p_.input.scale}};
  }
  std::vector<plan::Register> split(plan::Register in, std::uint32_t parts) {
    std::vector<plan::Register> out;
    for (std::uint32_t i = 0; i < parts; ++i) out.push_back(make(held_[in]));
    push(plan::Split{in, out}, held_[in], held_[in]);
    return out;
  }
  std::vector<plan::Register> square(plan::Register in, std::uint32_t parts) {
    const Held squared{held_[in].limbs, held_[in].scale * held_[in].scale};
    std::vector<plan::Register> out;
    for (std::uint32_t i = 0; i < parts; ++i) out.push_back(make(squared));
    push(plan::Square{in, out}, held_[in], squared);
    return out;
  }
  plan::Register drop(plan::Register in) {
    const plan::Register out = make({held_[in].limbs - 1, held_[in].scale});
    push(plan::Drop{in, out}, held_[in], held_[out]);
    return out;
  }
  plan::Register add(plan::Register a, plan::Register b) {
    const plan::Register out = make(held_[a]);
    push(plan::Add{{a, b}, out}, held_[a], held_[a]);
    return out;
  }
  /// out[t] = sum over terms of weight[t modulo period] in[t + rotation], then rotate_sums. `scale_log2`: of the result.
  struct Term {
    plan::Register in;
    std::int32_t rotation;
    std::vector<std::complex<float>> weight;
  };
  plan::Register linear(const std::vector<Term>& terms, std::uint32_t dropped, double scale_log2, std::vector<std::int32_t> sums = {},
                        plan::SlotVector mask = {}) {
    const Held in = held_[terms[0].in];
    const plan::Register out = make({in.limbs - dropped, std::exp2(scale_log2)});
    plan::Linear linear;
    linear.name = "linear";
    linear.period = static_cast<std::uint32_t>(terms[0].weight.size());
    linear.weight_scale = held_[out].scale / in.scale;
    for (std::uint32_t l = held_[out].limbs; l < in.limbs; ++l) linear.weight_scale *= p_.parameters.q[l];
    linear.rotate_sums = std::move(sums);
    if (!mask.values.empty()) {
      linear.masks.push_back(std::move(mask));
      linear.mask_scale = std::exp2(13.0);
      linear.weight_scale /= linear.mask_scale;
    }
    plan::Linear::Output output;
    output.out = out;
    output.giants = 1;
    for (const Term& term : terms) {
      const auto known = std::find(linear.inputs.begin(), linear.inputs.end(), term.in);
      const auto input = static_cast<std::uint32_t>(known - linear.inputs.begin());
      if (known == linear.inputs.end()) linear.inputs.push_back(term.in);
      output.columns.push_back(static_cast<std::uint32_t>(linear.columns.size()));
      output.weights.push_back(static_cast<std::int32_t>(linear.vectors.size()));
      linear.columns.push_back({input, term.rotation});
      linear.vectors.push_back({linear.period, {}, term.weight, {}});
    }
    linear.outputs.push_back(std::move(output));
    push(std::move(linear), in, held_[out]);
    return out;
  }
  plan::Program program() {
    p_.register_count = static_cast<std::uint32_t>(held_.size());
    p_.output_registers = {p_.register_count - 1};
    p_.output = all_slots(2, held_.back().limbs, held_.back().scale);
    p_.keys = plan::collect_keys(p_);
    return p_;
  }

 private:
  struct Held {
    std::uint32_t limbs;
    double scale;
  };
  plan::Register make(Held held) {
    held_.push_back(held);
    return static_cast<plan::Register>(held_.size() - 1);
  }
  template <typename Op>
  void push(Op op, Held in, Held out) {
    p_.instructions.push_back({std::move(op), "layer", in.limbs, out.limbs, in.scale, out.scale});
  }

  plan::Program p_;
  std::vector<Held> held_;
};

/// Of many runs, each around the mean of all at its place.
Values errors(Values runs) {
  for (std::size_t t = 0; t < runs[0].size(); ++t) {
    double mean = 0;
    for (const auto& run : runs) mean += run[t] / static_cast<double>(runs.size());
    for (auto& run : runs) run[t] -= mean;
  }
  return runs;
}

struct Compared {
  Values encrypted, simulated;   ///< errors
};

Compared run(const plan::Program& program, const std::vector<float>& input) {
  Compared out;
  const auto package = package::Package::from_bytes(package::encode_program(program), {});
  if (!package.ok()) return ADD_FAILURE() << package.error().to_string(), out;
  const auto parameters = (*package)->parameters();
  const auto simulator = package::Simulator::make(*package);
  const auto machine = runtime::Machine::make(parameters, 2U);
  const auto loaded = runtime::LoadedProgram::load(*machine, program);
  if (!simulator.ok() || !loaded.ok()) return ADD_FAILURE() << "the program is not taken", out;
  const ckks::Encoder encoder(parameters);
  for (int key = 0; key < kKeys; ++key) {
    out.simulated.push_back((*simulator)->run(input, static_cast<std::uint64_t>(key)));
    const auto secret = ckks_client::SecretKey::generate(parameters);
    auto keys = ckks_client::generate_keys(*secret, (*package)->key_requests(), 2);
    const auto held = ckks::load_keys((*machine)->backend, (*machine)->pool, parameters, (*package)->key_requests(), std::move(*keys));
    std::vector<ckks::Ciphertext> ciphertexts;
    for (const auto& slots : plan::pack(program.input, kSlots, input)) {
      auto c = ckks_client::encrypt(*secret, encoder, slots, ckks::Scale::from_value(program.input.scale), program.input.limbs);
      ciphertexts.push_back(std::move(*c));
    }
    const auto outputs = runtime::Executor().run(**loaded, **held, std::move(ciphertexts));
    if (!outputs.ok()) return ADD_FAILURE() << outputs.error().to_string(), out;
    out.encrypted.push_back(plan::unpack(program.output, {*ckks_client::decrypt(*secret, encoder, (*outputs)[0])}));
  }
  out.encrypted = errors(std::move(out.encrypted));
  out.simulated = errors(std::move(out.simulated));
  return out;
}

/// Mean square over the runs and over the places that `counts` says yes to.
double mean_square(const Values& runs, const std::function<bool(std::uint32_t slot, bool imaginary)>& counts) {
  double sum = 0, count = 0;
  for (std::uint32_t t = 0; t < 2 * kSlots; ++t) {
    if (!counts(t % kSlots, t >= kSlots)) continue;
    for (const auto& run : runs) sum += run[t] * run[t], ++count;
  }
  return sum / count * kKeys / (kKeys - 1);
}

/// Real and imaginary errors are as large as foretold.
void expect_as_foretold(const Compared& compared, double tolerance) {
  for (const bool part : {false, true}) {
    const auto in_part = [part](std::uint32_t, bool imaginary) { return imaginary == part; };
    EXPECT_NEAR(mean_square(compared.encrypted, in_part) / mean_square(compared.simulated, in_part), 1, tolerance) << (part ? "imaginary" : "real");
  }
}

std::vector<float> values(std::uint32_t parts) {
  std::vector<float> out;
  for (std::uint32_t i = 0; i < parts * kSlots; ++i) out.push_back(static_cast<float>(0.5 + 0.5 * std::sin(0.37 * i)));
  return out;
}

const std::vector<std::complex<float>> kComplex = {{0.28F, 0.96F}};   // of absolute value 1, and uneven parts

TEST(SimulatedErrors, RealInputsHaveImaginaryErrors) {
  Writer writer(1, 20);
  writer.linear({{writer.split(0, 1)[0], 0, kComplex}}, 0, 46);
  expect_as_foretold(run(writer.program(), values(1)), 0.05);
}

TEST(SimulatedErrors, RealSquaresHaveImaginaryErrors) {
  Writer writer(1, 22);
  writer.linear({{writer.square(0, 1)[0], 0, kComplex}}, 1, 42);
  expect_as_foretold(run(writer.program(), values(1)), 0.05);
}

TEST(SimulatedErrors, PartsHaveThoseOfTheirConjugation) {
  for (const auto& weight : {std::complex<float>(1, 0), kComplex[0]}) {
    Writer writer(2, 20);
    const auto parts = writer.split(0, 2);
    writer.linear({{parts[0], 0, {weight}}, {parts[1], 0, {0.5F * weight}}}, 0, 46);
    expect_as_foretold(run(writer.program(), values(2)), 0.05);
    Writer squares(2, 22);
    const auto squared = squares.square(0, 2);
    squares.linear({{squared[0], 0, {weight}}, {squared[1], 0, {0.5F * weight}}}, 1, 42);
    expect_as_foretold(run(squares.program(), values(2)), 0.05);
  }
}

TEST(SimulatedErrors, KeySwitchesErrWhereTheirWeightsAre) {
  Writer writer(1, 20);
  const std::vector<std::complex<float>> weight = {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {1, 0.5}, {0.5, 1}};
  const plan::Register in = writer.split(0, 1)[0];
  writer.linear({{in, 1, weight}, {in, 2, weight}, {in, -3, weight}}, 0, 46);
  const Compared compared = run(writer.program(), values(1));
  expect_as_foretold(compared, 0.05);
  const auto weighted = [](std::uint32_t slot, bool) { return slot % 8 >= 6; };
  const auto empty = [](std::uint32_t slot, bool) { return slot % 8 < 6; };
  EXPECT_NEAR(mean_square(compared.encrypted, weighted) / mean_square(compared.simulated, weighted), 1, 0.05);
  for (const Values* runs : {&compared.encrypted, &compared.simulated}) EXPECT_LT(mean_square(*runs, empty), 0.001 * mean_square(*runs, weighted));
}

// Of key switches nothing is left where a mask is zero, of the rescale behind it all.
TEST(SimulatedErrors, MasksTakeTheErrorsBeforeThem) {
  plan::SlotVector mask{kSlots, {}, {}, {}};
  for (std::uint32_t t = 0; t < kSlots; t += t % 8 == 2 ? 6 : 1) mask.slots.push_back(t), mask.values.push_back(1);
  const auto masked = [](std::uint32_t slot, bool) { return slot % 8 > 2; };
  const auto kept = [](std::uint32_t slot, bool) { return slot % 8 <= 2; };
  for (const double scale : {46.0, 30.0}) {   // errors of key switches, then of the rescale
    Writer writer(1, 20);
    const plan::Register in = writer.split(0, 1)[0];
    writer.linear({{in, 1, {{1, 0.5}}}, {in, 2, {{0.5, 1}}}, {in, -3, {{1, 1}}}}, scale > 40 ? 0 : 1, scale, {}, mask);
    const Compared compared = run(writer.program(), values(1));
    expect_as_foretold(compared, 0.05);
    EXPECT_NEAR(mean_square(compared.encrypted, kept) / mean_square(compared.simulated, kept), 1, 0.05);
    if (scale > 40) {
      for (const Values* runs : {&compared.encrypted, &compared.simulated}) EXPECT_LT(mean_square(*runs, masked), 0.01 * mean_square(*runs, kept));
    } else {
      EXPECT_NEAR(mean_square(compared.encrypted, masked) / mean_square(compared.simulated, masked), 1, 0.05);
    }
  }
}

TEST(SimulatedErrors, SumsOfRotationsRepeatTheirErrors) {
  Writer writer(1, 20);
  const std::vector<std::complex<float>> weight = {{1, 0.5}, {0.5, 1}};
  const plan::Register in = writer.split(0, 1)[0];
  writer.linear({{in, 1, weight}, {in, 2, weight}, {in, -3, weight}}, 0, 46, {kSlots / 2, kSlots / 4});
  const Compared compared = run(writer.program(), values(1));
  expect_as_foretold(compared, 0.05);
  for (const Values* runs : {&compared.encrypted, &compared.simulated}) {
    double product = 0, square = 0;
    for (const auto& run : *runs)
      for (std::uint32_t t = 0; t < kSlots; ++t) product += run[t] * run[(t + kSlots / 4) % kSlots], square += run[t] * run[t];
    EXPECT_GT(product / square, 0.95);
  }
}

// Rounding errors are products with the secret, so that their fourth powers, which are squares of errors, are twice those of Gaussian ones.
TEST(SimulatedErrors, RoundingErrorsAreAsLargeAsTheSecretIs) {
  Writer writer(1, 30);
  const plan::Register small = writer.linear({{writer.split(0, 1)[0], 0, {{1, 0}}}}, 1, 26);
  const auto squares = writer.square(small, 2);
  writer.linear({{squares[0], 0, kComplex}, {squares[1], 0, kComplex}}, 1, 50);
  expect_as_foretold(run(writer.program(), std::vector<float>(kSlots, 0.0F)), 0.15);
}

// A square goes two ways, one of them through another square, and both meet.
TEST(SimulatedErrors, BranchesShareTheErrorsOfWhatTheyRead) {
  Writer writer(2, 34);
  const auto parts = writer.split(0, 2);
  const plan::Register start = writer.linear({{parts[0], 0, {{0.5, 0}}}, {parts[1], 1, {{0, 0.5}}}}, 1, 18);
  const auto squares = writer.square(start, 2);
  const plan::Register branch = writer.linear({{squares[0], 0, {{0.5, 0}}}, {squares[1], 2, {{0, 0.5}}}, {squares[1], 0, {{0.25, 0}}}}, 2, 17);
  const plan::Register shortcut = writer.linear({{writer.drop(squares[0]), 0, {{0.5, 0}}}}, 1, 17);
  writer.add(branch, shortcut);
  expect_as_foretold(run(writer.program(), values(2)), 0.05);
}

}  // namespace
}  // namespace brainlock
