// A small program that uses every instruction and every field, on a ring of 128-bit security.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "brainlock/math/modulus.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::package::test {

inline constexpr std::uint32_t kDegree = 1U << 13;
inline constexpr std::uint32_t kSlots = kDegree / 2;
inline constexpr std::uint32_t kElements = 8;

inline plan::SlotVector dense_vector(std::uint32_t period, std::mt19937_64& random) {
  std::uniform_real_distribution<float> uniform(-0.5F, 0.5F);
  plan::SlotVector v;
  v.period = period;
  for (std::uint32_t i = 0; i < period; ++i) {
    const float im = uniform(random), re = uniform(random);  // in this order wherever it is compiled
    v.values.emplace_back(re, im);
  }
  return v;
}

inline plan::SlotVector sparse_vector(std::uint32_t count, std::mt19937_64& random) {
  plan::SlotVector v = dense_vector(count, random);
  v.period = kSlots;
  for (std::uint32_t i = 0; i < count; ++i) v.slots.push_back(3 * i + 1);
  return v;
}

/// Random numbers in double precision: both of a vector's floats count.
inline plan::SlotVector precise_vector(std::uint32_t period, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-0.5, 0.5);
  std::vector<std::complex<double>> values;
  for (std::uint32_t i = 0; i < period; ++i) {
    const double im = uniform(random), re = uniform(random);  // in this order wherever it is compiled
    values.emplace_back(re, im);
  }
  return plan::SlotVector::precise(values);
}

inline plan::SlotVector precise_sparse_vector(std::uint32_t count, std::mt19937_64& random) {
  plan::SlotVector v = precise_vector(count, random);
  v.period = kSlots;
  for (std::uint32_t i = 0; i < count; ++i) v.slots.push_back(3 * i + 1);
  return v;
}

inline plan::TensorMap sample_map(std::uint32_t parts, std::uint32_t limbs, double scale) {
  plan::TensorMap m;
  m.channels = kElements;
  m.height = m.width = 1;
  m.ciphertexts = 1;
  m.parts = parts;
  m.limbs = limbs;
  m.scale = scale;
  m.bound = 1;
  for (std::uint32_t i = 0; i < kElements; ++i) m.places.push_back({i, 0, i / parts, i % parts});
  return m;
}

/// split -> linear -> square -> combine -> linear. `seed` chooses the weights.
inline plan::Program sample_program(std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  plan::Program p;
  p.model_name = "sample";
  p.profile = "test";
  p.parameters.ring_degree = kDegree;
  p.parameters.p = math::ntt_primes(30, 2, kDegree);
  p.parameters.q = math::ntt_primes(28, 4, kDegree, p.parameters.p);
  p.parameters.digit_limbs = 2;
  double scale = std::exp2(30.0);
  p.input = sample_map(2, 4, scale);
  p.instructions.push_back({plan::Split{0, {1, 2}}, "first", 4, 4, scale, scale});

  plan::Linear first;
  first.name = "first";
  first.inputs = {1, 2};
  first.columns = {{0, 0}, {1, 1}, {0, -2}};
  first.giant_step = 4;
  first.period = 4;
  first.weight_scale = std::exp2(26.0);
  first.limit = 12.5;
  for (int i = 0; i < 4; ++i) first.vectors.push_back(dense_vector(4, random));
  first.outputs.push_back({3, {0, 1, 2}, 2, {0, 1, -1, 2, 3, -1}, dense_vector(2, random)});
  double out_scale = scale * first.weight_scale / p.parameters.q[3];
  p.instructions.push_back({first, "first", 4, 3, scale, out_scale});
  scale = out_scale;

  p.instructions.push_back({plan::Square{3, {4, 5}}, "second", 3, 3, scale, scale * scale});
  scale *= scale;
  p.instructions.push_back({plan::Combine{{{4, 1}, {5, 0}}, 6}, "second", 3, 3, scale, scale});

  plan::Linear second;
  second.name = "logits";
  second.inputs = {6};
  second.columns = {{0, 0}, {0, 5}};
  second.rotate_sums = {16, 8};
  second.period = kSlots;
  second.weight_scale = std::exp2(20.0);
  second.vectors = {sparse_vector(6, random), sparse_vector(5, random)};
  second.outputs.push_back({7, {0, 1}, 1, {0, 1}, sparse_vector(3, random)});
  out_scale = scale * second.weight_scale / p.parameters.q[2];
  p.instructions.push_back({second, "logits", 3, 2, scale, out_scale});

  p.register_count = 8;
  p.output = sample_map(1, 2, out_scale);
  p.output_registers = {7};
  p.keys = plan::collect_keys(p);
  p.error_bound = 0.25;
  p.error_estimate = 0.01;
  if (const Status status = plan::validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

/// sample_program() with five giant steps, which are summed in pairs. plan.bin 7.
inline plan::Program fanned_program(std::uint64_t seed = 1) {
  plan::Program p = sample_program(seed);
  auto& linear = std::get<plan::Linear>(p.instructions[1].op);
  linear.giant_fan = 2;
  linear.outputs[0].giants = 5;
  linear.outputs[0].weights = {0, 1, -1, 2, 3, -1, 1, 1, 0, 2, 3, 3, -1, -1, 0};
  p.keys = plan::collect_keys(p);
  if (const Status status = plan::validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

/// sample_program() with a second branch: drop -> linear -> add. plan.bin 3.
inline plan::Program branched_program(std::uint64_t seed = 1) {
  plan::Program p = sample_program(seed);
  std::mt19937_64 random(seed + 100);
  const double scale = p.input.scale, out_scale = p.output.scale;
  p.instructions.push_back({plan::Drop{1, 8}, "shortcut", 4, 3, scale, scale});
  plan::Linear shortcut;
  shortcut.name = "shortcut";
  shortcut.inputs = {8};
  shortcut.columns = {{0, 3}};
  shortcut.period = 8;
  shortcut.weight_scale = out_scale * p.parameters.q[2] / scale;
  shortcut.limit = 8;
  shortcut.vectors = {dense_vector(8, random)};
  shortcut.outputs.push_back({9, {0}, 1, {0}, dense_vector(4, random)});
  p.instructions.push_back({shortcut, "shortcut", 3, 2, scale, out_scale});
  p.instructions.push_back({plan::Add{{7, 9}, 10}, "sum", 2, 2, out_scale, out_scale});
  p.register_count = 11;
  p.output_registers = {10};
  p.keys = plan::collect_keys(p);
  if (const Status status = plan::validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

/// branched_program() with masks in two of its three layers. plan.bin 4.
inline plan::Program masked_program(std::uint64_t seed = 1) {
  plan::Program p = branched_program(seed);
  std::mt19937_64 random(seed + 200);
  const auto mask = [](plan::Linear& linear, std::vector<plan::SlotVector> masks) {
    linear.masks = std::move(masks);
    linear.mask_scale = std::exp2(10.0);
    linear.weight_scale /= linear.mask_scale;
  };
  mask(std::get<plan::Linear>(p.instructions[1].op), {dense_vector(8, random)});
  mask(std::get<plan::Linear>(p.instructions[4].op), {sparse_vector(7, random)});
  if (const Status status = plan::validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

/// An input of one limb that is raised, and behind it two layers of complex numbers, most of them in double precision.
/// What is beside the message stays there. plan.bin 5.
inline plan::Program raised_program(std::uint64_t seed = 1) {
  plan::Program p = sample_program(seed);
  std::mt19937_64 random(seed + 300);
  p.instructions.clear();
  double scale = std::exp2(36.0);
  p.input = sample_map(2, 1, std::exp2(24.0));
  p.instructions.push_back({plan::Raise{0, 1, 0.75}, "refresh", 1, 4, p.input.scale, scale});
  p.instructions.push_back({plan::Split{1, {2}}, "refresh", 4, 4, scale, scale});

  plan::Linear first;
  first.name = "first";
  first.inputs = {2};
  first.columns = {{0, 0}, {0, 3}};
  first.giant_step = 4;
  first.period = 8;
  first.weight_scale = std::exp2(30.0);
  for (int i = 0; i < 4; ++i) first.vectors.push_back(i == 0 ? dense_vector(8, random) : precise_vector(8, random));
  first.outputs.push_back({3, {0, 1}, 2, {0, 1, 2, 3}, precise_vector(2, random)});
  double out_scale = scale * first.weight_scale / p.parameters.q[3];
  p.instructions.push_back({first, "refresh", 4, 3, scale, out_scale});
  scale = out_scale;
  p.instructions.push_back({plan::Split{3, {4, 5}}, "last", 3, 3, scale, scale});

  plan::Linear second;
  second.name = "last";
  second.inputs = {4, 5};
  second.columns = {{0, 0}, {1, 5}};
  second.rotate_sums = {16};
  second.period = kSlots;
  second.weight_scale = std::exp2(20.0);
  second.mask_scale = std::exp2(10.0);
  second.vectors = {precise_sparse_vector(6, random), sparse_vector(5, random)};
  second.masks = {precise_vector(4, random)};
  second.outputs.push_back({6, {0, 1}, 1, {0, 1}, precise_sparse_vector(3, random)});
  out_scale = scale * second.weight_scale * second.mask_scale / p.parameters.q[2];
  p.instructions.push_back({second, "last", 3, 2, scale, out_scale});

  p.register_count = 7;
  p.output = sample_map(1, 2, out_scale);
  p.output_registers = {6};
  p.keys = plan::collect_keys(p);
  if (const Status status = plan::validate(p); !status.ok()) ADD_FAILURE() << status.error().to_string();
  return p;
}

}  // namespace brainlock::package::test
