#include "brainlock/chain/metadata.hpp"

#include <algorithm>

#include "brainlock/scale_codec/decoder.hpp"

namespace brainlock::chain {

using scale_codec::Decoder;

// Reads one blob front to back; names follow the "frame-metadata" layout. Documentation strings are skipped.
class MetadataReader {
 public:
  explicit MetadataReader(crypto::ByteView bytes) : in_(bytes) {}

  Result<Metadata> read() {
    BRAINLOCK_ASSIGN(const auto magic, in_.u32());
    if (magic != 0x6174656d) return Error{ErrorCode::kMalformed, "metadata does not begin with 'meta'"};
    BRAINLOCK_ASSIGN(const auto version, in_.u8());
    if (version < 14 || version > 16) {
      return Error{ErrorCode::kUnsupported, "metadata version " + std::to_string(version) + "; 14, 15 and 16 are known"};
    }
    out_.version_ = version;
    BRAINLOCK_TRY(read_types());
    BRAINLOCK_ASSIGN(auto pallets_left, in_.length(4));
    for (; pallets_left > 0; --pallets_left) {
      BRAINLOCK_TRY(read_pallet());
    }
    BRAINLOCK_TRY(version == 14 ? read_extrinsic_14() : version == 15 ? read_extrinsic_15() : read_extrinsic_16());
    if (version < 16) BRAINLOCK_TRY(read_type_id(unused_));  // The runtime's own type.
    if (version >= 15) {
      BRAINLOCK_ASSIGN(auto apis_left, in_.length(3));
      for (; apis_left > 0; --apis_left) {
        BRAINLOCK_TRY(read_api());
      }
      for (int i = 0; i < 3; ++i) BRAINLOCK_TRY(read_type_id(unused_));  // Outer enums.
      BRAINLOCK_ASSIGN(auto customs_left, in_.length(3));
      for (; customs_left > 0; --customs_left) {  // Custom values.
        BRAINLOCK_TRY(in_.skip_text());
        BRAINLOCK_TRY(read_type_id(unused_));
        BRAINLOCK_TRY(in_.skip_text());
      }
    }
    BRAINLOCK_TRY(in_.expect_end());
    compute_min_sizes();
    return std::move(out_);
  }

 private:
  // Reads a length and calls `item` that many times.
  template <typename Item>
  Status list(std::size_t min_item_bytes, Item item) {
    BRAINLOCK_ASSIGN(const auto count, in_.length(min_item_bytes));
    for (std::size_t i = 0; i < count; ++i) BRAINLOCK_TRY(item());
    return {};
  }

  Status skip_docs() {
    return list(1, [&] { return in_.skip_text(); });
  }

  Status read_text(std::string& out) {
    BRAINLOCK_ASSIGN(out, in_.text());
    return {};
  }

  // Ids inside the type table may point forward, so the bound is the announced table size.
  Status read_type_id(TypeId& out) {
    BRAINLOCK_ASSIGN(out, in_.compact_u32());
    if (out >= type_count_) {
      return Error{ErrorCode::kMalformed, "type " + std::to_string(out) + " is not among the " +
                                              std::to_string(type_count_) + " types of the metadata"};
    }
    return {};
  }

  Status read_optional_type_id(std::optional<TypeId>& out) {
    BRAINLOCK_ASSIGN(const bool present, in_.boolean());
    if (!present) return {};
    out.emplace();
    return read_type_id(*out);
  }

  Status read_optional_text(std::string& out) {
    BRAINLOCK_ASSIGN(const bool present, in_.boolean());
    return present ? read_text(out) : Status{};
  }

  Status read_fields(std::vector<Field>& out) {
    return list(4, [&]() -> Status {
      Field field;
      BRAINLOCK_TRY(read_optional_text(field.name));
      BRAINLOCK_TRY(read_type_id(field.type));
      std::string type_name;
      BRAINLOCK_TRY(read_optional_text(type_name));
      BRAINLOCK_TRY(skip_docs());
      out.push_back(std::move(field));
      return {};
    });
  }

  Status read_types() {
    BRAINLOCK_ASSIGN(type_count_, in_.length(5));
    out_.types_.reserve(std::min<std::size_t>(type_count_, 65536));
    for (TypeId id = 0; id < type_count_; ++id) {
      BRAINLOCK_ASSIGN(const auto stated, in_.compact_u32());
      if (stated != id) return Error{ErrorCode::kMalformed, "type table is not in order at " + std::to_string(id)};
      BRAINLOCK_TRY(read_type());
    }
    return {};
  }

  Status read_type() {
    using Kind = TypeDefinition::Kind;
    TypeDefinition type;
    BRAINLOCK_ASSIGN(auto path_parts_left, in_.length(1));
    for (; path_parts_left > 0; --path_parts_left) {
      BRAINLOCK_TRY(read_text(type.name));
    }  // The last part of the path stays.
    BRAINLOCK_ASSIGN(auto parameters_left, in_.length(2));
    for (; parameters_left > 0; --parameters_left) {
      BRAINLOCK_TRY(in_.skip_text());
      std::optional<TypeId> parameter;
      BRAINLOCK_TRY(read_optional_type_id(parameter));
    }
    BRAINLOCK_ASSIGN(const auto kind, in_.u8());
    if (kind > static_cast<std::uint8_t>(Kind::kBits)) {
      return Error{ErrorCode::kMalformed, "unknown kind of type: " + std::to_string(kind)};
    }
    type.kind = static_cast<Kind>(kind);
    switch (type.kind) {
      case Kind::kComposite: BRAINLOCK_TRY(read_fields(type.fields)); break;
      case Kind::kVariant: BRAINLOCK_TRY(read_cases(type.cases)); break;
      case Kind::kArray: {
        BRAINLOCK_ASSIGN(type.array_length, in_.u32());
        BRAINLOCK_TRY(read_type_id(type.element));
        break;
      }
      case Kind::kTuple: {
        BRAINLOCK_ASSIGN(auto members_left, in_.length(1));
        for (; members_left > 0; --members_left) {
          type.fields.emplace_back();
          BRAINLOCK_TRY(read_type_id(type.fields.back().type));
        }
        break;
      }
      case Kind::kPrimitive: {
        BRAINLOCK_ASSIGN(const auto primitive, in_.u8());
        if (primitive > static_cast<std::uint8_t>(Primitive::kI256)) {
          return Error{ErrorCode::kMalformed, "unknown primitive: " + std::to_string(primitive)};
        }
        type.primitive = static_cast<Primitive>(primitive);
        break;
      }
      case Kind::kSequence:
      case Kind::kCompact: BRAINLOCK_TRY(read_type_id(type.element)); break;
      case Kind::kBits:
        BRAINLOCK_TRY(read_type_id(type.element));
        BRAINLOCK_TRY(read_type_id(unused_));
        break;
    }
    BRAINLOCK_TRY(skip_docs());
    out_.types_.push_back(std::move(type));
    return {};
  }

  Status read_cases(std::vector<VariantCase>& out) {
    return list(4, [&]() -> Status {
      VariantCase variant;
      BRAINLOCK_TRY(read_text(variant.name));
      BRAINLOCK_TRY(read_fields(variant.fields));
      BRAINLOCK_ASSIGN(variant.index, in_.u8());
      BRAINLOCK_TRY(skip_docs());
      out.push_back(std::move(variant));
      return {};
    });
  }

  // What version 16 says of an item that is going out of use: whether, a note, since when.
  Status skip_deprecation() {
    if (out_.version_ < 16) return {};
    BRAINLOCK_ASSIGN(const auto state, in_.u8());
    if (state > 2) return Error{ErrorCode::kMalformed, "unknown state of deprecation: " + std::to_string(state)};
    if (state < 2) return {};
    BRAINLOCK_TRY(in_.skip_text());
    std::string since;
    return read_optional_text(since);
  }

  // Calls, events or errors of a pallet: the type, and in version 16 which of its cases are going out of use.
  Status read_optional_enum(std::optional<TypeId>& out) {
    BRAINLOCK_TRY(read_optional_type_id(out));
    if (!out || out_.version_ < 16) return {};
    return list(2, [&]() -> Status {
      BRAINLOCK_TRY(in_.u8());
      return skip_deprecation();
    });
  }

  Status read_inputs(std::vector<Field>& out) {
    return list(2, [&]() -> Status {
      Field input;
      BRAINLOCK_TRY(read_text(input.name));
      BRAINLOCK_TRY(read_type_id(input.type));
      out.push_back(std::move(input));
      return {};
    });
  }

  // Types that a pallet is built with, and calls that answer about its state: version 16 lists them, nothing here needs them.
  Status skip_associated_types_and_views() {
    const Status associated = list(3, [&]() -> Status {
      BRAINLOCK_TRY(in_.skip_text());
      BRAINLOCK_TRY(read_type_id(unused_));
      return skip_docs();
    });
    if (!associated.ok()) return associated;
    return list(37, [&]() -> Status {
      BRAINLOCK_TRY(in_.raw(32));
      BRAINLOCK_TRY(in_.skip_text());
      std::vector<Field> inputs;
      BRAINLOCK_TRY(read_inputs(inputs));
      BRAINLOCK_TRY(read_type_id(unused_));
      BRAINLOCK_TRY(skip_docs());
      return skip_deprecation();
    });
  }

  Status read_pallet() {
    Pallet pallet;
    BRAINLOCK_TRY(read_text(pallet.name));
    BRAINLOCK_ASSIGN(const bool has_storage, in_.boolean());
    if (has_storage) {
      BRAINLOCK_TRY(read_text(pallet.storage_prefix));
      BRAINLOCK_ASSIGN(auto entries_left, in_.length(6));
      for (; entries_left > 0; --entries_left) {
        StorageEntry entry;
        BRAINLOCK_TRY(read_storage_entry(entry));
        pallet.storage.push_back(std::move(entry));
      }
    }
    BRAINLOCK_TRY(read_optional_enum(pallet.calls));
    BRAINLOCK_TRY(read_optional_enum(pallet.events));
    BRAINLOCK_ASSIGN(auto constants_left, in_.length(4));
    for (; constants_left > 0; --constants_left) {
      Constant constant;
      BRAINLOCK_TRY(read_text(constant.name));
      BRAINLOCK_TRY(read_type_id(constant.type));
      BRAINLOCK_ASSIGN(const auto value, in_.bytes());
      constant.value.assign(value.begin(), value.end());
      BRAINLOCK_TRY(skip_docs());
      BRAINLOCK_TRY(skip_deprecation());
      pallet.constants.push_back(std::move(constant));
    }
    BRAINLOCK_TRY(read_optional_enum(pallet.errors));
    if (out_.version_ >= 16) BRAINLOCK_TRY(skip_associated_types_and_views());
    BRAINLOCK_ASSIGN(pallet.index, in_.u8());
    if (out_.version_ >= 15) BRAINLOCK_TRY(skip_docs());
    BRAINLOCK_TRY(skip_deprecation());
    out_.pallets_.push_back(std::move(pallet));
    return {};
  }

  Status read_storage_entry(StorageEntry& entry) {
    BRAINLOCK_TRY(read_text(entry.name));
    BRAINLOCK_ASSIGN(const auto modifier, in_.u8());
    if (modifier > 1) {
      return Error{ErrorCode::kUnsupported, "storage " + entry.name + " has modifier " + std::to_string(modifier)};
    }
    entry.is_optional = modifier == 0;
    BRAINLOCK_ASSIGN(const auto kind, in_.u8());
    if (kind == 0) {
      BRAINLOCK_TRY(read_type_id(entry.value));
    } else if (kind == 1) {
      BRAINLOCK_ASSIGN(auto hashers_left, in_.length(1));
      for (; hashers_left > 0; --hashers_left) {
        BRAINLOCK_ASSIGN(const auto hasher, in_.u8());
        if (hasher > static_cast<std::uint8_t>(StorageHasher::kIdentity)) {
          return Error{ErrorCode::kMalformed, "unknown storage hasher: " + std::to_string(hasher)};
        }
        entry.hashers.push_back(static_cast<StorageHasher>(hasher));
      }
      TypeId key = 0;
      BRAINLOCK_TRY(read_type_id(key));
      BRAINLOCK_TRY(read_type_id(entry.value));
      BRAINLOCK_TRY(split_keys(entry, key));
    } else {
      return Error{ErrorCode::kMalformed, "storage " + entry.name + " is neither plain nor a map"};
    }
    BRAINLOCK_ASSIGN(const auto value, in_.bytes());
    entry.default_value.assign(value.begin(), value.end());
    BRAINLOCK_TRY(skip_docs());
    return skip_deprecation();
  }

  // One hasher takes the key whole; several take a tuple of as many keys.
  Status split_keys(StorageEntry& entry, TypeId key) {
    if (entry.hashers.size() == 1) {
      entry.keys = {key};
      return {};
    }
    const auto& type = out_.types_[key];
    if (type.kind != TypeDefinition::Kind::kTuple || type.fields.size() != entry.hashers.size()) {
      return Error{ErrorCode::kMalformed, "storage " + entry.name + ": keys and hashers differ in number"};
    }
    for (const auto& field : type.fields) entry.keys.push_back(field.type);
    return {};
  }

  Status read_signed_extensions() {
    return list(3, [&]() -> Status {
      SignedExtension extension;
      BRAINLOCK_TRY(read_text(extension.identifier));
      BRAINLOCK_TRY(read_type_id(extension.extra));
      BRAINLOCK_TRY(read_type_id(extension.additional));
      out_.signed_extensions_.push_back(std::move(extension));
      return {};
    });
  }

  Status read_extrinsic_14() {
    BRAINLOCK_TRY(read_type_id(unused_));
    BRAINLOCK_ASSIGN(out_.extrinsic_version_, in_.u8());
    return read_signed_extensions();
  }

  Status read_extrinsic_15() {
    BRAINLOCK_ASSIGN(out_.extrinsic_version_, in_.u8());
    for (int i = 0; i < 4; ++i) BRAINLOCK_TRY(read_type_id(unused_));  // Address, call, signature, extra.
    return read_signed_extensions();
  }

  // Several versions of transactions, each with a list of the extensions it takes. Only a list that is all of them in order says
  // for certain what a signature covers.
  Status read_extrinsic_16() {
    BRAINLOCK_ASSIGN(const auto versions, in_.bytes());
    const bool has_4 = std::find(versions.begin(), versions.end(), 4) != versions.end();
    out_.extrinsic_version_ = has_4 ? 4 : versions.empty() ? 0 : versions.back();
    for (int i = 0; i < 3; ++i) BRAINLOCK_TRY(read_type_id(unused_));  // Address, call, signature.
    std::vector<std::vector<std::uint32_t>> choices;
    const Status listed = list(2, [&]() -> Status {
      BRAINLOCK_TRY(in_.u8());
      choices.emplace_back();
      return list(1, [&]() -> Status {
        BRAINLOCK_ASSIGN(const auto place, in_.compact_u32());
        choices.back().push_back(place);
        return {};
      });
    });
    if (!listed.ok()) return listed;
    BRAINLOCK_TRY(read_signed_extensions());
    for (const auto& choice : choices) {
      bool whole = choice.size() == out_.signed_extensions_.size();
      for (std::size_t i = 0; whole && i < choice.size(); ++i) whole = choice[i] == i;
      if (!whole) return Error{ErrorCode::kUnsupported, "a version of this runtime's transactions takes only some of its extensions"};
    }
    return {};
  }

  Status read_api() {
    std::string api;
    BRAINLOCK_TRY(read_text(api));
    BRAINLOCK_ASSIGN(auto methods_left, in_.length(4));
    for (; methods_left > 0; --methods_left) {
      RuntimeMethod method;
      method.api = api;
      BRAINLOCK_TRY(read_text(method.name));
      BRAINLOCK_TRY(read_inputs(method.inputs));
      BRAINLOCK_TRY(read_type_id(method.output));
      BRAINLOCK_TRY(skip_docs());
      BRAINLOCK_TRY(skip_deprecation());
      out_.runtime_methods_.push_back(std::move(method));
    }
    BRAINLOCK_TRY(skip_docs());
    if (out_.version_ >= 16) {
      BRAINLOCK_TRY(in_.compact_u32());  // The version of the API.
    }
    return skip_deprecation();
  }

  // Lower bounds on encoded sizes by rounds of relaxation from zero: each round is a valid bound, and nesting deeper than
  // the rounds (or a type that contains itself) merely leaves the bound low.
  void compute_min_sizes() {
    constexpr int kRounds = 8;
    constexpr std::uint64_t kMost = 1u << 20;
    auto& types = out_.types_;
    for (int round = 0; round < kRounds; ++round) {
      for (auto& type : types) {
        const auto sum = [&](const std::vector<Field>& fields) {
          std::uint64_t total = 0;
          for (const auto& field : fields) total += types[field.type].min_encoded_bytes;
          return std::min(total, kMost);
        };
        std::uint64_t size = 1;  // Sequence, compact, bits: at least a length or value byte.
        using Kind = TypeDefinition::Kind;
        if (type.kind == Kind::kComposite || type.kind == Kind::kTuple) {
          size = sum(type.fields);
        } else if (type.kind == Kind::kVariant) {
          std::uint64_t least = type.cases.empty() ? 0 : kMost;
          for (const auto& variant : type.cases) least = std::min(least, sum(variant.fields));
          size = 1 + least;
        } else if (type.kind == Kind::kArray) {
          size = std::min(kMost, std::uint64_t{type.array_length} * types[type.element].min_encoded_bytes);
        } else if (type.kind == Kind::kPrimitive) {
          static constexpr std::uint8_t kSizes[] = {1, 4, 1, 1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16, 32};
          size = kSizes[static_cast<std::size_t>(type.primitive)];
        } else if (type.kind == Kind::kCompact) {
          size = types[type.element].min_encoded_bytes == 0 ? 0 : 1;  // Compact<()> has no bytes.
        }
        type.min_encoded_bytes = static_cast<std::uint32_t>(size);
      }
    }
  }

  Decoder in_;
  Metadata out_;
  std::size_t type_count_ = 0;
  TypeId unused_ = 0;
};

const VariantCase* TypeDefinition::find_case(std::string_view case_name) const {
  const auto it = std::find_if(cases.begin(), cases.end(), [&](const auto& c) { return c.name == case_name; });
  return it == cases.end() ? nullptr : &*it;
}

const VariantCase* TypeDefinition::find_case(std::uint8_t index) const {
  const auto it = std::find_if(cases.begin(), cases.end(), [&](const auto& c) { return c.index == index; });
  return it == cases.end() ? nullptr : &*it;
}

const StorageEntry* Pallet::find_storage(std::string_view entry) const {
  const auto it = std::find_if(storage.begin(), storage.end(), [&](const auto& e) { return e.name == entry; });
  return it == storage.end() ? nullptr : &*it;
}

const Constant* Pallet::find_constant(std::string_view constant) const {
  const auto it = std::find_if(constants.begin(), constants.end(), [&](const auto& c) { return c.name == constant; });
  return it == constants.end() ? nullptr : &*it;
}

Result<Metadata> Metadata::decode(crypto::ByteView bytes) {
  if (bytes.size() > kMaxBytes) return Error{ErrorCode::kTooLarge, "metadata is larger than 16 MiB"};
  auto metadata = MetadataReader(bytes).read();
  if (!metadata.ok()) return metadata.error().in("metadata");
  return metadata;
}

Result<const Pallet*> Metadata::pallet(std::string_view name) const {
  for (const auto& pallet : pallets_) {
    if (pallet.name == name) return &pallet;
  }
  return Error{ErrorCode::kNotFound, "this runtime has no pallet " + std::string(name)};
}

Result<const StorageEntry*> Metadata::storage(std::string_view pallet_name, std::string_view entry) const {
  BRAINLOCK_ASSIGN(const auto* found, pallet(pallet_name));
  if (const auto* storage = found->find_storage(entry)) return storage;
  return Error{ErrorCode::kNotFound, "this runtime has no storage " + std::string(pallet_name) + "." + std::string(entry)};
}

Result<const RuntimeMethod*> Metadata::runtime_method(std::string_view api, std::string_view method) const {
  for (const auto& found : runtime_methods_) {
    if (found.api == api && found.name == method) return &found;
  }
  return Error{ErrorCode::kNotFound, "this runtime describes no call " + std::string(api) + "." + std::string(method)};
}

std::string Metadata::module_error_name(std::uint8_t pallet_index, std::uint8_t error_index) const {
  for (const auto& pallet : pallets_) {
    if (pallet.index != pallet_index || !pallet.errors) continue;
    if (const auto* error = type(*pallet.errors).find_case(error_index)) return pallet.name + "." + error->name;
  }
  return "pallet " + std::to_string(pallet_index) + " error " + std::to_string(error_index);
}

}  // namespace brainlock::chain
