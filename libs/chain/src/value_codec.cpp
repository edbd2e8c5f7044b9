// Type-driven SCALE coding of values.
#include <algorithm>

#include "brainlock/chain/value.hpp"

namespace brainlock::chain {
namespace {

using scale_codec::Decoder;
using scale_codec::Encoder;
using Kind = TypeDefinition::Kind;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxValues = 1'000'000;

struct IntegerShape {
  std::size_t size_bytes = 0;
  bool is_signed = false;
};

// Width of an integer primitive; 0 for bool, char and text.
IntegerShape integer_shape(Primitive primitive) {
  switch (primitive) {
    case Primitive::kU8: return {1, false};
    case Primitive::kU16: return {2, false};
    case Primitive::kU32: return {4, false};
    case Primitive::kU64: return {8, false};
    case Primitive::kU128: return {16, false};
    case Primitive::kU256: return {32, false};
    case Primitive::kI8: return {1, true};
    case Primitive::kI16: return {2, true};
    case Primitive::kI32: return {4, true};
    case Primitive::kI64: return {8, true};
    case Primitive::kI128: return {16, true};
    case Primitive::kI256: return {32, true};
    default: return {};
  }
}

bool is_byte(const Metadata& metadata, TypeId id) {
  const auto& type = metadata.type(id);
  return type.kind == Kind::kPrimitive && type.primitive == Primitive::kU8;
}

// Whether a struct stands for its only, unnamed field.
bool is_wrapper(const std::vector<Field>& fields) { return fields.size() == 1 && fields.front().name.empty(); }

// The integer type under a Compact: itself, or inside structs of one field. 0 for (), which has no bytes.
Result<std::size_t> compact_width(const Metadata& metadata, TypeId id) {
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    const auto& type = metadata.type(id);
    if (type.kind == Kind::kPrimitive) {
      const auto shape = integer_shape(type.primitive);
      if (shape.size_bytes >= 1 && shape.size_bytes <= 16 && !shape.is_signed) return shape.size_bytes;
      break;
    }
    if (type.kind != Kind::kComposite && type.kind != Kind::kTuple) break;
    if (type.fields.empty()) return std::size_t{0};
    if (type.fields.size() != 1) break;
    id = type.fields.front().type;
  }
  return Error{ErrorCode::kUnsupported, "a compact value of this type is not known"};
}

U128 largest(std::size_t size_bytes) { return size_bytes == 16 ? ~U128{0} : (U128{1} << (8 * size_bytes)) - 1; }

class ValueReader {
 public:
  ValueReader(const Metadata& metadata, Decoder& in) : metadata_(metadata), in_(in) {}

  Result<Value> read(TypeId id, int depth) {
    if (depth > kMaxDepth) return Error{ErrorCode::kTooLarge, "value is nested too deeply"};
    if (++values_ > kMaxValues) return Error{ErrorCode::kTooLarge, "value has more than a million parts"};
    const auto& type = metadata_.type(id);
    switch (type.kind) {
      case Kind::kComposite: {
        if (is_wrapper(type.fields)) return read(type.fields.front().type, depth + 1);
        BRAINLOCK_ASSIGN(auto fields, read_fields(type.fields, depth));
        return Value::record(std::move(fields));
      }
      case Kind::kTuple: {
        if (type.fields.size() == 1) return read(type.fields.front().type, depth + 1);
        std::vector<Value> items;
        for (const auto& field : type.fields) {
          BRAINLOCK_ASSIGN(auto item, read(field.type, depth + 1));
          items.push_back(std::move(item));
        }
        return Value::list(std::move(items));
      }
      case Kind::kVariant: {
        BRAINLOCK_ASSIGN(const auto index, in_.u8());
        const auto* variant = type.find_case(index);
        if (variant == nullptr) {
          return Error{ErrorCode::kMalformed, type.name + " has no variant " + std::to_string(index)};
        }
        BRAINLOCK_ASSIGN(auto fields, read_fields(variant->fields, depth));
        return Value::variant(variant->name, std::move(fields));
      }
      case Kind::kSequence: {
        BRAINLOCK_ASSIGN(const auto count, in_.length(metadata_.type(type.element).min_encoded_bytes));
        return read_items(type.element, count, depth);
      }
      case Kind::kArray: return read_items(type.element, type.array_length, depth);
      case Kind::kPrimitive: return read_primitive(type.primitive);
      case Kind::kCompact: {
        BRAINLOCK_ASSIGN(const auto width, compact_width(metadata_, type.element));
        if (width == 0) return Value::list({});
        BRAINLOCK_ASSIGN(const auto number, in_.compact(largest(width)));
        return Value::number(number);
      }
      case Kind::kBits: return read_bits();
    }
    return Error{ErrorCode::kInternal, "unknown kind of type"};
  }

 private:
  Result<std::vector<std::pair<std::string, Value>>> read_fields(const std::vector<Field>& fields, int depth) {
    std::vector<std::pair<std::string, Value>> out;
    out.reserve(fields.size());
    for (const auto& field : fields) {
      auto value = read(field.type, depth + 1);
      if (!value.ok()) return field.name.empty() ? value.error() : value.error().in(field.name);
      out.emplace_back(field.name, std::move(*value));
    }
    return out;
  }

  Result<Value> read_items(TypeId element, std::size_t count, int depth) {
    if (is_byte(metadata_, element)) {
      BRAINLOCK_ASSIGN(const auto bytes, in_.raw(count));
      return Value::bytes(bytes);
    }
    std::vector<Value> items;
    items.reserve(std::min<std::size_t>(count, 4096));
    for (std::size_t i = 0; i < count; ++i) {
      BRAINLOCK_ASSIGN(auto item, read(element, depth + 1));
      items.push_back(std::move(item));
    }
    return Value::list(std::move(items));
  }

  Result<Value> read_primitive(Primitive primitive) {
    const auto shape = integer_shape(primitive);
    if (shape.size_bytes == 32) {
      BRAINLOCK_ASSIGN(const auto bytes, in_.raw(32));
      return Value::bytes(bytes);
    }
    if (shape.size_bytes > 0) {
      BRAINLOCK_ASSIGN(const auto number, in_.fixed(shape.size_bytes));
      if (!shape.is_signed) return Value::number(number);
      const auto shift = static_cast<int>(128 - 8 * shape.size_bytes);
      return Value::signed_number(static_cast<__int128>(number << shift) >> shift);
    }
    if (primitive == Primitive::kBool) {
      BRAINLOCK_ASSIGN(const bool value, in_.boolean());
      return Value::boolean(value);
    }
    if (primitive == Primitive::kStr) {
      BRAINLOCK_ASSIGN(auto text, in_.text());
      return Value::text(std::move(text));
    }
    BRAINLOCK_ASSIGN(const auto character, in_.u32());
    return Value::number(character);
  }

  // Bit sequences are kept as bytes: 8 bits a byte, the last one padded.
  Result<Value> read_bits() {
    BRAINLOCK_ASSIGN(const auto bits, in_.compact(std::uint64_t{in_.remaining()} * 8));
    BRAINLOCK_ASSIGN(const auto bytes, in_.raw(static_cast<std::size_t>((bits + 7) / 8)));
    return Value::bytes(bytes);
  }

  const Metadata& metadata_;
  Decoder& in_;
  std::size_t values_ = 0;
};

Error mismatch(std::string_view what) { return {ErrorCode::kMismatch, std::string(what)}; }

Status encode_at(Encoder& out, const Metadata& metadata, TypeId id, const Value& value, int depth);

Status encode_fields(Encoder& out, const Metadata& metadata, const std::vector<Field>& fields, const Value& value,
                     std::string_view where, int depth) {
  if (value.items().size() != fields.size()) {
    return mismatch(std::string(where) + " takes " + std::to_string(fields.size()) + " fields here, " +
                    std::to_string(value.items().size()) + " were given");
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Value* item = &value.items()[i];
    if (!fields[i].name.empty() && !value.field_names().empty()) {
      const auto found = value.field(fields[i].name);
      if (!found.ok()) return mismatch(std::string(where) + " has a field '" + fields[i].name + "' that was not given");
      item = *found;
    }
    const Status status = encode_at(out, metadata, fields[i].type, *item, depth + 1);
    if (!status.ok()) return status.error().in(fields[i].name.empty() ? where : fields[i].name);
  }
  return {};
}

Status encode_items(Encoder& out, const Metadata& metadata, const TypeDefinition& type, const Value& value, int depth) {
  const bool sequence = type.kind == Kind::kSequence;
  if (is_byte(metadata, type.element)) {
    BRAINLOCK_ASSIGN(const auto bytes, value.as_bytes());
    if (!sequence && bytes.size() != type.array_length) {
      return mismatch("expected " + std::to_string(type.array_length) + " bytes, got " + std::to_string(bytes.size()));
    }
    sequence ? out.bytes(bytes) : out.raw(bytes);
    return {};
  }
  if (value.kind() != Value::Kind::kList) return mismatch("expected a list");
  if (!sequence && value.items().size() != type.array_length) return mismatch("list has another length than the array");
  if (sequence) out.compact(value.items().size());
  for (const auto& item : value.items()) BRAINLOCK_TRY(encode_at(out, metadata, type.element, item, depth + 1));
  return {};
}

Status encode_primitive(Encoder& out, Primitive primitive, const Value& value) {
  const auto shape = integer_shape(primitive);
  if (shape.size_bytes == 32) {
    BRAINLOCK_ASSIGN(const auto bytes, value.as_bytes());
    if (bytes.size() != 32) return mismatch("a 256-bit number is given as 32 bytes");
    out.raw(bytes);
    return {};
  }
  if (shape.size_bytes > 0 && shape.is_signed) {
    BRAINLOCK_ASSIGN(const auto number, value.as_i128());
    const auto shift = static_cast<int>(128 - 8 * shape.size_bytes);
    if (static_cast<__int128>(static_cast<U128>(number) << shift) >> shift != number) {
      return mismatch("number does not fit in " + std::to_string(8 * shape.size_bytes) + " bits");
    }
    out.fixed(static_cast<U128>(number), shape.size_bytes);
    return {};
  }
  if (shape.size_bytes > 0) {
    BRAINLOCK_ASSIGN(const auto number, value.as_u128());
    if (number > largest(shape.size_bytes)) {
      return mismatch("number does not fit in " + std::to_string(8 * shape.size_bytes) + " bits");
    }
    out.fixed(number, shape.size_bytes);
    return {};
  }
  if (primitive == Primitive::kBool) {
    BRAINLOCK_ASSIGN(const bool flag, value.as_bool());
    out.boolean(flag);
    return {};
  }
  if (primitive == Primitive::kStr) {
    if (value.kind() != Value::Kind::kText) return mismatch("expected a text");
    out.text(value.name());
    return {};
  }
  BRAINLOCK_ASSIGN(const auto character, value.as_u32());
  out.u32(character);
  return {};
}

Status encode_at(Encoder& out, const Metadata& metadata, TypeId id, const Value& value, int depth) {
  if (depth > kMaxDepth) return Error{ErrorCode::kTooLarge, "value is nested too deeply"};
  const auto& type = metadata.type(id);
  switch (type.kind) {
    case Kind::kComposite:
      if (is_wrapper(type.fields)) return encode_at(out, metadata, type.fields.front().type, value, depth + 1);
      if (type.fields.empty() && value.items().empty()) return {};
      if (value.kind() != Value::Kind::kRecord) return mismatch("expected the fields of " + type.name);
      return encode_fields(out, metadata, type.fields, value, type.name, depth);
    case Kind::kTuple:
      if (type.fields.size() == 1) return encode_at(out, metadata, type.fields.front().type, value, depth + 1);
      if (value.kind() != Value::Kind::kList) return mismatch("expected a tuple");
      return encode_fields(out, metadata, type.fields, value, "tuple", depth);
    case Kind::kVariant: {
      if (value.kind() != Value::Kind::kVariant) return mismatch("expected a variant of " + type.name);
      const auto* variant = type.find_case(value.name());
      if (variant == nullptr) return mismatch(type.name + " has no variant " + value.name() + " in this runtime");
      out.u8(variant->index);
      return encode_fields(out, metadata, variant->fields, value, value.name(), depth);
    }
    case Kind::kSequence:
    case Kind::kArray: return encode_items(out, metadata, type, value, depth);
    case Kind::kPrimitive: return encode_primitive(out, type.primitive, value);
    case Kind::kCompact: {
      BRAINLOCK_ASSIGN(const auto width, compact_width(metadata, type.element));
      if (width == 0) return {};
      BRAINLOCK_ASSIGN(const auto number, value.as_u128());
      if (number > largest(width)) return mismatch("number does not fit in its compact type");
      out.compact(number);
      return {};
    }
    case Kind::kBits: return Error{ErrorCode::kUnsupported, "bit sequences are read, not written"};
  }
  return Error{ErrorCode::kInternal, "unknown kind of type"};
}

}  // namespace

Result<Value> decode_value(const Metadata& metadata, TypeId type, Decoder& in) {
  return ValueReader(metadata, in).read(type, 0);
}

Result<Value> decode_value(const Metadata& metadata, TypeId type, crypto::ByteView bytes) {
  Decoder in(bytes);
  BRAINLOCK_ASSIGN(auto value, decode_value(metadata, type, in));
  BRAINLOCK_TRY(in.expect_end());
  return value;
}

Status encode_value(Encoder& out, const Metadata& metadata, TypeId type, const Value& value) {
  return encode_at(out, metadata, type, value, 0);
}

}  // namespace brainlock::chain
