#include "brainlock/chain/value.hpp"

#include <algorithm>
#include <limits>

namespace brainlock::chain {
namespace {

Error wrong_kind(std::string_view wanted) {
  return {ErrorCode::kMismatch, "value is not " + std::string(wanted)};
}

void append_json_text(std::string& out, std::string_view text) {
  out.push_back('"');
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00" + crypto::hex_encode(crypto::as_bytes({&c, 1}));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_json(std::string& out, const Value& value);

void append_json_fields(std::string& out, const Value& value) {
  const auto& names = value.field_names();
  const bool named = !names.empty() && !names.front().empty();
  if (!named && value.items().size() == 1) {
    append_json(out, value.items().front());
    return;
  }
  out.push_back(named ? '{' : '[');
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    if (i > 0) out.push_back(',');
    if (named) {
      append_json_text(out, names[i]);
      out.push_back(':');
    }
    append_json(out, value.items()[i]);
  }
  out.push_back(named ? '}' : ']');
}

void append_json_number(std::string& out, const std::string& digits) {
  // JavaScript readers lose integers above 2^53; longer ones travel as text.
  const bool quote = digits.size() > 15;
  if (quote) out.push_back('"');
  out += digits;
  if (quote) out.push_back('"');
}

void append_json(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNumber: append_json_number(out, to_decimal(*value.as_u128())); break;
    case Value::Kind::kSigned: {
      const __int128 number = *value.as_i128();
      const std::string digits = to_decimal(number < 0 ? U128{0} - static_cast<U128>(number) : static_cast<U128>(number));
      append_json_number(out, (number < 0 ? "-" : "") + digits);
      break;
    }
    case Value::Kind::kBool: out += *value.as_bool() ? "true" : "false"; break;
    case Value::Kind::kText: append_json_text(out, value.name()); break;
    case Value::Kind::kBytes: append_json_text(out, crypto::hex_encode_0x(*value.as_bytes())); break;
    case Value::Kind::kList: {
      out.push_back('[');
      for (std::size_t i = 0; i < value.items().size(); ++i) {
        if (i > 0) out.push_back(',');
        append_json(out, value.items()[i]);
      }
      out.push_back(']');
      break;
    }
    case Value::Kind::kRecord: append_json_fields(out, value); break;
    case Value::Kind::kVariant:
      if (value.is_none()) {
        out += "null";
      } else if (value.name() == "Some" && value.items().size() == 1) {
        append_json(out, value.items().front());
      } else if (value.items().empty()) {
        append_json_text(out, value.name());
      } else {
        out.push_back('{');
        append_json_text(out, value.name());
        out.push_back(':');
        append_json_fields(out, value);
        out.push_back('}');
      }
      break;
  }
}

}  // namespace

Value Value::number(U128 value) {
  Value out(Kind::kNumber);
  out.number_ = value;
  return out;
}

Value Value::signed_number(__int128 value) {
  Value out(Kind::kSigned);
  out.number_ = static_cast<U128>(value);
  return out;
}

Value Value::boolean(bool value) {
  Value out(Kind::kBool);
  out.number_ = value ? 1 : 0;
  return out;
}

Value Value::text(std::string value) {
  Value out(Kind::kText);
  out.text_ = std::move(value);
  return out;
}

Value Value::bytes(crypto::ByteView value) {
  Value out(Kind::kBytes);
  out.bytes_.assign(value.begin(), value.end());
  return out;
}

Value Value::list(std::vector<Value> items) {
  Value out(Kind::kList);
  out.items_ = std::move(items);
  return out;
}

void Value::add_fields(std::vector<std::pair<std::string, Value>> fields) {
  for (auto& [field_name, value] : fields) {
    names_.push_back(std::move(field_name));
    items_.push_back(std::move(value));
  }
}

Value Value::record(std::vector<std::pair<std::string, Value>> fields) {
  Value out(Kind::kRecord);
  out.add_fields(std::move(fields));
  return out;
}

Value Value::variant(std::string name, std::vector<std::pair<std::string, Value>> fields) {
  Value out(Kind::kVariant);
  out.text_ = std::move(name);
  out.add_fields(std::move(fields));
  return out;
}

Value Value::some(Value value) {
  Value out(Kind::kVariant);
  out.text_ = "Some";
  out.names_.emplace_back();
  out.items_.push_back(std::move(value));
  return out;
}

const Value& Value::inner() const {
  return kind_ == Kind::kVariant && text_ == "Some" && items_.size() == 1 ? items_.front() : *this;
}

Result<const Value*> Value::field(std::string_view field_name) const {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == field_name) return &items_[i];
  }
  return Error{ErrorCode::kNotFound, "value has no field " + std::string(field_name)};
}

Result<U128> Value::as_u128() const {
  if (kind_ == Kind::kNumber) return number_;
  return wrong_kind("a number");
}

Result<__int128> Value::as_i128() const {
  if (kind_ == Kind::kSigned || kind_ == Kind::kNumber) return static_cast<__int128>(number_);
  return wrong_kind("a signed number");
}

Result<std::uint64_t> Value::as_u64() const {
  BRAINLOCK_ASSIGN(const U128 value, as_u128());
  if (value > std::numeric_limits<std::uint64_t>::max()) return wrong_kind("a 64-bit number");
  return static_cast<std::uint64_t>(value);
}

Result<std::uint32_t> Value::as_u32() const {
  BRAINLOCK_ASSIGN(const U128 value, as_u128());
  if (value > std::numeric_limits<std::uint32_t>::max()) return wrong_kind("a 32-bit number");
  return static_cast<std::uint32_t>(value);
}

Result<std::uint16_t> Value::as_u16() const {
  BRAINLOCK_ASSIGN(const U128 value, as_u128());
  if (value > std::numeric_limits<std::uint16_t>::max()) return wrong_kind("a 16-bit number");
  return static_cast<std::uint16_t>(value);
}

Result<bool> Value::as_bool() const {
  if (kind_ == Kind::kBool) return number_ != 0;
  return wrong_kind("a bool");
}

Result<crypto::Bytes> Value::as_bytes() const {
  if (kind_ == Kind::kBytes) return bytes_;
  if (kind_ == Kind::kText) return crypto::Bytes(text_.begin(), text_.end());
  if (kind_ != Kind::kList) return wrong_kind("bytes");
  crypto::Bytes out;
  out.reserve(items_.size());
  for (const auto& item : items_) {  // Vec<Compact<u8>>, as some texts of the chain are kept.
    if (item.kind_ != Kind::kNumber || item.number_ > 255) return wrong_kind("bytes");
    out.push_back(static_cast<std::uint8_t>(item.number_));
  }
  return out;
}

Result<std::array<std::uint8_t, 32>> Value::as_account() const {
  if (kind_ != Kind::kBytes || bytes_.size() != 32) return wrong_kind("32 bytes");
  std::array<std::uint8_t, 32> out{};
  std::copy(bytes_.begin(), bytes_.end(), out.begin());
  return out;
}

Result<std::vector<std::uint64_t>> Value::as_numbers() const {
  std::vector<std::uint64_t> out;
  if (kind_ == Kind::kBytes) {
    out.assign(bytes_.begin(), bytes_.end());
    return out;
  }
  if (kind_ != Kind::kList) return wrong_kind("a list of numbers");
  out.reserve(items_.size());
  for (const auto& item : items_) {
    BRAINLOCK_ASSIGN(const auto number, item.as_u64());
    out.push_back(number);
  }
  return out;
}

std::string to_decimal(U128 value) {
  std::string out;
  do {
    out.push_back(static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  std::reverse(out.begin(), out.end());
  return out;
}

std::string to_json(const Value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace brainlock::chain
