#include "protobuf_guard.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace brainlock::compiler {
namespace {

// Generous for any network within the node limit, and together below 300 MB of objects.
constexpr std::uint64_t kMaxMessages = 400'000;
constexpr std::uint64_t kMaxStrings = 1'000'000;
constexpr std::uint64_t kMaxVarints = 8'000'000;
constexpr int kMaxDepth = 24;

enum class Kind : std::uint8_t {
  kModel,
  kOpset,
  kEntry,
  kTraining,
  kFunction,
  kGraph,
  kNode,
  kAttribute,
  kTensor,
  kSegment,
  kSparse,
  kValueInfo,
  kType,
  kTypeTensor,
  kTypeSequence,
  kTypeMap,
  kShape,
  kDim,
  kAnnotation,
};

// What a length-delimited field holds.
struct FieldForm {
  enum Form { kBytes, kString, kPackedVarint, kPackedFixed, kMessage, kUnknown } form = kUnknown;
  Kind message = Kind::kModel;
};

constexpr FieldForm message(Kind kind) { return {FieldForm::kMessage, kind}; }
constexpr FieldForm kText{FieldForm::kString, {}};
constexpr FieldForm kBlob{FieldForm::kBytes, {}};
constexpr FieldForm kVarints{FieldForm::kPackedVarint, {}};
constexpr FieldForm kFixed{FieldForm::kPackedFixed, {}};
constexpr FieldForm kStranger{FieldForm::kUnknown, {}};

// The field numbers of onnx.proto3 that are strings, packed arrays or messages.
FieldForm field_form(Kind in, std::uint32_t field) {
  switch (in) {
    case Kind::kModel:
      switch (field) {
        case 2:
        case 3:
        case 4:
        case 6:
          return kText;
        case 7:
          return message(Kind::kGraph);
        case 8:
          return message(Kind::kOpset);
        case 14:
          return message(Kind::kEntry);
        case 20:
          return message(Kind::kTraining);
        case 25:
          return message(Kind::kFunction);
        default:
          return kStranger;
      }
    case Kind::kOpset:
      return field == 1 ? kText : kStranger;
    case Kind::kEntry:
      return field <= 2 ? kText : kStranger;
    case Kind::kTraining:
      return field <= 2 ? message(Kind::kGraph) : field <= 4 ? message(Kind::kEntry) : kStranger;
    case Kind::kFunction:
      switch (field) {
        case 1:
        case 4:
        case 5:
        case 6:
        case 8:
        case 10:
          return kText;
        case 7:
          return message(Kind::kNode);
        case 9:
          return message(Kind::kOpset);
        case 11:
          return message(Kind::kAttribute);
        default:
          return kStranger;
      }
    case Kind::kGraph:
      switch (field) {
        case 1:
          return message(Kind::kNode);
        case 2:
        case 10:
          return kText;
        case 5:
          return message(Kind::kTensor);
        case 11:
        case 12:
        case 13:
          return message(Kind::kValueInfo);
        case 14:
          return message(Kind::kAnnotation);
        case 15:
          return message(Kind::kSparse);
        default:
          return kStranger;
      }
    case Kind::kNode:
      switch (field) {
        case 1:
        case 2:
        case 3:
        case 4:
        case 6:
        case 7:
          return kText;
        case 5:
          return message(Kind::kAttribute);
        default:
          return kStranger;
      }
    case Kind::kAttribute:
      switch (field) {
        case 1:
        case 4:
        case 9:
        case 13:
        case 21:
          return kText;
        case 5:
        case 10:
          return message(Kind::kTensor);
        case 6:
        case 11:
          return message(Kind::kGraph);
        case 7:
          return kFixed;
        case 8:
          return kVarints;
        case 14:
        case 15:
          return message(Kind::kType);
        case 22:
        case 23:
          return message(Kind::kSparse);
        default:
          return kStranger;
      }
    case Kind::kTensor:
      switch (field) {
        case 1:
        case 5:
        case 7:
        case 11:
          return kVarints;
        case 3:
          return message(Kind::kSegment);
        case 4:
        case 10:
          return kFixed;
        case 6:
        case 8:
        case 12:
          return kText;
        case 9:
          return kBlob;
        case 13:
          return message(Kind::kEntry);
        default:
          return kStranger;
      }
    case Kind::kSegment:
      return kStranger;
    case Kind::kSparse:
      return field <= 2 ? message(Kind::kTensor) : field == 3 ? kVarints : kStranger;
    case Kind::kValueInfo:
      return field == 2 ? message(Kind::kType) : field == 1 || field == 3 ? kText : kStranger;
    case Kind::kType:
      switch (field) {
        case 1:
        case 8:
          return message(Kind::kTypeTensor);  // sparse tensors have the same fields
        case 4:
        case 9:
          return message(Kind::kTypeSequence);
        case 5:
          return message(Kind::kTypeMap);
        case 6:
          return kText;
        default:
          return kStranger;
      }
    case Kind::kTypeTensor:
      return field == 2 ? message(Kind::kShape) : kStranger;
    case Kind::kTypeSequence:
      return field == 1 ? message(Kind::kType) : kStranger;
    case Kind::kTypeMap:
      return field == 2 ? message(Kind::kType) : kStranger;
    case Kind::kShape:
      return field == 1 ? message(Kind::kDim) : kStranger;
    case Kind::kDim:
      return field == 2 || field == 3 ? kText : kStranger;
    case Kind::kAnnotation:
      return field == 1 ? kText : field == 2 ? message(Kind::kEntry) : kStranger;
  }
  return kStranger;
}

class Walker {
 public:
  explicit Walker(int max_nodes) : max_nodes_(max_nodes) {}

  Status walk(std::span<const std::byte> bytes, Kind kind, int depth) {
    if (depth > kMaxDepth)
      return {ErrorCode::kTooLarge, "ONNX messages nested deeper than " + std::to_string(kMaxDepth)};
    if (++messages_ > kMaxMessages) return {ErrorCode::kTooLarge, "more than 400000 ONNX messages"};
    if (kind == Kind::kNode && ++nodes_ > static_cast<std::uint64_t>(max_nodes_)) {
      return {ErrorCode::kTooLarge, "more than " + std::to_string(max_nodes_) + " ONNX nodes"};
    }
    std::size_t at = 0;
    while (at < bytes.size()) {
      const auto tag = varint(bytes, at);
      if (!tag) return truncated();
      const auto field = static_cast<std::uint32_t>(*tag >> 3);
      if (field == 0 || *tag > 0xffffffffu)
        return {ErrorCode::kMalformed, "not an ONNX file: impossible protobuf field"};
      switch (*tag & 7) {
        case 0:
          if (!varint(bytes, at)) return truncated();
          BRAINLOCK_TRY(count_varints(1));
          break;
        case 1:
          if (bytes.size() - at < 8) return truncated();
          at += 8;
          BRAINLOCK_TRY(count_varints(1));
          break;
        case 5:
          if (bytes.size() - at < 4) return truncated();
          at += 4;
          BRAINLOCK_TRY(count_varints(1));
          break;
        case 2: {
          const auto length = varint(bytes, at);
          if (!length || *length > bytes.size() - at) return truncated();
          const auto body = bytes.subspan(at, static_cast<std::size_t>(*length));
          at += body.size();
          BRAINLOCK_TRY(visit(body, field_form(kind, field), depth));
          break;
        }
        default:
          return {ErrorCode::kMalformed, "not an ONNX file: unexpected protobuf wire type"};
      }
    }
    return {};
  }

 private:
  static Status truncated() { return {ErrorCode::kTruncated, "ONNX file ends inside a field"}; }

  static std::optional<std::uint64_t> varint(std::span<const std::byte> bytes, std::size_t& at) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70 && at < bytes.size(); shift += 7) {
      const auto byte = static_cast<std::uint64_t>(bytes[at++]);
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  Status count_varints(std::uint64_t count) {
    varints_ += count;
    if (varints_ > kMaxVarints) return {ErrorCode::kTooLarge, "more than 8000000 integers in an ONNX file"};
    return {};
  }

  Status visit(std::span<const std::byte> body, FieldForm form, int depth) {
    switch (form.form) {
      case FieldForm::kMessage:
        return walk(body, form.message, depth + 1);
      case FieldForm::kPackedVarint:
        return count_varints(body.size());
      case FieldForm::kBytes:
      case FieldForm::kPackedFixed:
      case FieldForm::kString:
      case FieldForm::kUnknown:
        if (++strings_ > kMaxStrings) return {ErrorCode::kTooLarge, "more than 1000000 strings in an ONNX file"};
        return {};
    }
    return {};
  }

  int max_nodes_;
  std::uint64_t messages_ = 0, strings_ = 0, varints_ = 0, nodes_ = 0;
};

}  // namespace

Status guard_onnx_wire(std::span<const std::byte> bytes, int max_nodes) {
  return Walker(max_nodes).walk(bytes, Kind::kModel, 0);
}

}  // namespace brainlock::compiler
