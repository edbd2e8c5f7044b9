#include "machine_limits.hpp"

#include <algorithm>
#include <cmath>

#include "levels.hpp"

namespace brainlock::compiler {
namespace {

constexpr double kMostCoefficient = 0x1p62;   // that ckks::Encoder takes

}  // namespace

double largest_slot(const plan::SlotVector& vector) {
  double square = 0;
  for (const std::complex<float>& value : vector.values) square = std::max(square, std::norm(std::complex<double>(value)));
  return std::sqrt(square);
}

double largest_slot(const std::vector<plan::SlotVector>& vectors) {
  double largest = 0;
  for (const plan::SlotVector& vector : vectors) largest = std::max(largest, largest_slot(vector));
  return largest;
}

double plan_bytes(const plan::Program& program) {
  double bytes = 0;
  const auto add = [&](const plan::SlotVector& vector) {
    bytes += static_cast<double>(sizeof(std::complex<float>) * (vector.values.size() + vector.rest.size()) + sizeof(std::uint32_t) * vector.slots.size());
  };
  for (const plan::Instruction& instruction : program.instructions) {
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    std::for_each(linear->vectors.begin(), linear->vectors.end(), add);
    std::for_each(linear->masks.begin(), linear->masks.end(), add);
    for (const auto& output : linear->outputs) add(output.bias);
  }
  return bytes;
}

std::vector<LargestConstants> largest_constants(const plan::Program& program) {
  std::vector<LargestConstants> out(program.instructions.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto* linear = std::get_if<plan::Linear>(&program.instructions[i].op);
    if (linear == nullptr) continue;
    out[i].weight = largest_slot(linear->vectors);
    out[i].mask = largest_slot(linear->masks);
    for (const auto& output : linear->outputs) out[i].bias = std::max(out[i].bias, largest_slot(output.bias));
  }
  return out;
}

bool constants_fit(const plan::Program& program, const std::vector<LargestConstants>& largest) {
  const auto most = [&](std::uint32_t limbs) {
    double product = 0.5;
    for (std::uint32_t i = 0; i < limbs; ++i) product *= program.parameters.q[i];
    return std::min(product, kMostCoefficient);
  };
  for (std::size_t i = 0; i < largest.size(); ++i) {
    const plan::Instruction& instruction = program.instructions[i];
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    if (largest[i].weight * linear->weight_scale >= most(instruction.limbs_in) ||
        largest[i].mask * linear->mask_scale >= most(instruction.limbs_in) ||
        largest[i].bias * instruction.scale_out >= most(instruction.limbs_out)) return false;
  }
  return true;
}

bool rescales_fit(const plan::Program& program) {
  return std::all_of(program.instructions.begin(), program.instructions.end(), [&](const plan::Instruction& i) {
    return !std::holds_alternative<plan::Linear>(i.op) || program.parameters.p.size() + i.limbs_in - i.limbs_out <= kMostDropped;
  });
}

}  // namespace brainlock::compiler
