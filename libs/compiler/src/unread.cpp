#include "unread.hpp"

namespace brainlock::compiler {
namespace {

/// Calls f(slot) for each weight that is not zero.
template <class F>
void for_weights(const plan::SlotVector& vector, const F& f) {
  for (std::size_t i = 0; i < vector.values.size(); ++i)
    if (vector.values[i] != std::complex<float>()) f(vector.dense() ? static_cast<std::uint32_t>(i) : vector.slots[i]);
}

}  // namespace

UnreadEnergy::UnreadEnergy(const plan::Program& program) {
  const std::uint32_t slots = program.parameters.ring_degree / 2;
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const auto* linear = std::get_if<plan::Linear>(&program.instructions[i].op);
    if (linear == nullptr || linear->period < slots) continue;
    for (const plan::Linear::Output& output : linear->outputs)
      for (std::size_t k = 0; k < output.columns.size(); ++k) {
        const plan::Linear::Column& column = linear->columns[output.columns[k]];
        Reading& reading = readings_[{linear->inputs[column.input], i}];
        reading.read.resize(slots);
        reading.columns += 1;
        const auto shift = static_cast<std::uint32_t>((column.rotation % static_cast<std::int64_t>(slots) + slots) % slots);
        for (std::uint32_t g = 0; g < output.giants; ++g) {
          const std::int32_t w = output.weights[k * output.giants + g];
          if (w >= 0) for_weights(linear->vectors[static_cast<std::size_t>(w)], [&](std::uint32_t t) { reading.read[(t + shift) & (slots - 1)] = 1; });
        }
      }
  }
}

void UnreadEnergy::see(plan::Register r, std::span<const double> slots) {
  for (auto it = readings_.lower_bound({r, 0}); it != readings_.end() && it->first.first == r; ++it) {
    const Reading& reading = it->second;
    Energy& energy = energies_[it->first.second];
    for (std::size_t t = 0; t < slots.size(); ++t) {
      const double square = reading.columns * slots[t] * slots[t];
      energy.all += square;
      if (reading.read[t] == 0) energy.unread += square;
    }
  }
}

double UnreadEnergy::share(std::size_t linear) const {
  const auto it = energies_.find(linear);
  return it == energies_.end() || it->second.all <= 0 ? 0 : it->second.unread / it->second.all;
}

}  // namespace brainlock::compiler
