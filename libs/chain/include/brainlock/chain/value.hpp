// Values of the chain's types as trees, and their SCALE form under a type of the metadata.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/chain/metadata.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/scale_codec/decoder.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::chain {

using scale_codec::U128;

/// One value. Structs with one unnamed field are the field itself; byte sequences and byte arrays are kBytes; 256-bit
/// integers are kBytes (32, little-endian); an Option is the variant "None" or "Some".
class Value {
 public:
  enum class Kind : std::uint8_t { kNumber, kSigned, kBool, kText, kBytes, kList, kRecord, kVariant };

  Value() : Value(list({})) {}
  [[nodiscard]] static Value number(U128 value);
  [[nodiscard]] static Value signed_number(__int128 value);
  [[nodiscard]] static Value boolean(bool value);
  [[nodiscard]] static Value text(std::string value);
  [[nodiscard]] static Value bytes(crypto::ByteView value);
  [[nodiscard]] static Value list(std::vector<Value> items);
  [[nodiscard]] static Value record(std::vector<std::pair<std::string, Value>> fields);
  [[nodiscard]] static Value variant(std::string name, std::vector<std::pair<std::string, Value>> fields = {});
  [[nodiscard]] static Value none() { return variant("None"); }
  [[nodiscard]] static Value some(Value value);
  /// A list of numbers.
  template <typename T>
  [[nodiscard]] static Value numbers(const std::vector<T>& values) {
    std::vector<Value> items;
    items.reserve(values.size());
    for (T value : values) items.push_back(number(value));
    return list(std::move(items));
  }

  [[nodiscard]] Kind kind() const { return kind_; }
  /// Name of a variant, or the text.
  [[nodiscard]] const std::string& name() const { return text_; }
  [[nodiscard]] const std::vector<Value>& items() const { return items_; }
  /// Field names of a record or variant, one an item; empty names in tuple-like ones.
  [[nodiscard]] const std::vector<std::string>& field_names() const { return names_; }
  [[nodiscard]] bool is_none() const { return kind_ == Kind::kVariant && text_ == "None" && items_.empty(); }
  /// What is inside "Some"; the value itself when it is no Option.
  [[nodiscard]] const Value& inner() const;

  /// A field of a record or variant; kNotFound.
  [[nodiscard]] Result<const Value*> field(std::string_view field_name) const;

  /// Typed readings; kMismatch when the value is another kind or out of range.
  [[nodiscard]] Result<U128> as_u128() const;
  [[nodiscard]] Result<std::uint64_t> as_u64() const;
  [[nodiscard]] Result<std::uint32_t> as_u32() const;
  [[nodiscard]] Result<std::uint16_t> as_u16() const;
  [[nodiscard]] Result<__int128> as_i128() const;
  [[nodiscard]] Result<bool> as_bool() const;
  [[nodiscard]] Result<crypto::Bytes> as_bytes() const;
  [[nodiscard]] Result<std::array<std::uint8_t, 32>> as_account() const;
  [[nodiscard]] Result<std::vector<std::uint64_t>> as_numbers() const;

  bool operator==(const Value&) const = default;

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  void add_fields(std::vector<std::pair<std::string, Value>> fields);
  Kind kind_;
  U128 number_ = 0;
  std::string text_;
  crypto::Bytes bytes_;
  std::vector<Value> items_;
  std::vector<std::string> names_;
};

/// Decimal text of a 128-bit number.
[[nodiscard]] std::string to_decimal(U128 value);

/// Compact JSON of a value: numbers above 2^53 and bytes as strings (bytes as "0x..."), variants without fields as their
/// name. For people and --json output.
[[nodiscard]] std::string to_json(const Value& value);

/// Reads a value of a type. Limits: depth 64, a million values in all, no allocation beyond what the input can hold.
[[nodiscard]] Result<Value> decode_value(const Metadata& metadata, TypeId type, scale_codec::Decoder& in);
/// The same over a whole buffer: nothing may be left.
[[nodiscard]] Result<Value> decode_value(const Metadata& metadata, TypeId type, crypto::ByteView bytes);

/// Appends the value under the type. kMismatch when the value has not the type's shape: a number out of range, a field too
/// many or too few, an unknown variant. Nothing is guessed.
[[nodiscard]] Status encode_value(scale_codec::Encoder& out, const Metadata& metadata, TypeId type, const Value& value);

}  // namespace brainlock::chain
