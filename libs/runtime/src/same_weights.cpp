#include "same_weights.hpp"

#include <algorithm>
#include <bit>
#include <complex>
#include <cstdint>
#include <unordered_map>

namespace brainlock::runtime {
namespace {

bool same(const plan::SlotVector& a, const plan::SlotVector& b) {
  return a.period == b.period && a.slots == b.slots && a.values == b.values && a.rest == b.rest;
}

bool same(const std::vector<plan::SlotVector>& a, const std::vector<plan::SlotVector>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return same(x, y); });
}

bool same(const plan::Linear& a, const plan::Linear& b) {
  if (a.weight_scale != b.weight_scale || a.mask_scale != b.mask_scale || a.period != b.period) return false;
  const bool tables = std::equal(a.outputs.begin(), a.outputs.end(), b.outputs.begin(), b.outputs.end(),
                                 [](const auto& x, const auto& y) {
                                   return x.columns == y.columns && x.giants == y.giants && x.weights == y.weights;
                                 });
  return tables && same(a.masks, b.masks) && same(a.vectors, b.vectors);
}

// Of all bytes of all weights: whoever gives us a plan may make two alike, and then they are simply not shared.
class Fingerprint {
 public:
  void add(std::uint64_t word) {
    value_ = (value_ ^ word) * 0x9E3779B97F4A7C15ULL;
    value_ ^= value_ >> 29;
  }
  void add(double number) { add(std::bit_cast<std::uint64_t>(number)); }
  void add(const std::vector<std::complex<float>>& numbers) {
    add(numbers.size());
    for (const auto& z : numbers)
      add(std::uint64_t{std::bit_cast<std::uint32_t>(z.real())} << 32 | std::bit_cast<std::uint32_t>(z.imag()));
  }
  void add(const plan::SlotVector& vector) {
    add(std::uint64_t{vector.period});
    add(vector.values);
    add(vector.rest);
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

std::uint64_t fingerprint(const plan::Linear& linear, std::uint32_t limbs) {
  Fingerprint print;
  print.add(std::uint64_t{limbs});
  print.add(linear.weight_scale);
  print.add(linear.mask_scale);
  for (const auto& vector : linear.vectors) print.add(vector);
  for (const auto& mask : linear.masks) print.add(mask);
  for (const auto& output : linear.outputs)
    for (const std::int32_t weight : output.weights) print.add(static_cast<std::uint64_t>(weight));
  return print.value();
}

}  // namespace

std::vector<std::size_t> find_same_weights(const plan::Program& program) {
  std::vector<std::size_t> out(program.instructions.size());
  std::unordered_map<std::uint64_t, std::size_t> first;  // by fingerprint
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = i;
    const plan::Instruction& instruction = program.instructions[i];
    const auto* linear = std::get_if<plan::Linear>(&instruction.op);
    if (linear == nullptr) continue;
    const auto [it, is_new] = first.try_emplace(fingerprint(*linear, instruction.limbs_in), i);
    const plan::Instruction& earlier = program.instructions[it->second];
    if (!is_new && earlier.limbs_in == instruction.limbs_in && same(*linear, std::get<plan::Linear>(earlier.op)))
      out[i] = it->second;
  }
  return out;
}

}  // namespace brainlock::runtime
