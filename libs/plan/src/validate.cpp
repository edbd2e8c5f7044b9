// The one door for programs that come from outside: after validate() the runtime may trust every index.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <tuple>

#include "brainlock/plan/client_fields.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::plan {
namespace {

// Far above what any covered network needs, far below what would hurt a server.
constexpr std::uint32_t kMaxRegisters = 1U << 20;
constexpr std::size_t kMaxInstructions = 100'000;
constexpr std::size_t kMaxColumns = 1U << 16;
constexpr std::size_t kMaxVectors = 1U << 20;
constexpr std::uint32_t kMaxLimbs = 64;
constexpr std::uint32_t kMaxCiphertexts = 4096;
constexpr std::size_t kMaxNameBytes = 4096;

enum class Form : std::uint8_t { kEmpty, kPacked, kLifted };

struct Slot {
  Form form = Form::kEmpty;
  std::uint32_t limbs = 0;
  double scale = 0;
};

// Terms of a sum may differ by this much in scale: what rounding does to a product of doubles, and far below any noise.
constexpr double kScaleTolerance = 1e-9;

Error bad(std::string message) { return Error{ErrorCode::kMalformed, std::move(message)}; }

bool finite_positive(double x) { return std::isfinite(x) && x > 0; }

// Names end in reports, JSON and terminals: UTF-8 without control characters.
bool good_name(const std::string& name) {
  if (name.size() > kMaxNameBytes) return false;
  for (std::size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 0x6 ? 2 : lead >> 4 == 0xE ? 3 : lead >> 3 == 0x1E ? 4 : 0;
    if (length == 0 || i + length > name.size() || lead < 0x20 || lead == 0x7F) return false;
    std::uint32_t code = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(name[i + k]);
      if (next >> 6 != 0x2) return false;
      code = code << 6 | (next & 0x3FU);
    }
    constexpr std::uint32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kFirst[length] || (length == 2 && code < 0xA0) || (code >> 11) == 0x1B || code > 0x10FFFF) return false;
    i += length;
  }
  return true;
}

Status check_map(const TensorMap& map, const ParameterChoice& parameters, const char* what) {
  const std::string name = what;
  const std::uint32_t slots = parameters.ring_degree / 2;
  const std::uint64_t size = 1ULL * map.channels * map.height * map.width;
  if (map.channels == 0 || map.height == 0 || map.width == 0 || map.channels > (1U << 20) || map.height > (1U << 16) ||
      map.width > (1U << 16) || size > (1U << 24))
    return bad(name + ": shape out of range");
  if (map.ciphertexts == 0 || map.ciphertexts > kMaxCiphertexts) return bad(name + ": ciphertext count out of range");
  if (map.parts != 1 && map.parts != 2) return bad(name + ": parts must be 1 or 2");
  if (!finite_positive(map.scale) || map.scale > 0x1p60) return bad(name + ": scale out of range");
  if (map.limbs == 0 || map.limbs > parameters.q.size()) return bad(name + " limbs out of range");
  if (!std::isfinite(map.bound) || map.bound < 0) return bad(name + ": bound out of range");
  if (map.places.size() > (1U << 24)) return bad(name + ": too many places");
  for (const Place& place : map.places)
    if (place.index >= size || place.ciphertext >= map.ciphertexts || place.slot >= slots || place.part >= map.parts)
      return bad(name + ": a place is out of range");
  return {};
}

Status check_vector(const SlotVector& vector, std::uint32_t slots) {
  if (vector.values.empty()) return bad("empty weight vector");
  if (vector.dense()) {
    if (vector.values.size() != vector.period) return bad("weight vector length differs from its period");
  } else if (vector.slots.size() != vector.values.size() || vector.period != slots) {
    return bad("sparse weight vector does not match its slots");
  }
  if (!std::has_single_bit(vector.period) || vector.period > slots) return bad("weight period is not a power of two");
  for (std::size_t i = 0; i < vector.slots.size(); ++i)
    if (vector.slots[i] >= slots || (i > 0 && vector.slots[i] <= vector.slots[i - 1]))
      return bad("weight slots out of range or not ascending");
  for (const auto& value : vector.values)
    if (!std::isfinite(value.real()) || !std::isfinite(value.imag())) return bad("a weight is not finite");
  if (!vector.rest.empty() && vector.rest.size() != vector.values.size()) return bad("the rest of a weight vector does not match its values");
  for (const auto& value : vector.rest)
    if (!std::isfinite(value.real()) || !std::isfinite(value.imag())) return bad("the rest of a weight is not finite");
  return {};
}

// Registers that a program writes, inputs among them.
std::size_t written_registers(const Program& program) {
  std::size_t count = program.input.ciphertexts;
  for (const Instruction& instruction : program.instructions) {
    if (const auto* split = std::get_if<Split>(&instruction.op)) count += split->out.size();
    else if (const auto* square = std::get_if<Square>(&instruction.op)) count += square->out.size();
    else if (const auto* linear = std::get_if<Linear>(&instruction.op)) count += linear->outputs.size();
    else ++count;
  }
  return count;
}

class Checker {
 public:
  explicit Checker(const Program& program)
      : program_(program), slots_(program.parameters.ring_degree / 2), registers_(program.register_count) {}

  Status run() {
    if (program_.input.ciphertexts > registers_.size()) return bad("fewer registers than inputs");
    for (std::uint32_t i = 0; i < program_.input.ciphertexts; ++i) registers_[i] = {Form::kPacked, program_.input.limbs, program_.input.scale};
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      if (auto status = check(program_.instructions[i]); !status.ok())
        return status.error().in("instruction " + std::to_string(i));
    }
    if (program_.output_registers.size() != program_.output.ciphertexts) return bad("output count differs from its map");
    for (Register r : program_.output_registers)
      if (auto status = expect(r, Form::kPacked, program_.output.limbs); !status.ok()) return status;
    return {};
  }

 private:
  Status expect(Register r, Form form, std::uint32_t limbs) const {
    if (r >= registers_.size()) return bad("register out of range");
    if (registers_[r].form != form) return bad("register " + std::to_string(r) + " does not hold the form expected");
    if (registers_[r].limbs != limbs) return bad("register " + std::to_string(r) + " is at another limb count");
    return {};
  }
  Status define(Register r, Form form, const Instruction& i) {
    if (r >= registers_.size()) return bad("register out of range");
    if (registers_[r].form != Form::kEmpty) return bad("register " + std::to_string(r) + " is written twice");
    registers_[r] = {form, i.limbs_out, i.scale_out};
    return {};
  }
  [[nodiscard]] bool rotation_ok(std::int64_t r) const {
    return r > -static_cast<std::int64_t>(slots_) && r < static_cast<std::int64_t>(slots_);
  }

  Status check(const Instruction& instruction) {
    const bool raises = std::holds_alternative<Raise>(instruction.op);
    if (instruction.limbs_in == 0 || instruction.limbs_out == 0 || instruction.limbs_out > program_.parameters.q.size() ||
        (instruction.limbs_out > instruction.limbs_in) != raises)
      return bad("limb counts out of range");
    if (!finite_positive(instruction.scale_in) || !finite_positive(instruction.scale_out)) return bad("scale out of range");
    if (!good_name(instruction.layer)) return bad("layer name is too long or not printable");
    const bool may_shrink = std::holds_alternative<Linear>(instruction.op) || std::holds_alternative<Drop>(instruction.op);
    if (!may_shrink && !raises && instruction.limbs_in != instruction.limbs_out) return bad("only a linear or a drop leaves fewer limbs");
    return std::visit([&](const auto& op) { return check_op(instruction, op); }, instruction.op);
  }

  Status check_op(const Instruction& i, const Split& op) { return check_unary(i, op.in, op.out); }
  Status check_op(const Instruction& i, const Square& op) {
    if (op.real_part && op.out.size() != 1) return bad("the square of a real part has one output");
    return check_unary(i, op.in, op.out);
  }
  Status check_unary(const Instruction& i, Register in, const std::vector<Register>& out) {
    BRAINLOCK_TRY(expect(in, Form::kPacked, i.limbs_in));
    if (out.empty() || out.size() > 2) return bad("one or two outputs expected");
    for (Register r : out) BRAINLOCK_TRY(define(r, Form::kLifted, i));
    return {};
  }

  Status check_op(const Instruction& i, const Combine& op) {
    if (op.terms.empty() || op.terms.size() > kMaxColumns) return bad("combine needs terms");
    for (const auto& term : op.terms) {
      BRAINLOCK_TRY(expect(term.in, Form::kLifted, i.limbs_in));
      if (!rotation_ok(term.rotation)) return bad("rotation out of range");
    }
    return define(op.out, Form::kLifted, i);
  }

  Status check_op(const Instruction& i, const Drop& op) {
    BRAINLOCK_TRY(expect(op.in, Form::kLifted, i.limbs_in));
    if (i.scale_in != i.scale_out) return bad("a drop keeps its scale");
    return define(op.out, Form::kLifted, i);
  }

  Status check_op(const Instruction& i, const Raise& op) {
    BRAINLOCK_TRY(expect(op.in, Form::kPacked, i.limbs_in));
    if (i.limbs_in != 1) return bad("only one limb can be raised");
    if (!std::isfinite(op.limit) || op.limit < 0) return bad("coefficient limit out of range");
    return define(op.out, Form::kPacked, i);
  }

  Status check_op(const Instruction& i, const Add& op) {
    if (op.terms.size() < 2 || op.terms.size() > kMaxColumns) return bad("add needs two terms or more");
    if (i.scale_in != i.scale_out) return bad("a sum keeps its scale");
    for (Register r : op.terms) {
      BRAINLOCK_TRY(expect(r, Form::kPacked, i.limbs_in));
      if (!(std::fabs(registers_[r].scale / i.scale_in - 1) <= kScaleTolerance)) return bad("the terms of a sum are of different scales");
    }
    return define(op.out, Form::kPacked, i);
  }

  Status check_op(const Instruction& i, const Linear& op) {
    if (op.inputs.empty() || op.columns.empty() || op.outputs.empty()) return bad("linear needs inputs, columns, outputs");
    if (op.columns.size() > kMaxColumns || op.outputs.size() > kMaxCiphertexts || op.vectors.size() > kMaxVectors ||
        op.rotate_sums.size() > 64)
      return bad("linear is larger than the limits");
    for (Register r : op.inputs) BRAINLOCK_TRY(expect(r, Form::kLifted, i.limbs_in));
    for (const auto& column : op.columns)
      if (column.input >= op.inputs.size() || !rotation_ok(column.rotation)) return bad("column out of range");
    for (std::int32_t r : op.rotate_sums)
      if (!rotation_ok(r) || r == 0) return bad("rotation out of range");
    if (!finite_positive(op.weight_scale)) return bad("weight scale out of range");
    if (!good_name(op.name)) return bad("name is too long or not printable");
    if (!std::isfinite(op.limit) || op.limit < 0) return bad("value limit out of range");
    for (const auto& vector : op.vectors) {
      BRAINLOCK_TRY(check_vector(vector, slots_));
      if (vector.period != op.period) return bad("weight vectors of one linear must share its period");
    }
    BRAINLOCK_TRY(check_masks(op));
    for (const auto& output : op.outputs) {
      if (output.giants == 0 || output.giants > slots_ || output.columns.empty() ||
          output.weights.size() != std::uint64_t{output.columns.size()} * output.giants)
        return bad("weight table does not match columns and giants");
      for (std::uint32_t c : output.columns)
        if (c >= op.columns.size()) return bad("column index out of range");
      bool any = false;
      for (std::int32_t w : output.weights) {
        if (w < -1 || w >= static_cast<std::int64_t>(op.vectors.size())) return bad("weight index out of range");
        any |= w >= 0;
      }
      if (!any) return bad("an output has no weights");
      const SlotVector& bias = output.bias;
      if (!bias.values.empty() || !bias.slots.empty() || !bias.rest.empty()) BRAINLOCK_TRY(check_vector(bias, slots_));
      BRAINLOCK_TRY(define(output.out, Form::kPacked, i));
    }
    return check_giants(op);
  }

  Status check_giants(const Linear& op) const {
    if (!rotation_ok(op.giant_step)) return bad("giant step out of range");
    if (op.giant_fan == 0) return {};
    const bool groups = std::any_of(op.outputs.begin(), op.outputs.end(), [&](const Linear::Output& o) { return o.giants > op.giant_fan; });
    if (op.giant_fan < 2 || !groups || op.giant_step == 0) return bad("giant fan out of range");
    const std::vector<std::int64_t> rotations = giant_rotations(op);
    if (!std::all_of(rotations.begin(), rotations.end(), [&](std::int64_t r) { return rotation_ok(r); })) return bad("a giant step's rounds turn too far");
    return {};
  }

  Status check_masks(const Linear& op) const {
    if (op.masks.empty()) return op.mask_scale == 0 ? Status() : bad("a mask scale without masks");
    if (op.masks.size() != op.outputs.size()) return bad("masks and outputs differ in number");
    if (!finite_positive(op.mask_scale)) return bad("mask scale out of range");
    for (const SlotVector& mask : op.masks) BRAINLOCK_TRY(check_vector(mask, slots_));
    return {};
  }

  const Program& program_;
  std::uint32_t slots_;
  std::vector<Slot> registers_;
};

/// What a Program and the ClientFields of one have alike.
template <typename T>
Status check_client_fields(const T& x) {
  const ParameterChoice& p = x.parameters;
  if (!std::has_single_bit(p.ring_degree) || p.ring_degree < 16 || p.ring_degree > (1U << 17))
    return bad("ring degree must be a power of two in 2^4..2^17, got " + std::to_string(p.ring_degree));
  if (!good_name(x.model_name) || !good_name(x.profile)) return bad("model or profile name is too long or not printable");
  if (p.q.empty() || p.q.size() > kMaxLimbs || p.p.empty() || p.p.size() > kMaxLimbs || p.digit_limbs == 0 ||
      p.digit_limbs > kMaxLimbs)
    return bad("modulus chain out of range");
  BRAINLOCK_TRY(check_map(x.input, p, "input"));
  BRAINLOCK_TRY(check_map(x.output, p, "output"));
  if (!std::isfinite(x.error_bound) || x.error_bound < 0) return bad("error bound out of range");
  if (!std::isfinite(x.error_estimate) || x.error_estimate < 0) return bad("error estimate out of range");
  return {};
}

/// Ascending and without two alike, so that there are no more of them than a ring has rotations.
Status check_keys(const std::vector<KeyUse>& keys, const ParameterChoice& parameters) {
  const std::int64_t slots = parameters.ring_degree / 2;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const KeyUse& key = keys[i];
    if (key.kind > KeyUse::Kind::kRelinearisation) return bad("a key of unknown kind");
    const bool rotates = key.rotation != 0 && key.rotation > -slots && key.rotation < slots;
    if (key.kind == KeyUse::Kind::kRotation ? !rotates : key.rotation != 0) return bad("a key's rotation is out of range");
    if (key.limbs == 0 || key.limbs > parameters.q.size()) return bad("a key's limbs are out of range");
    if (i > 0 && std::tie(key.kind, key.rotation) <= std::tie(keys[i - 1].kind, keys[i - 1].rotation)) return bad("the keys are not in ascending order");
  }
  return {};
}

}  // namespace

ClientFields client_fields(const Program& program) {
  return {program.model_name, program.profile, program.parameters, program.input, program.output, program.keys, program.error_bound, program.error_estimate};
}

Status validate(const ClientFields& client) {
  BRAINLOCK_TRY(check_client_fields(client));
  return check_keys(client.keys, client.parameters);
}

Status validate(const Program& program) {
  if (program.register_count > kMaxRegisters || program.instructions.size() > kMaxInstructions)
    return bad("program is larger than the limits");
  BRAINLOCK_TRY(check_client_fields(program));
  // The count sizes tables here and wherever the program runs: it may not promise more than there is.
  if (program.register_count > written_registers(program)) return bad("more registers than are written");
  BRAINLOCK_TRY(Checker(program).run());
  if (program.keys != collect_keys(program)) return bad("the key manifest does not match the instructions");
  return {};
}

}  // namespace brainlock::plan
