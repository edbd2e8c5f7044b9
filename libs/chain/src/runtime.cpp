#include "brainlock/chain/runtime.hpp"

#include <algorithm>

#include "brainlock/crypto/hash.hpp"

namespace brainlock::chain {
namespace {

using crypto::Bytes;
using crypto::ByteView;

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void append_hashed(Bytes& out, StorageHasher hasher, ByteView key) {
  switch (hasher) {
    case StorageHasher::kBlake2_128: append(out, crypto::blake2b_128(key)); break;
    case StorageHasher::kBlake2_256: append(out, crypto::blake2b_256(key)); break;
    case StorageHasher::kBlake2_128Concat:
      append(out, crypto::blake2b_128(key));
      append(out, key);
      break;
    case StorageHasher::kTwox128: append(out, crypto::twox_128(key)); break;
    case StorageHasher::kTwox256: append(out, crypto::twox_256(key)); break;
    case StorageHasher::kTwox64Concat:
      append(out, crypto::twox_64(key));
      append(out, key);
      break;
    case StorageHasher::kIdentity: append(out, key); break;
  }
}

const VariantCase* find_call(const Metadata& metadata, const Pallet& pallet, std::string_view call) {
  return pallet.calls ? metadata.type(*pallet.calls).find_case(call) : nullptr;
}

std::string join_names(const auto& items, const auto& name_of) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + std::string(name_of(item));
  return out;
}

}  // namespace

Result<Bytes> storage_key(const Metadata& metadata, std::string_view pallet_name, std::string_view entry_name,
                          std::span<const Value> keys) {
  BRAINLOCK_ASSIGN(const auto* pallet, metadata.pallet(pallet_name));
  BRAINLOCK_ASSIGN(const auto* entry, metadata.storage(pallet_name, entry_name));
  if (keys.size() > entry->keys.size()) {
    return Error{ErrorCode::kMismatch, "storage " + entry->name + " takes " + std::to_string(entry->keys.size()) +
                                           " keys, " + std::to_string(keys.size()) + " were given"};
  }
  Bytes out;
  append(out, crypto::twox_128(crypto::as_bytes(pallet->storage_prefix)));
  append(out, crypto::twox_128(crypto::as_bytes(entry->name)));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    scale_codec::Encoder key;
    const Status status = encode_value(key, metadata, entry->keys[i], keys[i]);
    if (!status.ok()) return status.error().in("key of storage " + entry->name);
    append_hashed(out, entry->hashers[i], key.data());
  }
  return out;
}

Result<Value> decode_storage(const Metadata& metadata, std::string_view pallet, std::string_view entry_name,
                             const std::optional<Bytes>& bytes) {
  BRAINLOCK_ASSIGN(const auto* entry, metadata.storage(pallet, entry_name));
  if (!bytes && entry->is_optional) return Value::none();
  auto value = decode_value(metadata, entry->value, ByteView(bytes ? *bytes : entry->default_value));
  if (!value.ok()) return value.error().in("storage " + entry->name);
  return value;
}

Result<Bytes> encode_call(const Metadata& metadata, std::string_view pallet_name, std::string_view call_name,
                          const Arguments& arguments) {
  BRAINLOCK_ASSIGN(const auto* pallet, metadata.pallet(pallet_name));
  const auto* call = find_call(metadata, *pallet, call_name);
  const std::string where = std::string(pallet_name) + "." + std::string(call_name);
  if (call == nullptr) return Error{ErrorCode::kNotFound, "this runtime has no call " + where};
  scale_codec::Encoder out;
  out.u8(pallet->index).u8(call->index);
  bool same = call->fields.size() == arguments.size();
  for (const auto& field : call->fields) {
    const auto given = std::find_if(arguments.begin(), arguments.end(),
                                    [&](const auto& argument) { return argument.first == field.name; });
    if (given == arguments.end()) {
      same = false;
      break;
    }
    const Status status = encode_value(out, metadata, field.type, given->second);
    if (!status.ok()) return status.error().in(where + " " + field.name);
  }
  if (!same) {
    return Error{ErrorCode::kUnsupported,
                 where + " takes (" + join_names(call->fields, [](const auto& f) { return f.name; }) +
                     ") in this runtime; this program knows (" +
                     join_names(arguments, [](const auto& a) { return a.first; }) + ")"};
  }
  return out.take();
}

bool has_call(const Metadata& metadata, std::string_view pallet_name, std::string_view call) {
  const auto pallet = metadata.pallet(pallet_name);
  return pallet.ok() && find_call(metadata, **pallet, call) != nullptr;
}

Result<Value> constant_value(const Metadata& metadata, std::string_view pallet_name, std::string_view name) {
  BRAINLOCK_ASSIGN(const auto* pallet, metadata.pallet(pallet_name));
  const auto* constant = pallet->find_constant(name);
  if (constant == nullptr) {
    return Error{ErrorCode::kNotFound, "this runtime has no constant " + std::string(pallet_name) + "." + std::string(name)};
  }
  return decode_value(metadata, constant->type, ByteView(constant->value));
}

Result<Bytes> encode_runtime_arguments(const Metadata& metadata, std::string_view api, std::string_view method_name,
                                       std::span<const Value> arguments) {
  BRAINLOCK_ASSIGN(const auto* method, metadata.runtime_method(api, method_name));
  if (method->inputs.size() != arguments.size()) {
    return Error{ErrorCode::kUnsupported, method->name + " takes " + std::to_string(method->inputs.size()) +
                                              " arguments in this runtime, " + std::to_string(arguments.size()) +
                                              " are known"};
  }
  scale_codec::Encoder out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    BRAINLOCK_TRY(encode_value(out, metadata, method->inputs[i].type, arguments[i]));
  }
  return out.take();
}

Result<Value> decode_runtime_result(const Metadata& metadata, std::string_view api, std::string_view method_name,
                                    ByteView bytes) {
  BRAINLOCK_ASSIGN(const auto* method, metadata.runtime_method(api, method_name));
  auto value = decode_value(metadata, method->output, bytes);
  if (!value.ok()) return value.error().in(method->name);
  return value;
}

std::string dispatch_error_name(const Metadata& metadata, const Value& error) {
  if (error.kind() != Value::Kind::kVariant) return "unknown dispatch error";
  if (error.name() != "Module") {
    const auto& items = error.items();
    if (items.size() == 1 && items.front().kind() == Value::Kind::kVariant) return error.name() + "." + items.front().name();
    return error.name();
  }
  // Module(ModuleError { index, error: [u8; 4] }); runtimes differ in whether the struct is unwrapped.
  const Value& module = error.items().size() == 1 ? error.items().front() : error;
  const auto index = module.field("index");
  const auto code = module.field("error");
  if (!index.ok() || !code.ok()) return "Module error of an unknown shape";
  const auto pallet_index = (*index)->as_u32();
  std::uint8_t error_index = 0;
  if (const auto bytes = (*code)->as_bytes(); bytes.ok() && !bytes->empty()) {
    error_index = bytes->front();
  } else if (const auto number = (*code)->as_u32(); number.ok()) {
    error_index = static_cast<std::uint8_t>(*number);
  }
  if (!pallet_index.ok()) return "Module error of an unknown shape";
  return metadata.module_error_name(static_cast<std::uint8_t>(*pallet_index), error_index);
}

}  // namespace brainlock::chain
