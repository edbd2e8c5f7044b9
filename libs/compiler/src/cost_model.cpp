#include "cost_model.hpp"

#include <cmath>

namespace brainlock::compiler {
namespace {

// One core of a 3.4 GHz Zen 3 with AVX2; ratios between them matter more than their absolute size.
constexpr double kNttNsPerButterfly = 0.21;
constexpr double kMacNsPerWord = 0.048;
constexpr double kHoistNsPerWordDigit = 0.45;   // two inner products, streamed key, one reduction shared by the digits
constexpr double kPassNsPerWord = 0.6;          // element-wise work around a key switch

}  // namespace

double predict_ms(const plan::Program& program, const plan::Instruction& instruction) {
  const plan::Cost cost = plan::count_cost(program, instruction);
  const double n = program.parameters.ring_degree, k = static_cast<double>(program.parameters.p.size());
  const double limbs = instruction.limbs_in, digits = std::ceil(limbs / program.parameters.digit_limbs);
  const double ntt = static_cast<double>(cost.ntts) * n / 2 * std::log2(n) * kNttNsPerButterfly;
  const double mac = static_cast<double>(cost.word_macs) * kMacNsPerWord;
  const double inner = static_cast<double>(cost.hoisted_rotations + cost.key_switches) * (limbs + k) * n *
                       (digits * kHoistNsPerWordDigit + 0.3);
  const double passes = static_cast<double>(cost.key_switches + 2 * cost.squarings) * (limbs + k) * n * digits * kPassNsPerWord;
  double copies = 0;   // words of what branches cost besides their own layers
  if (const auto* add = std::get_if<plan::Add>(&instruction.op)) copies = 2.0 * limbs * n * static_cast<double>(add->terms.size() - 1);
  if (std::holds_alternative<plan::Drop>(instruction.op)) copies = 2 * (instruction.limbs_out + k) * n;
  return (ntt + mac + inner + passes + copies * kPassNsPerWord) * 1e-6;
}

double predict_ms(const plan::Program& program) {
  double total = 0;
  for (const auto& instruction : program.instructions) total += predict_ms(program, instruction);
  return total;
}

double predict_key_bytes(const plan::Program& program) {
  double words = 0;
  const double k = static_cast<double>(program.parameters.p.size());
  for (const plan::KeyUse& key : program.keys)
    words += std::ceil(key.limbs / static_cast<double>(program.parameters.digit_limbs)) * (key.limbs + k) * program.parameters.ring_degree;
  return words * 30 / 8;
}

}  // namespace brainlock::compiler
