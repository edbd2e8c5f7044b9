// A chain's description of itself: types, pallets, storage, calls, errors, signed extensions, runtime calls.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/crypto/bytes.hpp"

namespace brainlock::chain {

/// Position in the metadata's type table; every id in a decoded Metadata is in range.
using TypeId = std::uint32_t;

enum class Primitive : std::uint8_t {
  kBool, kChar, kStr, kU8, kU16, kU32, kU64, kU128, kU256, kI8, kI16, kI32, kI64, kI128, kI256
};

struct Field {
  std::string name;  ///< empty in tuple-like structs
  TypeId type = 0;
};

struct VariantCase {
  std::string name;
  std::uint8_t index = 0;
  std::vector<Field> fields;
};

struct TypeDefinition {
  enum class Kind : std::uint8_t { kComposite, kVariant, kSequence, kArray, kTuple, kPrimitive, kCompact, kBits };
  Kind kind = Kind::kTuple;
  std::string name;                ///< last part of the path; empty for unnamed types
  std::vector<Field> fields;       ///< composite, and tuple with unnamed fields
  std::vector<VariantCase> cases;  ///< variant
  TypeId element = 0;              ///< sequence, array, compact
  std::uint32_t array_length = 0;
  Primitive primitive = Primitive::kBool;
  std::uint32_t min_encoded_bytes = 0;  ///< lower bound, for limits before allocation

  [[nodiscard]] const VariantCase* find_case(std::string_view case_name) const;
  [[nodiscard]] const VariantCase* find_case(std::uint8_t index) const;
};

enum class StorageHasher : std::uint8_t {
  kBlake2_128, kBlake2_256, kBlake2_128Concat, kTwox128, kTwox256, kTwox64Concat, kIdentity
};

struct StorageEntry {
  std::string name;
  bool is_optional = false;             ///< absent means none; otherwise absent means default_value
  std::vector<StorageHasher> hashers;   ///< empty for a plain value
  std::vector<TypeId> keys;             ///< one a hasher
  TypeId value = 0;
  crypto::Bytes default_value;
};

struct Constant {
  std::string name;
  TypeId type = 0;
  crypto::Bytes value;
};

struct Pallet {
  std::string name;
  std::uint8_t index = 0;
  std::string storage_prefix;
  std::vector<StorageEntry> storage;
  std::optional<TypeId> calls, events, errors;
  std::vector<Constant> constants;

  [[nodiscard]] const StorageEntry* find_storage(std::string_view entry) const;
  [[nodiscard]] const Constant* find_constant(std::string_view constant) const;
};

struct SignedExtension {
  std::string identifier;
  TypeId extra = 0;       ///< travels in the extrinsic
  TypeId additional = 0;  ///< signed only
};

struct RuntimeMethod {
  std::string api;
  std::string name;
  std::vector<Field> inputs;
  TypeId output = 0;
};

/// Decoded metadata, version 14, 15 or 16. Immutable and safe from many threads. About 2 MB for a real chain.
class Metadata {
 public:
  /// Largest blob that is read; real ones are below 1 MiB.
  static constexpr std::size_t kMaxBytes = 16 * 1024 * 1024;

  /// Reads metadata bytes ("meta", version, ...). kUnsupported for another version, and for version 16 with transactions of which
  /// some take only part of the extensions; otherwise the codec's errors. Cost: some milliseconds.
  [[nodiscard]] static Result<Metadata> decode(crypto::ByteView bytes);

  [[nodiscard]] int version() const { return version_; }
  [[nodiscard]] const std::vector<TypeDefinition>& types() const { return types_; }
  [[nodiscard]] const TypeDefinition& type(TypeId id) const { return types_[id]; }
  [[nodiscard]] const std::vector<Pallet>& pallets() const { return pallets_; }
  [[nodiscard]] std::uint8_t extrinsic_version() const { return extrinsic_version_; }
  [[nodiscard]] const std::vector<SignedExtension>& signed_extensions() const { return signed_extensions_; }
  /// Runtime calls; empty in version 14, which does not describe them.

  /// Look-ups by name; kNotFound when this runtime has no such thing.
  [[nodiscard]] Result<const Pallet*> pallet(std::string_view name) const;
  [[nodiscard]] Result<const StorageEntry*> storage(std::string_view pallet, std::string_view entry) const;
  [[nodiscard]] Result<const RuntimeMethod*> runtime_method(std::string_view api, std::string_view method) const;

  /// Name of a module error, for example "SubtensorModule.HotKeyNotRegisteredInSubNet"; "pallet 7 error 3" if unknown.
  [[nodiscard]] std::string module_error_name(std::uint8_t pallet_index, std::uint8_t error_index) const;

 private:
  friend class MetadataReader;
  int version_ = 0;
  std::vector<TypeDefinition> types_;
  std::vector<Pallet> pallets_;
  std::uint8_t extrinsic_version_ = 0;
  std::vector<SignedExtension> signed_extensions_;
  std::vector<RuntimeMethod> runtime_methods_;
};

}  // namespace brainlock::chain
