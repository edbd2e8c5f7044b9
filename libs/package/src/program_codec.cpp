#include "brainlock/package/program_codec.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "fields.hpp"

namespace brainlock::package {

// Not in an unnamed namespace: reader and writer find fields() by their own.
namespace codec {

BRAINLOCK_FIELDS(plan::SlotVector, a(x.period); a(x.slots); a(x.values);)
BRAINLOCK_FIELDS(plan::Combine::Term, a(x.in); a(x.rotation);)
BRAINLOCK_FIELDS(plan::Linear::Column, a(x.input); a(x.rotation);)
BRAINLOCK_FIELDS(plan::Linear::Output, a(x.out); a(x.columns); a(x.giants); a(x.weights); fields(a, x.bias);)
BRAINLOCK_FIELDS(plan::Split, a(x.in); a(x.out);)
BRAINLOCK_FIELDS(plan::Square, a(x.in); a(x.out);)
BRAINLOCK_FIELDS(plan::Combine, a(x.terms); a(x.out);)
BRAINLOCK_FIELDS(plan::Linear, a(x.name); a(x.inputs); a(x.columns); a(x.giant_step); a(x.outputs); a(x.rotate_sums);
                 a(x.vectors); a(x.period); a(x.weight_scale); a(x.limit);)
BRAINLOCK_FIELDS(plan::Drop, a(x.in); a(x.out);)
BRAINLOCK_FIELDS(plan::Add, a(x.terms); a(x.out);)
BRAINLOCK_FIELDS(plan::Raise, a(x.in); a(x.out); a(x.limit);)

template <typename A, typename I>
void common_fields(A& a, I& x) {
  a(x.layer);
  a(x.limbs_in);
  a(x.limbs_out);
  a(x.scale_in);
  a(x.scale_out);
}

// A Linear with masks has a kind of its own, so that others are written as they were before there were masks. It took the number after Add's. So has one
// with numbers in double precision, which may have masks, too.
constexpr std::uint8_t kMaskedLinear = 6, kRaise = 7, kPreciseLinear = 8, kRealPartSquare = 9;
// Before the kind of a Linear whose giant steps have a fan; the fan follows.
constexpr std::uint8_t kGiantFan = 10;

static bool is_precise(const plan::Linear& linear) {
  const auto has_rest = [](const plan::SlotVector& vector) { return !vector.rest.empty(); };
  return std::any_of(linear.vectors.begin(), linear.vectors.end(), has_rest) || std::any_of(linear.masks.begin(), linear.masks.end(), has_rest) ||
         std::any_of(linear.outputs.begin(), linear.outputs.end(), [&](const auto& output) { return has_rest(output.bias); });
}

static std::uint8_t kind_of(const plan::Instruction& x) {
  const auto* linear = std::get_if<plan::Linear>(&x.op);
  if (linear != nullptr && is_precise(*linear)) return kPreciseLinear;
  if (linear != nullptr && !linear->masks.empty()) return kMaskedLinear;
  if (const auto* square = std::get_if<plan::Square>(&x.op); square != nullptr && square->real_part) return kRealPartSquare;
  return std::holds_alternative<plan::Raise>(x.op) ? kRaise : static_cast<std::uint8_t>(x.op.index());
}

/// What a Linear of these kinds has behind the fields that all have.
template <typename A, typename L>
void more_fields(A& a, L& linear, std::uint8_t kind) {
  if (kind != kMaskedLinear && kind != kPreciseLinear) return;
  a(linear.masks);
  a(linear.mask_scale);
  if (kind != kPreciseLinear) return;
  for (auto& vector : linear.vectors) a(vector.rest);
  for (auto& mask : linear.masks) a(mask.rest);
  for (auto& output : linear.outputs) a(output.bias.rest);
}

static std::uint32_t giant_fan(const plan::Instruction& x) {
  const auto* linear = std::get_if<plan::Linear>(&x.op);
  return linear != nullptr ? linear->giant_fan : 0;
}

static void fields(Writer& a, const plan::Instruction& x) {
  if (const std::uint32_t fan = giant_fan(x); fan != 0) {
    a(kGiantFan);
    a(fan);
  }
  const std::uint8_t kind = kind_of(x);
  a(kind);
  std::visit([&](const auto& op) { fields(a, op); }, x.op);
  if (const auto* linear = std::get_if<plan::Linear>(&x.op)) more_fields(a, *linear, kind);
  common_fields(a, x);
}

static void fields(Reader& a, plan::Instruction& x) {
  std::uint8_t kind = 0;
  std::uint32_t fan = 0;
  a(kind);
  const bool has_fan = kind == kGiantFan;
  if (has_fan) {
    a(fan);
    a(kind);
  }
  switch (kind) {
    case 0: x.op.emplace<plan::Split>(); break;
    case 1: x.op.emplace<plan::Square>(); break;
    case 2: x.op.emplace<plan::Combine>(); break;
    case 3: x.op.emplace<plan::Linear>(); break;
    case 4: x.op.emplace<plan::Drop>(); break;
    case 5: x.op.emplace<plan::Add>(); break;
    case kMaskedLinear:
    case kPreciseLinear: x.op.emplace<plan::Linear>(); break;
    case kRaise: x.op.emplace<plan::Raise>(); break;
    case kRealPartSquare: x.op.emplace<plan::Square>().real_part = true; break;
    default: a.fail("unknown instruction kind " + std::to_string(kind)); return;
  }
  auto* const linear = std::get_if<plan::Linear>(&x.op);
  if (has_fan && (linear == nullptr || fan == 0)) a.fail("a giant fan of " + std::to_string(fan) + " before an instruction of kind " + std::to_string(kind));
  std::visit([&](auto& op) { fields(a, op); }, x.op);
  if (linear != nullptr) {
    linear->giant_fan = fan;
    more_fields(a, *linear, kind);
    if (kind_of(x) != kind) a.fail("a linear of kind " + std::to_string(kind) + " without what that kind is for");
  }
  common_fields(a, x);
}

BRAINLOCK_FIELDS(plan::Program, a(x.model_name); a(x.profile); fields(a, x.parameters); fields(a, x.input);
                 fields(a, x.output); a(x.register_count); a(x.instructions); a(x.output_registers); a(x.keys);
                 a(x.error_bound); a(x.error_estimate);)

}  // namespace codec

namespace {

constexpr std::array<std::uint8_t, 7> kMagic{'B', 'L', 'P', 'L', 'A', 'N', 0};
constexpr std::size_t kHeadBytes = kMagic.size() + 1;   // magic, version

}  // namespace

std::uint8_t program_version(const plan::Program& program) {
  std::uint8_t version = kOldestProgramVersion;
  for (const plan::Instruction& i : program.instructions) {
    if (std::holds_alternative<plan::Drop>(i.op) || std::holds_alternative<plan::Add>(i.op)) version = std::max(version, kBranchesVersion);
    if (const auto* linear = std::get_if<plan::Linear>(&i.op); linear != nullptr && !linear->masks.empty()) version = std::max(version, kMasksVersion);
    const std::uint8_t kind = codec::kind_of(i);
    if (kind == codec::kRaise || kind == codec::kPreciseLinear) version = std::max(version, kRaiseVersion);
    if (kind == codec::kRealPartSquare) version = std::max(version, kRealPartVersion);
    if (codec::giant_fan(i) != 0) version = std::max(version, kGiantFanVersion);
  }
  return version;
}

std::vector<std::uint8_t> encode_program(const plan::Program& program) {
  codec::Writer writer;
  writer.bytes.assign(kMagic.begin(), kMagic.end());
  writer.bytes.push_back(program_version(program));
  fields(writer, program);
  codec::seal(writer.bytes);
  return std::move(writer.bytes);
}

Result<plan::Program> decode_program(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kMaxProgramBytes)
    return Error{ErrorCode::kTooLarge, "plan: at most " + std::to_string(kMaxProgramBytes) + " bytes, got " + std::to_string(bytes.size())};
  if (bytes.size() < kHeadBytes + codec::kChecksumBytes)
    return Error{ErrorCode::kTruncated, "plan: at least " + std::to_string(kHeadBytes + codec::kChecksumBytes) + " bytes, got " + std::to_string(bytes.size())};
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return Error{ErrorCode::kMalformed, "plan: not a Brainlock plan"};
  const std::uint8_t version = bytes[kMagic.size()];
  if (version < kOldestProgramVersion || version > kProgramVersion)
    return Error{ErrorCode::kUnsupported, "plan: version " + std::to_string(version) + ", expected " + std::to_string(kOldestProgramVersion) +
                                              " to " + std::to_string(kProgramVersion) +
                                              (version > kProgramVersion ? "; it comes from a newer program: update this one" : "; compile the model again")};
  if (!codec::is_sealed(bytes)) return Error{ErrorCode::kCorrupted, "plan: the checksum does not match its bytes"};
  codec::Reader reader(bytes.first(bytes.size() - codec::kChecksumBytes).subspan(kHeadBytes));
  plan::Program program;
  fields(reader, program);
  if (!reader.ok()) return Error{ErrorCode::kMalformed, "plan: " + reader.error()};
  if (reader.left() != 0) return Error{ErrorCode::kMalformed, "plan: " + std::to_string(reader.left()) + " bytes too many"};
  if (program_version(program) != version)
    return Error{ErrorCode::kMalformed, "plan: version " + std::to_string(version) + ", but its instructions are those of version " +
                                            std::to_string(program_version(program))};
  if (auto status = plan::validate(program); !status.ok()) return status.error().in("plan");
  return program;
}

}  // namespace brainlock::package
