// The peak of device memory, by walking through the program as the executor does.
#include <algorithm>

#include "batches.hpp"
#include "loaded_program_impl.hpp"
#include "same_weights.hpp"

namespace brainlock::runtime {
namespace {

class Walk {
 public:
  explicit Walk(const plan::Program& program)
      : program_(program), lifetimes_(find_lifetimes(program)), value_(program.register_count), digits_(program.register_count) {}

  std::uint64_t peak() {
    for (std::uint32_t r = 0; r < program_.input.ciphertexts; ++r) define(r, program_.input.limbs, false);
    for (std::size_t begin = 0; begin < program_.instructions.size();) {
      const std::size_t end = batch_end(program_, begin);
      for (std::size_t i = begin; i < end; ++i) {
        const plan::Instruction& instruction = program_.instructions[i];
        std::visit([&](const auto& op) { step(i, instruction, op); }, instruction.op);
      }
      forget(end - 1);
      begin = end;
    }
    return peak_;
  }

 private:
  std::uint64_t poly(std::uint32_t limbs, bool lifted) const {
    return std::uint64_t{limbs + (lifted ? static_cast<std::uint32_t>(program_.parameters.p.size()) : 0)} *
           program_.parameters.ring_degree * sizeof(std::uint32_t);
  }
  std::uint64_t digit_bytes(std::uint32_t limbs) const {
    const std::uint32_t alpha = program_.parameters.digit_limbs;
    return ((limbs + alpha - 1) / alpha + 1) * poly(limbs, true);  // and c0 beside them
  }
  void define(plan::Register r, std::uint32_t limbs, bool lifted) { set(value_[r], 2 * poly(limbs, lifted)); }
  void set(std::uint64_t& slot, std::uint64_t bytes) {
    live_ += bytes - slot;
    slot = bytes;
    transient(0);
  }
  void transient(std::uint64_t bytes) { peak_ = std::max(peak_, live_ + bytes); }
  void forget(std::size_t i) {
    for (std::size_t r = 0; r < value_.size(); ++r) {
      if (lifetimes_.value[r] <= i) set(value_[r], 0);
      if (lifetimes_.digits[r] <= i) set(digits_[r], 0);
    }
  }
  void hoist(plan::Register r, std::uint32_t limbs) {
    set(digits_[r], digit_bytes(limbs));
    transient(poly(limbs, true));  // coefficients while decomposing
  }

  void step(std::size_t, const plan::Instruction& i, const plan::Split& op) {
    transient(3 * poly(i.limbs_in, true));
    for (const plan::Register r : op.out) define(r, i.limbs_in, true);
  }
  void step(std::size_t, const plan::Instruction& i, const plan::Square& op) {
    for (const plan::Register r : op.out) define(r, i.limbs_in, true);
    transient(op.out.size() * 2 * poly(i.limbs_in, true) + 2 * poly(i.limbs_in, false));
  }
  void step(std::size_t, const plan::Instruction& i, const plan::Combine& op) {
    for (const auto& term : op.terms) {
      if (term.rotation != 0) hoist(term.in, i.limbs_in);
    }
    define(op.out, i.limbs_in, true);
  }
  void step(std::size_t, const plan::Instruction& i, const plan::Drop& op) { define(op.out, i.limbs_out, true); }
  void step(std::size_t, const plan::Instruction& i, const plan::Raise& op) {
    define(op.out, i.limbs_out, false);
    transient(2 * poly(1, false));
  }
  void step(std::size_t, const plan::Instruction& i, const plan::Add& op) { define(op.out, i.limbs_out, false); }
  void step(std::size_t index, const plan::Instruction& i, const plan::Linear& op) {
    for (const auto& column : op.columns) {
      if (column.rotation != 0) hoist(op.inputs[column.input], i.limbs_in);
    }
    std::uint64_t accumulators = 0, rotated = 0;   // those that the first giant steps rotate at a time
    for (const auto& output : op.outputs) {
      accumulators += output.giants * 2 * poly(i.limbs_in, true);
      rotated += op.giant_fan == 0 ? 1 : output.giants / op.giant_fan;
    }
    transient(accumulators);
    forget(index);
    // Coefficients of accumulators that are rotated.
    transient(accumulators + std::max<std::uint64_t>(rotated, op.outputs.size()) * poly(i.limbs_in, true));
    for (const auto& output : op.outputs) define(output.out, i.limbs_out, false);
  }

  const plan::Program& program_;
  Lifetimes lifetimes_;
  std::vector<std::uint64_t> value_, digits_;
  std::uint64_t live_ = 0, peak_ = 0;
};

}  // namespace

MemoryForecast forecast_memory(const plan::Program& program) {
  MemoryForecast out;
  const std::uint64_t special = program.parameters.p.size(), alpha = program.parameters.digit_limbs;
  const std::uint64_t degree = program.parameters.ring_degree;
  for (const ckks::KeyRequest& request : key_requests(program)) {
    out.keys += (request.limbs + alpha - 1) / alpha * (request.limbs + special) * 2 * degree * sizeof(std::uint32_t);
  }
  const std::vector<std::size_t> same = find_same_weights(program);
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const plan::Instruction& instruction = program.instructions[i];
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    for (const auto& output : linear->outputs)
      if (!output.bias.values.empty()) out.weights += instruction.limbs_out * degree * sizeof(std::uint32_t);
    if (same[i] != i) continue;   // they are there already
    const std::uint64_t rows = instruction.limbs_in + special;
    const std::uint64_t runs = 2 * std::uint64_t{linear->period};
    const bool full = degree / runs < 8;
    if (full) out.weights += linear->vectors.size() * rows * runs * sizeof(std::uint32_t);
    out.weights += linear->masks.size() * rows * degree * sizeof(std::uint32_t);
    for (const auto& output : linear->outputs)
      if (!full) out.weights += rows * runs * output.columns.size() * output.giants * sizeof(std::uint32_t);
  }
  out.working = Walk(program).peak();
  return out;
}

std::uint64_t forecast_memory_bytes(const plan::Program& program) { return forecast_memory(program).total(); }

}  // namespace brainlock::runtime
