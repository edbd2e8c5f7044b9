// What can be asked of a chain, built by name from its metadata: storage keys, calls, constants, runtime calls.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/chain/metadata.hpp"
#include "brainlock/chain/value.hpp"

namespace brainlock::chain {

using Arguments = std::vector<std::pair<std::string, Value>>;

/// Key of a storage item, one value a hasher; fewer values give the prefix of all items under them.
[[nodiscard]] Result<crypto::Bytes> storage_key(const Metadata& metadata, std::string_view pallet,
                                                std::string_view entry, std::span<const Value> keys = {});

/// Value of a storage item from what the node returned; absent gives "None" for optional items (present ones come without
/// "Some") and the metadata's default for others.
[[nodiscard]] Result<Value> decode_storage(const Metadata& metadata, std::string_view pallet, std::string_view entry,
                                           const std::optional<crypto::Bytes>& bytes);

/// Bytes of a call: pallet index, call index, arguments in the metadata's order. The argument names must be exactly those
/// of this runtime; kUnsupported lists the difference otherwise, so that a changed call is never half filled in.
[[nodiscard]] Result<crypto::Bytes> encode_call(const Metadata& metadata, std::string_view pallet,
                                                std::string_view call, const Arguments& arguments);

/// Whether this runtime has such a call.
[[nodiscard]] bool has_call(const Metadata& metadata, std::string_view pallet, std::string_view call);

/// A pallet's constant.
[[nodiscard]] Result<Value> constant_value(const Metadata& metadata, std::string_view pallet, std::string_view name);

/// Arguments of a runtime call in order, and its result. Needs metadata version 15.
[[nodiscard]] Result<crypto::Bytes> encode_runtime_arguments(const Metadata& metadata, std::string_view api,
                                                             std::string_view method, std::span<const Value> arguments);
[[nodiscard]] Result<Value> decode_runtime_result(const Metadata& metadata, std::string_view api,
                                                  std::string_view method, crypto::ByteView bytes);

/// Name of a DispatchError value, for example "SubtensorModule.HotKeyNotRegisteredInSubNet" or "BadOrigin".
[[nodiscard]] std::string dispatch_error_name(const Metadata& metadata, const Value& error);

}  // namespace brainlock::chain
