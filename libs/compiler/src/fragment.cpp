#include "fragment.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "register_uses.hpp"

namespace brainlock::compiler {

using plan::Register;

Fragment::Fragment(std::uint32_t ring_degree, std::uint32_t register_count, std::vector<plan::Instruction> instructions)
    : program_(std::make_unique<plan::Program>()) {
  std::set<Register> packed, lifted, written;
  const auto write = [&](Register r) { written.insert(r); };
  for (const plan::Instruction& instruction : instructions) {
    const auto read_into = [&](std::set<Register>& reads) {
      return [&](Register r) {
        if (!written.contains(r)) reads.insert(r);
      };
    };
    for_reads(instruction, read_into(packed), read_into(lifted));
    for_writes(instruction, write, write);
  }
  packed_.assign(packed.begin(), packed.end());
  lifted_.assign(lifted.begin(), lifted.end());
  program_->parameters.ring_degree = ring_degree;
  program_->register_count = own(register_count);
  program_->input.ciphertexts = carriers();
  // A split of a real value makes that value, as it is.
  for (std::uint32_t i = 0; i < lifted_.size(); ++i)
    program_->instructions.emplace_back().op =
        plan::Split{static_cast<Register>(packed_.size() + i), {own(lifted_[i])}};
  for (plan::Instruction& instruction : instructions) add_instruction(std::move(instruction));
  interpreter_ = std::make_unique<plan::SlotInterpreter>(*program_);
}

void Fragment::add_instruction(plan::Instruction instruction) {
  const auto rename = [&](Register& r) { r = own(r); };
  const auto rename_packed = [&](Register& r) {
    const auto outside = std::lower_bound(packed_.begin(), packed_.end(), r);
    const bool carried = outside != packed_.end() && *outside == r;
    r = carried ? static_cast<Register>(outside - packed_.begin()) : own(r);
  };
  for_reads(instruction, rename_packed, rename);
  for_writes(instruction, rename, rename);
  program_->instructions.push_back(std::move(instruction));
}

void Fragment::run(const RegisterValues& values, const Watch& watch, unsigned threads) const {
  plan::Noise noise;
  std::size_t next = 0;
  noise.input = [&](std::span<std::complex<double>> slots) {
    const std::size_t i = next++;
    if (i < packed_.size()) {
      const auto& from = values.packed.at(packed_[i]);
      std::copy(from.begin(), from.end(), slots.begin());
    } else {
      const auto& from = values.lifted.at(lifted_[i - packed_.size()]);
      std::copy(from.begin(), from.end(), slots.begin());
    }
  };
  if (watch.made) {
    noise.after_linear = [&](const plan::Instruction&, const plan::Linear::Output& output,
                             std::span<std::complex<double>> slots) { watch.made(output.out - carriers(), slots); };
  }
  const bool traced = watch.packed || watch.lifted || watch.statistics != nullptr;
  plan::SlotTrace trace;
  // What is only carried in has been seen where it was written.
  if (watch.packed) {
    trace.packed = [&](Register r, std::span<const std::complex<double>> slots) {
      if (r >= carriers()) watch.packed(r - carriers(), slots);
    };
  }
  if (watch.lifted) {
    trace.lifted = [&](Register r, std::span<const double> slots) {
      const Register outer = r - carriers();
      if (!std::binary_search(lifted_.begin(), lifted_.end(), outer)) watch.lifted(outer, slots);
    };
  }
  (void)interpreter_->run({}, traced ? &trace : nullptr, &noise, threads);
  if (watch.statistics == nullptr) return;
  for (const plan::Instruction& instruction : program_->instructions) {
    const auto take = [&](Register r) {
      watch.statistics->largest[r - carriers()] = trace.largest[r];
      watch.statistics->mean_square[r - carriers()] = trace.mean_square[r];
    };
    for_writes(instruction, take, take);
  }
}

void Fragment::swap_weights(plan::Linear& linear) {
  auto& own = std::get<plan::Linear>(program_->instructions.back().op);
  own.vectors.swap(linear.vectors);
  own.masks.swap(linear.masks);
}

}  // namespace brainlock::compiler
