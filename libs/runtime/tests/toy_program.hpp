// Small random programs on a toy ring, and one client to run them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "brainlock/ckks_client/client.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "brainlock/runtime/executor.hpp"

namespace brainlock::runtime::test {

inline constexpr std::uint32_t kDegree = 1024;
inline constexpr std::uint32_t kSlots = kDegree / 2;

inline plan::ParameterChoice toy_choice(std::uint32_t degree = kDegree) {
  plan::ParameterChoice choice;
  choice.ring_degree = degree;
  choice.p = math::ntt_primes(29, 2, degree);
  choice.q = math::ntt_primes(28, 8, degree, choice.p);
  choice.digit_limbs = 2;
  return choice;
}

inline std::shared_ptr<const ckks::Parameters> toy_parameters(const plan::ParameterChoice& choice = toy_choice()) {
  auto parameters = ckks::Parameters::create_insecure_for_tests({choice.ring_degree, choice.q, choice.p, choice.digit_limbs});
  if (!parameters) ADD_FAILURE() << parameters.error().to_string();
  return *parameters;
}

/// Grows a program instruction by instruction, keeping limbs, scales and registers right.
class Builder {
 public:
  Builder(std::uint32_t ciphertexts, std::uint32_t parts, std::uint32_t limbs, std::uint64_t seed = 1)
      : random_(seed) {
    program_.model_name = "toy";
    program_.parameters = toy_choice();
    program_.input = map(ciphertexts, parts, limbs, std::exp2(limbs == 1 ? 22.0 : 40.0));
    program_.register_count = ciphertexts;
    limbs_ = limbs;
    scale_ = program_.input.scale;
    for (std::uint32_t i = 0; i < ciphertexts; ++i) packed_.push_back(i);
  }

  Builder& split(std::uint32_t parts) { return unary<plan::Split>(parts, scale_); }
  Builder& square(std::uint32_t parts) { return unary<plan::Square>(parts, scale_ * scale_); }
  /// Of the real parts alone.
  Builder& square_real_part() {
    const std::size_t first = program_.instructions.size();
    square(1);
    for (std::size_t i = first; i < program_.instructions.size(); ++i) std::get<plan::Square>(program_.instructions[i].op).real_part = true;
    return *this;
  }

  /// One limb to `limbs`: behind it slots are the message and multiples of q[0] / 2^34, which come to about 4.
  Builder& raise(std::uint32_t limbs) {
    const double scale_out = std::exp2(34.0);
    for (plan::Register& packed : packed_) {
      const plan::Register out = program_.register_count++;
      program_.instructions.push_back({plan::Raise{packed, out}, "refresh", limbs_, limbs, scale_, scale_out});
      packed = out;
    }
    limbs_ = limbs;
    scale_ = scale_out;
    return *this;
  }

  /// Adds one sum of all lifted registers, term i rotated by rotations[i mod size].
  Builder& combine(const std::vector<std::int32_t>& rotations) {
    plan::Combine op;
    for (std::size_t i = 0; i < lifted_.size(); ++i) op.terms.push_back({lifted_[i], rotations[i % rotations.size()]});
    op.out = program_.register_count++;
    lifted_.push_back(op.out);
    push(op, limbs_, scale_);
    return *this;
  }

  struct LinearShape {
    std::vector<std::int32_t> rotations{0, 1, 5};
    std::uint32_t outputs = 2, giants = 3, period = 16, drop = 1;
    std::int32_t giant_step = 16;
    std::uint32_t giant_fan = 0;
    std::vector<std::int32_t> rotate_sums{};
    double density = 0.8;
    std::uint32_t mask_period = 0;   ///< not 0: masks
    bool sparse = false, bias = true, real = false, precise = false;  ///< precise: numbers with what floats lack
  };
  Builder& linear(const LinearShape& shape) {
    plan::Linear op;
    op.name = "toy linear";
    op.inputs = lifted_;
    op.period = shape.period;
    op.giant_step = shape.giant_step;
    op.giant_fan = shape.giant_fan;
    op.rotate_sums = shape.rotate_sums;
    op.weight_scale = std::exp2(28.0);
    for (std::uint32_t i = 0; i < lifted_.size(); ++i) {
      for (const std::int32_t r : shape.rotations) op.columns.push_back({i, r});
    }
    const double size = 1 / std::sqrt(static_cast<double>(op.columns.size() * shape.giants));
    std::uniform_real_distribution<float> uniform(-1, 1);
    const auto vector = [&](std::uint32_t period, bool sparse, float bound) {
      plan::SlotVector v;
      v.period = sparse ? kSlots : period;
      for (std::uint32_t s = 0; s < v.period; ++s) {
        if (sparse && uniform(random_) > -0.8F) continue;
        if (sparse) v.slots.push_back(s);
        v.values.emplace_back(bound * uniform(random_), shape.real ? 0.0F : bound * uniform(random_));
        if (shape.precise)
          v.rest.emplace_back(0x1p-25F * bound * uniform(random_), 0x1p-25F * bound * uniform(random_));
      }
      return v;
    };
    packed_.clear();
    for (std::uint32_t o = 0; o < shape.outputs; ++o) {
      plan::Linear::Output output;
      output.out = program_.register_count++;
      output.giants = shape.giants;
      for (std::uint32_t c = 0; c < op.columns.size(); ++c) {
        if ((c + o) % 3 != 1 || op.columns.size() < 3) output.columns.push_back(c);  // not every output takes every column
      }
      for (std::size_t w = 0; w < output.columns.size() * shape.giants; ++w) {
        if (w != 0 && uniform(random_) > static_cast<float>(2 * shape.density - 1)) {
          output.weights.push_back(-1);
          continue;
        }
        output.weights.push_back(static_cast<std::int32_t>(op.vectors.size()));
        op.vectors.push_back(vector(shape.period, shape.sparse, static_cast<float>(size)));
      }
      if (shape.bias) output.bias = vector(shape.period, o % 2 == 1, 1.0F);
      packed_.push_back(output.out);
      op.outputs.push_back(std::move(output));
    }
    if (shape.mask_period != 0) {
      op.mask_scale = std::exp2(14.0);
      op.weight_scale /= op.mask_scale;
      for (std::uint32_t o = 0; o < shape.outputs; ++o)
        op.masks.push_back(vector(shape.mask_period, shape.mask_period == kSlots, 1.0F));
    }
    double scale = scale_ * op.weight_scale * std::max(op.mask_scale, 1.0);
    for (std::uint32_t i = 0; i < shape.drop; ++i) scale /= program_.parameters.q[limbs_ - 1 - i];
    lifted_.clear();
    push(std::move(op), limbs_ - shape.drop, scale);
    return *this;
  }

  /// Keeps the lifted registers for a shortcut() behind a later linear.
  Builder& keep() {
    kept_ = lifted_;
    kept_limbs_ = limbs_;
    kept_scale_ = scale_;
    return *this;
  }
  /// Adds to each packed register a linear of the kept ones, dropped to `drop` limbs more than there are now.
  Builder& shortcut(std::uint32_t drop) {
    const std::uint32_t limbs = limbs_ + drop;
    plan::Linear op;
    op.name = "shortcut";
    op.period = 16;
    double dropped = 1;
    for (std::uint32_t i = limbs_; i < limbs; ++i) dropped *= program_.parameters.q[i];
    op.weight_scale = scale_ * dropped / kept_scale_;
    std::uniform_real_distribution<float> uniform(-0.5F, 0.5F);
    for (std::uint32_t i = 0; i < kept_.size(); ++i) {
      const plan::Register out = program_.register_count++;
      program_.instructions.push_back({plan::Drop{kept_[i], out}, "shortcut", kept_limbs_, limbs, kept_scale_, kept_scale_});
      op.inputs.push_back(out);
      for (const std::int32_t rotation : {0, 5}) op.columns.push_back({i, rotation});
    }
    std::vector<plan::Instruction> sums;
    for (plan::Register& packed : packed_) {
      plan::Linear::Output output;
      output.out = program_.register_count++;
      output.giants = 1;
      for (std::uint32_t c = 0; c < op.columns.size(); ++c) {
        output.columns.push_back(c);
        output.weights.push_back(static_cast<std::int32_t>(op.vectors.size()));
        plan::SlotVector v;
        v.period = op.period;
        for (std::uint32_t s = 0; s < v.period; ++s) v.values.emplace_back(uniform(random_), uniform(random_));
        op.vectors.push_back(std::move(v));
      }
      const plan::Register sum = program_.register_count++;
      sums.push_back({plan::Add{{packed, output.out}, sum}, "sum", limbs_, limbs_, scale_, scale_});
      packed = sum;
      op.outputs.push_back(std::move(output));
    }
    program_.instructions.push_back({std::move(op), "shortcut", limbs, limbs_, kept_scale_, scale_});
    for (auto& sum : sums) program_.instructions.push_back(std::move(sum));
    return *this;
  }

  plan::Program finish() {
    program_.output = map(static_cast<std::uint32_t>(packed_.size()), 2, limbs_, scale_);
    program_.output_registers = packed_;
    program_.keys = plan::collect_keys(program_);
    const Status status = plan::validate(program_);
    if (!status) ADD_FAILURE() << status.error().to_string();
    return program_;
  }

 private:
  template <typename Op>
  Builder& unary(std::uint32_t parts, double scale_out) {
    lifted_.clear();
    for (const plan::Register in : packed_) {
      Op op;
      op.in = in;
      for (std::uint32_t part = 0; part < parts; ++part) {
        op.out.push_back(program_.register_count);
        lifted_.push_back(program_.register_count++);
      }
      program_.instructions.push_back({op, "toy", limbs_, limbs_, scale_, scale_out});
    }
    scale_ = scale_out;
    return *this;
  }
  template <typename Op>
  void push(Op op, std::uint32_t limbs_out, double scale_out) {
    program_.instructions.push_back({std::move(op), "toy", limbs_, limbs_out, scale_, scale_out});
    limbs_ = limbs_out;
    scale_ = scale_out;
  }
  static plan::TensorMap map(std::uint32_t ciphertexts, std::uint32_t parts, std::uint32_t limbs, double scale) {
    plan::TensorMap m;
    m.channels = ciphertexts * parts;
    m.height = 1;
    m.width = kSlots;
    m.ciphertexts = ciphertexts;
    m.parts = parts;
    m.limbs = limbs;
    m.scale = scale;
    m.bound = 1;
    for (std::uint32_t c = 0; c < ciphertexts; ++c) {
      for (std::uint32_t part = 0; part < parts; ++part) {
        for (std::uint32_t s = 0; s < kSlots; ++s) m.places.push_back({(c * parts + part) * kSlots + s, c, s, part});
      }
    }
    return m;
  }

  plan::Program program_;
  std::mt19937_64 random_;
  std::uint32_t limbs_ = 0;
  double scale_ = 0;
  std::vector<plan::Register> packed_, lifted_, kept_;
  std::uint32_t kept_limbs_ = 0;
  double kept_scale_ = 0;
};

inline std::vector<float> random_tensor(const plan::TensorMap& map, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(std::size_t{map.channels} * map.height * map.width);
  for (float& x : out) x = uniform(random);
  return out;
}

/// Secret key and encoder of one client.
class Client {
 public:
  explicit Client(std::shared_ptr<const ckks::Parameters> parameters)
      : parameters_(std::move(parameters)), encoder_(parameters_), key_(ckks_client::SecretKey::generate(parameters_).value()) {}
  ckks::EvaluationKeySet keys(const plan::Program& program) {
    auto set = ckks_client::generate_keys(key_, key_requests(program), 2);
    if (!set) ADD_FAILURE() << set.error().to_string();
    return std::move(*set);
  }
  std::vector<ckks::Ciphertext> encrypt(const plan::Program& program, std::span<const float> tensor) {
    std::vector<ckks::Ciphertext> out;
    for (const auto& slots : plan::pack(program.input, program.parameters.ring_degree / 2, tensor)) {
      auto ciphertext = ckks_client::encrypt(key_, encoder_, slots, ckks::Scale::from_value(program.input.scale), program.input.limbs);
      if (!ciphertext) ADD_FAILURE() << ciphertext.error().to_string();
      out.push_back(std::move(*ciphertext));
    }
    return out;
  }
  std::vector<double> decrypt(const plan::Program& program, const std::vector<ckks::Ciphertext>& ciphertexts) {
    std::vector<std::vector<std::complex<double>>> slots;
    for (const auto& ciphertext : ciphertexts) {
      auto message = ckks_client::decrypt(key_, encoder_, ciphertext);
      if (!message) ADD_FAILURE() << message.error().to_string();
      slots.push_back(std::move(*message));
    }
    return plan::unpack(program.output, slots);
  }
  const std::shared_ptr<const ckks::Parameters>& parameters() const { return parameters_; }

 private:
  std::shared_ptr<const ckks::Parameters> parameters_;
  ckks::Encoder encoder_;
  ckks_client::SecretKey key_;
};

}  // namespace brainlock::runtime::test
