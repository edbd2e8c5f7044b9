#include "brainlock/plan/program.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace brainlock::plan {
namespace {

void use(std::map<std::pair<KeyUse::Kind, std::int32_t>, std::uint32_t>& keys, KeyUse::Kind kind, std::int32_t rotation,
         std::uint32_t limbs) {
  if (kind == KeyUse::Kind::kRotation && rotation == 0) return;
  auto& entry = keys[{kind, rotation}];
  entry = std::max(entry, limbs);
}

/// Calls round(how many sums of the output with the most are made one of at a time) for each round of giant steps.
template <typename Round>
void for_each_round(const Linear& linear, Round&& round) {
  std::uint64_t sums = 0;
  for (const auto& output : linear.outputs) sums = std::max<std::uint64_t>(sums, output.giants);
  const std::uint64_t fan = linear.giant_fan < 2 ? sums : linear.giant_fan;
  for (; sums > 1; sums = (sums + fan - 1) / fan) round(std::min(sums, fan));
}

}  // namespace

std::vector<std::complex<double>> SlotVector::expanded() const {
  std::vector<std::complex<double>> out(values.empty() ? 0 : period);
  for (std::size_t i = 0; i < values.size(); ++i) out[dense() ? i : slots[i]] = values[i];
  for (std::size_t i = 0; i < rest.size(); ++i) out[dense() ? i : slots[i]] += std::complex<double>(rest[i]);
  return out;
}

SlotVector SlotVector::precise(std::span<const std::complex<double>> values) {
  SlotVector out{static_cast<std::uint32_t>(values.size()), {}, {}, {}};
  const auto narrow = [](std::complex<double> v) { return std::complex<float>(static_cast<float>(v.real()), static_cast<float>(v.imag())); };
  for (const std::complex<double>& value : values) {
    out.values.push_back(narrow(value));
    out.rest.push_back(narrow(value - std::complex<double>(out.values.back())));
  }
  return out;
}

std::vector<std::int64_t> giant_rotations(const Linear& linear) {
  std::vector<std::int64_t> out;
  for_each_round(linear, [&](std::uint64_t) { out.push_back(out.empty() ? linear.giant_step : out.back() * linear.giant_fan); });
  return out;
}

std::uint64_t giant_depth(const Linear& linear) {
  std::uint64_t depth = 0;
  for_each_round(linear, [&](std::uint64_t sums) { depth += sums - 1; });
  return depth;
}

std::vector<KeyUse> collect_keys(const Program& program) {
  std::map<std::pair<KeyUse::Kind, std::int32_t>, std::uint32_t> keys;
  for (const Instruction& instruction : program.instructions) {
    const std::uint32_t limbs = instruction.limbs_in;
    if (const auto* split = std::get_if<Split>(&instruction.op)) {
      if (split->out.size() == 2) use(keys, KeyUse::Kind::kConjugation, 0, limbs);
    } else if (const auto* square = std::get_if<Square>(&instruction.op)) {
      if (square->conjugates()) use(keys, KeyUse::Kind::kConjugation, 0, limbs);
      use(keys, KeyUse::Kind::kRelinearisation, 0, limbs);
    } else if (const auto* combine = std::get_if<Combine>(&instruction.op)) {
      for (const auto& term : combine->terms) use(keys, KeyUse::Kind::kRotation, term.rotation, limbs);
    } else if (const auto* found = std::get_if<Linear>(&instruction.op)) {
      const Linear& linear = *found;
      for (const auto& column : linear.columns) use(keys, KeyUse::Kind::kRotation, column.rotation, limbs);
      for (const std::int64_t rotation : giant_rotations(linear)) use(keys, KeyUse::Kind::kRotation, static_cast<std::int32_t>(rotation), limbs);
      for (std::int32_t rotation : linear.rotate_sums) use(keys, KeyUse::Kind::kRotation, rotation, limbs);
    }
  }
  std::vector<KeyUse> result;
  for (const auto& [key, limbs] : keys) result.push_back({key.first, key.second, limbs});
  return result;
}

Cost count_cost(const Program& program, const Instruction& instruction) {
  const std::uint64_t n = program.parameters.ring_degree;
  const std::uint64_t k = program.parameters.p.size();
  const std::uint64_t alpha = program.parameters.digit_limbs;
  const std::uint64_t limbs = instruction.limbs_in;
  const std::uint64_t digits = (limbs + alpha - 1) / alpha;
  const std::uint64_t raise_packed = limbs + digits * (limbs + k) - limbs;       // inverse NTTs, then all new limbs
  const std::uint64_t raise_lifted = (limbs + k) + digits * (limbs + k);
  const auto lower = [&](std::uint64_t out) { return 2 * ((limbs + k - out) + out); };

  Cost cost;
  if (const auto* split = std::get_if<Split>(&instruction.op)) {
    if (split->out.size() == 2) {
      cost.key_switches = 1;
      cost.ntts = raise_packed;
    }
  } else if (const auto* square = std::get_if<Square>(&instruction.op)) {
    const std::uint64_t outs = square->out.size();
    cost.squarings = outs;
    cost.key_switches = outs + (square->conjugates() ? 1 : 0);
    cost.ntts = outs * raise_packed + (square->conjugates() ? raise_packed + lower(limbs) : 0);
  } else if (std::holds_alternative<Raise>(instruction.op)) {
    cost.ntts = 2ULL * instruction.limbs_out;
  } else if (const auto* combine = std::get_if<Combine>(&instruction.op)) {
    std::set<Register> rotated;
    for (const auto& term : combine->terms) {
      if (term.rotation == 0) continue;
      ++cost.key_switches;
      rotated.insert(term.in);
    }
    cost.ntts = rotated.size() * raise_lifted;
  } else if (const auto* found = std::get_if<Linear>(&instruction.op)) {
    const Linear& linear = *found;
    std::set<std::uint32_t> hoisted;
    for (const auto& column : linear.columns) {
      if (column.rotation == 0) continue;
      ++cost.hoisted_rotations;
      hoisted.insert(column.input);
    }
    cost.ntts = hoisted.size() * raise_lifted;
    for (const auto& output : linear.outputs) {
      for (std::int32_t w : output.weights) cost.plaintext_macs += w >= 0 ? 1 : 0;
      const std::uint64_t full = (output.giants > 0 ? output.giants - 1 : 0) + linear.rotate_sums.size();
      cost.key_switches += full;
      cost.ntts += full * raise_lifted + lower(instruction.limbs_out);
    }
    const std::uint64_t masks = linear.masks.size();
    cost.plaintext_macs += masks;
    cost.word_macs = cost.plaintext_macs * 2 * (limbs + k) * n;
    const std::uint64_t words = linear.period == n / 2 ? n : 2ULL * linear.period;
    cost.weight_bytes = (linear.vectors.size() * words + masks * n) * (limbs + k) * 4;
  }
  return cost;
}

}  // namespace brainlock::plan
