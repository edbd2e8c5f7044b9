#include "brainlock/plan/slot_interpreter.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace brainlock::plan {
namespace {

using Slots = std::vector<std::complex<double>>;

class Interpreter {
 public:
  Interpreter(const Program& program, SlotTrace* trace, const Noise* noise)
      : program_(program), trace_(trace), noise_(noise), n_(program.parameters.ring_degree / 2), regs_(program.register_count) {}

  std::vector<double> run(std::span<const float> input) {
    auto packed = pack(program_.input, n_, input);
    for (std::size_t i = 0; i < packed.size(); ++i) regs_[i] = std::move(packed[i]);
    if (trace_ != nullptr) {
      trace_->largest.assign(program_.register_count, 0);
      trace_->mean_square.assign(program_.register_count, 0);
    }
    find_last_uses();
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      const Instruction& instruction = program_.instructions[i];
      std::visit([&](const auto& op) { step(instruction, op); }, instruction.op);
      for (Register r : dead_after_[i]) regs_[r] = Slots();
    }
    std::vector<Slots> out;
    for (Register r : program_.output_registers) out.push_back(regs_[r]);
    return unpack(program_.output, out);
  }

 private:
  void find_last_uses() {
    std::vector<std::size_t> last(program_.register_count, 0);
    const auto touch = [&](Register r, std::size_t i) { last[r] = i; };
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      const auto& op = program_.instructions[i].op;
      if (const auto* s = std::get_if<Split>(&op)) touch(s->in, i);
      if (const auto* s = std::get_if<Square>(&op)) touch(s->in, i);
      if (const auto* c = std::get_if<Combine>(&op))
        for (const auto& term : c->terms) touch(term.in, i);
      if (const auto* l = std::get_if<Linear>(&op))
        for (Register r : l->inputs) touch(r, i);
    }
    dead_after_.assign(program_.instructions.size(), {});
    std::vector<bool> kept(program_.register_count, false);
    for (Register r : program_.output_registers) kept[r] = true;
    for (Register r = 0; r < program_.register_count; ++r)
      if (!kept[r] && !dead_after_.empty()) dead_after_[last[r]].push_back(r);
  }

  void put(Register r, Slots value) {
    if (trace_ != nullptr) {
      double largest = 0, sum = 0;
      for (const auto& v : value) {
        largest = std::max({largest, std::fabs(v.real()), std::fabs(v.imag())});
        sum += std::norm(v);
      }
      trace_->largest[r] = largest;
      trace_->mean_square[r] = sum / n_;
    }
    regs_[r] = std::move(value);
  }

  void step(const Instruction&, const Split& op) {
    const Slots& z = regs_[op.in];
    if (op.out.size() == 1) {
      put(op.out[0], z);
      return;
    }
    Slots u(n_), v(n_);
    for (std::uint32_t i = 0; i < n_; ++i) u[i] = 2 * z[i].real(), v[i] = 2 * z[i].imag();
    put(op.out[0], std::move(u));
    put(op.out[1], std::move(v));
  }

  void step(const Instruction&, const Square& op) {
    const Slots& z = regs_[op.in];
    Slots u(n_), v(op.out.size() == 2 ? n_ : 0);
    for (std::uint32_t i = 0; i < n_; ++i) {
      if (op.out.size() == 1) {
        u[i] = z[i] * z[i];
      } else {
        u[i] = 4 * z[i].real() * z[i].real();
        v[i] = -4 * z[i].imag() * z[i].imag();
      }
    }
    put(op.out[0], std::move(u));
    if (op.out.size() == 2) put(op.out[1], std::move(v));
  }

  void add_rotated(Slots& out, const Slots& in, std::int64_t rotation) const {
    const std::uint32_t r = wrap(rotation);
    for (std::uint32_t t = 0; t < n_; ++t) out[t] += in[(t + r) & (n_ - 1)];
  }

  void step(const Instruction&, const Combine& op) {
    Slots out(n_);
    for (const auto& term : op.terms) add_rotated(out, regs_[term.in], term.rotation);
    put(op.out, std::move(out));
  }

  void step(const Instruction& instruction, const Linear& op) {
    for (const auto& output : op.outputs) {
      Slots acc(n_);
      for (std::uint32_t g = 0; g < output.giants; ++g) {
        Slots part(n_);
        bool any = false;
        for (std::size_t k = 0; k < output.columns.size(); ++k) {
          const std::int32_t w = output.weights[k * output.giants + g];
          if (w < 0) continue;
          any = true;
          const auto& column = op.columns[output.columns[k]];
          mac(part, op.vectors[static_cast<std::size_t>(w)], regs_[op.inputs[column.input]], column.rotation);
        }
        if (any) add_rotated(acc, part, static_cast<std::int64_t>(g) * op.giant_step);
      }
      for (std::int32_t rotation : op.rotate_sums) {
        const Slots before = acc;
        add_rotated(acc, before, rotation);
      }
      if (noise_ != nullptr && noise_->after_linear) noise_->after_linear(instruction, acc);
      const SlotVector& bias = output.bias;
      if (bias.dense() && !bias.values.empty()) {
        for (std::uint32_t t = 0; t < n_; ++t) acc[t] += widen(bias.values[t & (bias.period - 1)]);
      } else {
        for (std::size_t i = 0; i < bias.slots.size(); ++i) acc[bias.slots[i]] += widen(bias.values[i]);
      }
      put(output.out, std::move(acc));
    }
  }

  static std::complex<double> widen(std::complex<float> x) { return {x.real(), x.imag()}; }
  [[nodiscard]] std::uint32_t wrap(std::int64_t rotation) const {
    return static_cast<std::uint32_t>(((rotation % n_) + n_) % n_);
  }

  void mac(Slots& out, const SlotVector& w, const Slots& in, std::int64_t rotation) const {
    const std::uint32_t r = wrap(rotation);
    if (!w.dense()) {
      for (std::size_t i = 0; i < w.slots.size(); ++i) {
        const std::uint32_t t = w.slots[i];
        out[t] += widen(w.values[i]) * in[(t + r) & (n_ - 1)].real();
      }
      return;
    }
    // Lifted registers are real: only their real part takes part.
    for (std::uint32_t t = 0; t < n_; ++t) {
      const auto v = w.values[t & (w.period - 1)];
      const double x = in[(t + r) & (n_ - 1)].real();
      out[t] += std::complex<double>(v.real() * x, v.imag() * x);
    }
  }

  const Program& program_;
  SlotTrace* trace_;
  const Noise* noise_;
  std::uint32_t n_;
  std::vector<Slots> regs_;
  std::vector<std::vector<Register>> dead_after_;
};

}  // namespace

std::vector<double> run_slots(const Program& program, std::span<const float> input, SlotTrace* trace, const Noise* noise) {
  return Interpreter(program, trace, noise).run(input);
}

std::vector<std::vector<std::complex<double>>> pack(const TensorMap& map, std::uint32_t slots, std::span<const float> tensor) {
  std::vector<Slots> out(map.ciphertexts, Slots(slots));
  for (const Place& place : map.places) {
    assert(place.index < tensor.size());
    auto& slot = out[place.ciphertext][place.slot];
    if (place.part == 0) slot.real(tensor[place.index]);
    else slot.imag(tensor[place.index]);
  }
  return out;
}

std::vector<double> unpack(const TensorMap& map, const std::vector<std::vector<std::complex<double>>>& slots) {
  std::vector<double> out(1ULL * map.channels * map.height * map.width);
  for (const Place& place : map.places) {
    const auto& value = slots[place.ciphertext][place.slot];
    out[place.index] = place.part == 0 ? value.real() : value.imag();
  }
  return out;
}

}  // namespace brainlock::plan
