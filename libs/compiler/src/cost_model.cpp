#include "cost_model.hpp"

#include <cmath>

namespace brainlock::compiler {
namespace {

// Fitted to the layers of three VGG9 packages (precise; fast with 16 and with 32 baby steps), one thread of a 3.2 GHz Zen 3 with AVX2: the
// sums are within 2 %. What comes with every transform (base conversion, copies, first touches of memory) is in the transforms' figure,
// which is more than twice that of the bare kernel (docs/kernels.md).
constexpr double kNttNsPerButterfly = 0.50;
constexpr double kMacNsPerWord = 0.055;
constexpr double kInnerNsPerWordDigit = 0.30;    // two inner products
constexpr double kInnerNsPerWord = 2.0;          // their reductions, and what is read and written once, whatever the digits
constexpr double kSwitchNsPerWordDigit = 1.1;    // besides, where the digits are made for one rotation alone
constexpr double kSquareNsPerWordDigit = 0.5;
constexpr double kWeightNsPerByte = 0.3;         // from memory
constexpr double kCopyNsPerWord = 0.6;
// A megabyte of evaluation keys is worth this many milliseconds of one core.
constexpr double kMsPerKeyMegabyte = 0.15;

}  // namespace

double predict_ms(const plan::Program& program, const plan::Instruction& instruction) {
  const plan::Cost cost = plan::count_cost(program, instruction);
  const double n = program.parameters.ring_degree, k = static_cast<double>(program.parameters.p.size());
  const double limbs = instruction.limbs_in, digits = std::ceil(limbs / program.parameters.digit_limbs);
  const double ntt = static_cast<double>(cost.ntts) * n / 2 * std::log2(n) * kNttNsPerButterfly;
  const double mac = static_cast<double>(cost.word_macs) * kMacNsPerWord;
  const double inner = static_cast<double>(cost.hoisted_rotations + cost.key_switches) * (limbs + k) * n *
                       (digits * kInnerNsPerWordDigit + kInnerNsPerWord);
  const double switches = static_cast<double>(cost.key_switches) * (limbs + k) * n * digits * kSwitchNsPerWordDigit;
  const double squares = static_cast<double>(cost.squarings) * (limbs + k) * n * digits * kSquareNsPerWordDigit;
  const double weights = static_cast<double>(cost.weight_bytes) * kWeightNsPerByte;
  double copies = 0;   // words of what branches cost besides their own layers
  if (const auto* add = std::get_if<plan::Add>(&instruction.op)) copies = 2.0 * limbs * n * static_cast<double>(add->terms.size() - 1);
  if (std::holds_alternative<plan::Drop>(instruction.op)) copies = 2 * (instruction.limbs_out + k) * n;
  return (ntt + mac + inner + switches + squares + weights + copies * kCopyNsPerWord) * 1e-6;
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

std::uint64_t weight_bytes_of(const plan::Program& program) {
  std::uint64_t bytes = 0;
  for (const plan::Instruction& instruction : program.instructions) bytes += plan::count_cost(program, instruction).weight_bytes;
  return bytes;
}

double key_value_of(const plan::Program& program) { return kMsPerKeyMegabyte * predict_key_bytes(program) * 1e-6; }

double value_of(const plan::Program& program) { return predict_ms(program) + key_value_of(program); }

}  // namespace brainlock::compiler
