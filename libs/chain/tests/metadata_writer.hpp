// Writes decoded metadata as a blob of version 15 or 16, with runtime calls and types added: a runtime of the kind that no stored
// blob describes.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "brainlock/chain/metadata.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::chain {

inline void write_fields(scale_codec::Encoder& out, const std::vector<Field>& fields) {
  out.compact(fields.size());
  for (const auto& field : fields) {
    out.boolean(!field.name.empty());
    if (!field.name.empty()) out.text(field.name);
    out.compact(field.type).u8(0).compact(0);  // No type name, no documentation.
  }
}

inline void write_type(scale_codec::Encoder& out, TypeId id, const TypeDefinition& type) {
  using Kind = TypeDefinition::Kind;
  out.compact(id).compact(type.name.empty() ? 0 : 1);
  if (!type.name.empty()) out.text(type.name);
  out.compact(0).u8(static_cast<std::uint8_t>(type.kind));
  switch (type.kind) {
    case Kind::kComposite: write_fields(out, type.fields); break;
    case Kind::kVariant:
      out.compact(type.cases.size());
      for (const auto& variant : type.cases) {
        out.text(variant.name);
        write_fields(out, variant.fields);
        out.u8(variant.index).compact(0);
      }
      break;
    case Kind::kSequence:
    case Kind::kCompact: out.compact(type.element); break;
    case Kind::kArray: out.u32(type.array_length).compact(type.element); break;
    case Kind::kTuple:
      out.compact(type.fields.size());
      for (const auto& field : type.fields) out.compact(field.type);
      break;
    case Kind::kPrimitive: out.u8(static_cast<std::uint8_t>(type.primitive)); break;
    case Kind::kBits: out.compact(type.element).compact(type.element); break;
  }
  out.compact(0);
}

/// `extra_types` follow the metadata's own, `edit` may change any of them; tuples of keys are made here for maps of several.
/// `extra_storage` goes into the subnet's pallet.
inline crypto::Bytes write_metadata(int version, const Metadata& metadata, std::vector<TypeDefinition> extra_types,
                                    const std::vector<RuntimeMethod>& methods,
                                    const std::function<void(std::vector<TypeDefinition>&)>& edit = {},
                                    const std::vector<StorageEntry>& extra_storage = {},
                                    const std::vector<std::uint8_t>& extension_choice = {}) {
  std::vector<TypeDefinition> types = metadata.types();
  for (auto& type : extra_types) types.push_back(std::move(type));
  if (edit) edit(types);
  scale_codec::Encoder pallets;
  const bool is_16 = version == 16;
  // Deprecations of version 16, of each form in turn: none, bare, with a note, with a note and a version.
  std::size_t deprecations = 0;
  const auto deprecation = [&](scale_codec::Encoder& out) {
    if (!is_16) return;
    const auto form = deprecations++ % 4;
    out.u8(static_cast<std::uint8_t>(std::min<std::size_t>(form, 2)));
    if (form >= 2) out.text("use another").boolean(form == 3);
    if (form == 3) out.text("1.2.3");
  };
  const auto optional = [&](const std::optional<TypeId>& id) {
    pallets.boolean(id.has_value());
    if (id) pallets.compact(*id);
    if (!id || !is_16) return;
    const auto cases = deprecations % 3;
    pallets.compact(cases);
    for (std::size_t i = 0; i < cases; ++i) deprecation(pallets.u8(static_cast<std::uint8_t>(i)));
  };
  pallets.compact(metadata.pallets().size());
  for (const auto& pallet : metadata.pallets()) {
    pallets.text(pallet.name).boolean(!pallet.storage_prefix.empty());
    if (!pallet.storage_prefix.empty()) {
      auto storage = pallet.storage;
      if (pallet.name == "SubtensorModule") storage.insert(storage.end(), extra_storage.begin(), extra_storage.end());
      pallets.text(pallet.storage_prefix).compact(storage.size());
      for (const auto& entry : storage) {
        pallets.text(entry.name).u8(entry.is_optional ? 0 : 1).u8(entry.hashers.empty() ? 0 : 1);
        if (!entry.hashers.empty()) {
          pallets.compact(entry.hashers.size());
          for (auto hasher : entry.hashers) pallets.u8(static_cast<std::uint8_t>(hasher));
          TypeId key = entry.keys.front();
          if (entry.keys.size() > 1) {
            TypeDefinition tuple;
            for (TypeId part : entry.keys) tuple.fields.push_back({{}, part});
            key = static_cast<TypeId>(types.size());
            types.push_back(std::move(tuple));
          }
          pallets.compact(key);
        }
        pallets.compact(entry.value).bytes(entry.default_value).compact(0);
        deprecation(pallets);
      }
    }
    optional(pallet.calls);
    optional(pallet.events);
    pallets.compact(pallet.constants.size());
    for (const auto& constant : pallet.constants) {
      pallets.text(constant.name).compact(constant.type).bytes(constant.value).compact(0);
      deprecation(pallets);
    }
    optional(pallet.errors);
    if (is_16) {  // An associated type and a view with one input.
      pallets.compact(1).text("Hash").compact(1).compact(0);
      pallets.compact(1).raw(crypto::Bytes(32, 7)).text("view").compact(1).text("key").compact(2).compact(1).compact(0);
      deprecation(pallets);
    }
    pallets.u8(pallet.index).compact(0);
    deprecation(pallets);
  }
  scale_codec::Encoder out;
  out.u32(0x6174656d).u8(static_cast<std::uint8_t>(version)).compact(types.size());
  for (TypeId id = 0; id < types.size(); ++id) write_type(out, id, types[id]);
  out.raw(pallets.data());
  if (is_16) {
    out.bytes(crypto::Bytes{metadata.extrinsic_version(), 5}).compact(0).compact(0).compact(0);
    out.compact(1).u8(0).compact(extension_choice.empty() ? metadata.signed_extensions().size() : extension_choice.size());
    for (std::size_t i = 0; extension_choice.empty() && i < metadata.signed_extensions().size(); ++i) out.compact(i);
    for (const auto place : extension_choice) out.compact(place);
  } else {
    out.u8(metadata.extrinsic_version());
    for (int i = 0; i < 4; ++i) out.compact(0);
  }
  out.compact(metadata.signed_extensions().size());
  for (const auto& extension : metadata.signed_extensions()) {
    out.text(extension.identifier).compact(extension.extra).compact(extension.additional);
  }
  if (!is_16) out.compact(0);  // The runtime's own type.
  out.compact(methods.size());
  for (const auto& method : methods) {  // One API a method keeps the writer short.
    out.text(method.api).compact(1).text(method.name).compact(method.inputs.size());
    for (const auto& input : method.inputs) out.text(input.name).compact(input.type);
    out.compact(method.output).compact(0);
    deprecation(out);
    out.compact(0);
    if (is_16) out.compact(3);  // The version of the API.
    deprecation(out);
  }
  for (int i = 0; i < 4; ++i) out.compact(0);  // Three outer enums, no custom values.
  return out.take();
}

inline crypto::Bytes write_metadata_15(const Metadata& metadata, std::vector<TypeDefinition> extra_types,
                                       const std::vector<RuntimeMethod>& methods,
                                       const std::function<void(std::vector<TypeDefinition>&)>& edit = {},
                                       const std::vector<StorageEntry>& extra_storage = {}) {
  return write_metadata(15, metadata, std::move(extra_types), methods, edit, extra_storage);
}

}  // namespace brainlock::chain
