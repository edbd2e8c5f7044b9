#include "brainlock/package/program_codec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <type_traits>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::package {
namespace {

constexpr std::array<std::uint8_t, 7> kMagic{'B', 'L', 'P', 'L', 'A', 'N', 0};
constexpr std::size_t kHeadBytes = kMagic.size() + 1;   // magic, version
constexpr std::size_t kChecksumBytes = 32;

static_assert(std::endian::native == std::endian::little, "plan.bin is written in the byte order of this machine");

// One description of the fields serves both directions: fields(archive, object) visits them in order.
class Writer {
 public:
  template <typename T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(const T& value) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(&value);
    bytes.insert(bytes.end(), p, p + sizeof(T));
  }
  void operator()(const std::complex<float>& value) {
    (*this)(value.real());
    (*this)(value.imag());
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  template <typename T>
  void operator()(const std::vector<T>& items) {
    (*this)(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) {
      if constexpr (requires { fields(*this, item); }) fields(*this, item);
      else (*this)(item);
    }
  }
  std::vector<std::uint8_t> bytes;
};

// After the first error every read yields zero and nothing more is allocated.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  template <typename T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(T& value) {
    if (!take(sizeof(T))) {
      value = T{};
      return;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
  }
  void operator()(std::complex<float>& value) {
    float re = 0, im = 0;
    (*this)(re);
    (*this)(im);
    value = {re, im};
  }
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    if (!take(size)) return;
    text.assign(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
  }
  template <typename T>
  void operator()(std::vector<T>& items) {
    std::uint32_t size = 0;
    (*this)(size);
    if (!take(size)) return;   // every item takes at least one byte, so this bounds the allocation
    items.clear();
    for (std::uint32_t i = 0; i < size && ok(); ++i) {
      T item{};
      if constexpr (requires { fields(*this, item); }) fields(*this, item);
      else (*this)(item);
      items.push_back(std::move(item));
    }
  }
  void fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
  }
  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  bool take(std::size_t need) {
    if (!ok()) return false;
    if (need <= rest_.size()) return true;
    fail("expected " + std::to_string(need) + " more bytes or items, " + std::to_string(rest_.size()) + " bytes are left");
    return false;
  }
  std::span<const std::uint8_t> rest_;
  std::string error_;
};

#define BRAINLOCK_FIELDS(Type, ...)                          \
  template <typename A>                                      \
  void fields(A& a, Type& x) { __VA_ARGS__ }                 \
  template <typename A>                                      \
  void fields(A& a, const Type& x) { __VA_ARGS__ }

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
BRAINLOCK_FIELDS(plan::Place, a(x.index); a(x.ciphertext); a(x.slot); a(x.part);)
BRAINLOCK_FIELDS(plan::TensorMap, a(x.channels); a(x.height); a(x.width); a(x.ciphertexts); a(x.parts); a(x.places);
                 a(x.limbs); a(x.scale); a(x.bound);)
BRAINLOCK_FIELDS(plan::ParameterChoice, a(x.ring_degree); a(x.q); a(x.p); a(x.digit_limbs);)
BRAINLOCK_FIELDS(plan::KeyUse, a(x.kind); a(x.rotation); a(x.limbs);)

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

bool is_precise(const plan::Linear& linear) {
  const auto has_rest = [](const plan::SlotVector& vector) { return !vector.rest.empty(); };
  return std::any_of(linear.vectors.begin(), linear.vectors.end(), has_rest) || std::any_of(linear.masks.begin(), linear.masks.end(), has_rest) ||
         std::any_of(linear.outputs.begin(), linear.outputs.end(), [&](const auto& output) { return has_rest(output.bias); });
}

std::uint8_t kind_of(const plan::Instruction& x) {
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

void fields(Writer& a, const plan::Instruction& x) {
  const std::uint8_t kind = kind_of(x);
  a(kind);
  std::visit([&](const auto& op) { fields(a, op); }, x.op);
  if (const auto* linear = std::get_if<plan::Linear>(&x.op)) more_fields(a, *linear, kind);
  common_fields(a, x);
}

void fields(Reader& a, plan::Instruction& x) {
  std::uint8_t kind = 0;
  a(kind);
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
  std::visit([&](auto& op) { fields(a, op); }, x.op);
  if (auto* linear = std::get_if<plan::Linear>(&x.op)) {
    more_fields(a, *linear, kind);
    if (kind_of(x) != kind) a.fail("a linear of kind " + std::to_string(kind) + " without what that kind is for");
  }
  common_fields(a, x);
}

BRAINLOCK_FIELDS(plan::Program, a(x.model_name); a(x.profile); fields(a, x.parameters); fields(a, x.input);
                 fields(a, x.output); a(x.register_count); a(x.instructions); a(x.output_registers); a(x.keys);
                 a(x.error_bound); a(x.error_estimate);)

#undef BRAINLOCK_FIELDS

}  // namespace

std::uint8_t program_version(const plan::Program& program) {
  std::uint8_t version = kOldestProgramVersion;
  for (const plan::Instruction& i : program.instructions) {
    if (std::holds_alternative<plan::Drop>(i.op) || std::holds_alternative<plan::Add>(i.op)) version = std::max(version, kBranchesVersion);
    if (const auto* linear = std::get_if<plan::Linear>(&i.op); linear != nullptr && !linear->masks.empty()) version = std::max(version, kMasksVersion);
    const std::uint8_t kind = kind_of(i);
    if (kind == kRaise || kind == kPreciseLinear) version = std::max(version, kRaiseVersion);
    if (kind == kRealPartSquare) version = std::max(version, kRealPartVersion);
  }
  return version;
}

std::vector<std::uint8_t> encode_program(const plan::Program& program) {
  Writer writer;
  writer.bytes.assign(kMagic.begin(), kMagic.end());
  writer.bytes.push_back(program_version(program));
  fields(writer, program);
  const crypto::Hash256 checksum = crypto::blake2b_256(writer.bytes);
  writer.bytes.insert(writer.bytes.end(), checksum.begin(), checksum.end());
  return std::move(writer.bytes);
}

Result<plan::Program> decode_program(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kMaxProgramBytes)
    return Error{ErrorCode::kTooLarge, "plan: at most " + std::to_string(kMaxProgramBytes) + " bytes, got " + std::to_string(bytes.size())};
  if (bytes.size() < kHeadBytes + kChecksumBytes)
    return Error{ErrorCode::kTruncated, "plan: at least " + std::to_string(kHeadBytes + kChecksumBytes) + " bytes, got " + std::to_string(bytes.size())};
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return Error{ErrorCode::kMalformed, "plan: not a Brainlock plan"};
  const std::uint8_t version = bytes[kMagic.size()];
  if (version < kOldestProgramVersion || version > kProgramVersion)
    return Error{ErrorCode::kUnsupported, "plan: version " + std::to_string(version) + ", expected " + std::to_string(kOldestProgramVersion) +
                                              " to " + std::to_string(kProgramVersion) + "; compile the model again"};
  const auto body = bytes.first(bytes.size() - kChecksumBytes);
  const crypto::Hash256 checksum = crypto::blake2b_256(body);
  if (std::memcmp(checksum.data(), bytes.data() + body.size(), kChecksumBytes) != 0)
    return Error{ErrorCode::kCorrupted, "plan: the checksum does not match its bytes"};
  Reader reader(body.subspan(kHeadBytes));
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
