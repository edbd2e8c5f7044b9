#include "brainlock/chain/rpc.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "brainlock/scale_codec/decoder.hpp"
#include "brainlock/scale_codec/encoder.hpp"

namespace brainlock::chain {
namespace {

using crypto::Bytes;
using crypto::ByteView;
using nlohmann::json;

constexpr std::size_t kKeysPerRequest = 500;
constexpr std::int64_t kMethodNotFound = -32601;

Error unexpected(std::string_view method) {
  return {ErrorCode::kMalformed, std::string(method) + " was answered in an unknown shape"};
}

Result<json> parse(std::string_view method, const std::string& text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return unexpected(method);
  return value;
}

Result<Bytes> hex_of(std::string_view method, const json& value) {
  if (!value.is_string()) return unexpected(method);
  return crypto::hex_decode(value.get_ref<const std::string&>());
}

// A number, or hex text of one, as header numbers are.
Result<std::uint64_t> number_of(std::string_view method, const json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_string()) return unexpected(method);
  const auto& text = value.get_ref<const std::string&>();
  std::uint64_t number = 0;
  if (text.size() < 3 || text.size() > 18 || !text.starts_with("0x")) return unexpected(method);
  for (char c : text.substr(2)) {
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return unexpected(method);
    number = number << 4 | digit;
  }
  return number;
}

}  // namespace

Error to_error(const RpcError& error, std::string_view method) {
  std::string words = error.message;
  std::transform(words.begin(), words.end(), words.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  // Without a code only the words tell.
  constexpr std::string_view kMissing[] = {"method not found", "unknown method", "no such method", "method not supported", "unsupported method",
                                           "not implemented", "method does not exist", "method not available", "method is not available"};
  const bool missing = error.code == kMethodNotFound || std::any_of(std::begin(kMissing), std::end(kMissing), [&](std::string_view phrase) {
                         return words.find(phrase) != std::string::npos;
                       });
  std::string text = std::string(method) + ": " + error.message;
  if (!error.data.empty()) text += " (" + error.data + ")";
  if (error.code) text += " [" + std::to_string(*error.code) + "]";
  return {missing ? ErrorCode::kUnsupported : ErrorCode::kDenied, "the node refused " + text};
}

Result<std::string> Rpc::result_of(std::string_view method, std::string_view params) {
  BRAINLOCK_ASSIGN(auto reply, transport_->request(method, params, timeout_));
  if (reply.error) return to_error(*reply.error, method);
  return std::move(reply.result);
}

Result<BlockHash> Rpc::hash_of(std::string_view method, std::string_view params) {
  BRAINLOCK_ASSIGN(const auto text, result_of(method, params));
  BRAINLOCK_ASSIGN(const auto value, parse(method, text));
  if (value.is_null()) return Error{ErrorCode::kNotFound, std::string(method) + ": the chain has no such block"};
  if (!value.is_string()) return unexpected(method);
  return crypto::hex_decode_array<32>(value.get_ref<const std::string&>());
}

Result<Bytes> Rpc::bytes_of(std::string_view method, std::string_view params) {
  BRAINLOCK_ASSIGN(const auto text, result_of(method, params));
  BRAINLOCK_ASSIGN(const auto value, parse(method, text));
  if (value.is_null()) return Error{ErrorCode::kNotFound, "the node answers nothing to " + std::string(method)};
  return hex_of(method, value);
}

Result<BlockHash> Rpc::best_hash() {
  auto hash = hash_of("chain_getBlockHash", "[]");
  const auto refused = [](const Error& error) {
    return error.code == ErrorCode::kDenied || error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kNotFound;
  };
  if (hash.ok() || !refused(hash.error())) return hash;
  // A node that wants a number: that of its newest header.
  const auto best = header_of("[]");
  return best.ok() ? block_hash(best->number) : hash;
}
Result<BlockHash> Rpc::finalized_hash() { return hash_of("chain_getFinalizedHead", "[]"); }
Result<BlockHash> Rpc::block_hash(std::uint64_t number) {
  return hash_of("chain_getBlockHash", json::array({number}).dump());
}

Result<Header> Rpc::header(const BlockHash& at) { return header_of(json::array({crypto::hex_encode_0x(at)}).dump()); }

Result<Header> Rpc::header_of(std::string_view params) {
  constexpr std::string_view kMethod = "chain_getHeader";
  BRAINLOCK_ASSIGN(const auto text, result_of(kMethod, params));
  BRAINLOCK_ASSIGN(const auto value, parse(kMethod, text));
  if (value.is_null()) return Error{ErrorCode::kNotFound, "the node does not know the block"};
  if (!value.is_object() || !value.contains("number") || !value.contains("parentHash") || !value["parentHash"].is_string()) {
    return unexpected(kMethod);
  }
  Header header;
  BRAINLOCK_ASSIGN(header.number, number_of(kMethod, value["number"]));
  BRAINLOCK_ASSIGN(header.parent, crypto::hex_decode_array<32>(value["parentHash"].get_ref<const std::string&>()));
  return header;
}

Result<RuntimeVersion> Rpc::runtime_version(const BlockHash& at) {
  constexpr std::string_view kMethod = "state_getRuntimeVersion";
  BRAINLOCK_ASSIGN(const auto text, result_of(kMethod, json::array({crypto::hex_encode_0x(at)}).dump()));
  BRAINLOCK_ASSIGN(const auto value, parse(kMethod, text));
  RuntimeVersion version;
  for (const char* name : {"specVersion", "transactionVersion"}) {
    if (!value.is_object() || !value.contains(name) || !value[name].is_number_unsigned()) return unexpected(kMethod);
  }
  version.spec_version = value["specVersion"].get<std::uint32_t>();
  version.transaction_version = value["transactionVersion"].get<std::uint32_t>();
  if (value.contains("specName") && value["specName"].is_string()) version.spec_name = value["specName"].get<std::string>();
  return version;
}

Result<Bytes> Rpc::metadata(const BlockHash& at) {
  // Option<Vec<u8>> of a version; older runtimes lack the call or answer None.
  for (const std::uint32_t version : {15u, 16u}) {
    const auto answer = call("Metadata_metadata_at_version", scale_codec::Encoder().u32(version).take(), at);
    if (!answer.ok()) {
      const auto code = answer.error().code;
      if (code == ErrorCode::kDenied || code == ErrorCode::kUnsupported || code == ErrorCode::kNotFound || code == ErrorCode::kMalformed) break;
      return answer.error();
    }
    scale_codec::Decoder in(*answer);
    if (const auto some = in.u8(); some.ok() && *some == 1) {
      if (const auto blob = in.bytes(); blob.ok() && in.at_end()) return Bytes(blob->begin(), blob->end());
    }
  }
  return bytes_of("state_getMetadata", json::array({crypto::hex_encode_0x(at)}).dump());
}

Result<std::optional<Bytes>> Rpc::storage(ByteView key, const BlockHash& at) {
  constexpr std::string_view kMethod = "state_getStorage";
  BRAINLOCK_ASSIGN(const auto text,
                   result_of(kMethod, json::array({crypto::hex_encode_0x(key), crypto::hex_encode_0x(at)}).dump()));
  BRAINLOCK_ASSIGN(const auto value, parse(kMethod, text));
  if (value.is_null()) return std::optional<Bytes>{};
  BRAINLOCK_ASSIGN(auto bytes, hex_of(kMethod, value));
  return std::optional<Bytes>(std::move(bytes));
}

Result<std::vector<std::optional<Bytes>>> Rpc::storage_batch(const std::vector<Bytes>& keys, const BlockHash& at) {
  constexpr std::string_view kMethod = "state_queryStorageAt";
  std::map<std::string, std::optional<Bytes>> found;
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(crypto::hex_encode_0x(key));
  for (std::size_t from = 0; from < names.size(); from += kKeysPerRequest) {
    const auto end = std::min(names.size(), from + kKeysPerRequest);
    const json part(std::vector<std::string>(names.begin() + static_cast<std::ptrdiff_t>(from),
                                             names.begin() + static_cast<std::ptrdiff_t>(end)));
    auto text = result_of(kMethod, json::array({part, crypto::hex_encode_0x(at)}).dump());
    if (!text.ok() && text.error().code != ErrorCode::kUnsupported && text.error().code != ErrorCode::kDenied) return text.error();
    if (!text.ok()) {  // A node that does not offer the batch form, in whatever words it says so.
      for (std::size_t i = from; i < end; ++i) {
        BRAINLOCK_ASSIGN(found[names[i]], storage(keys[i], at));
      }
      continue;
    }
    BRAINLOCK_ASSIGN(const auto sets, parse(kMethod, *text));
    if (!sets.is_array()) return unexpected(kMethod);
    // A node names at least the block. One that has no such block may say so with an empty list, which must not pass for
    // items that are absent.
    if (sets.empty()) return Error{ErrorCode::kNotFound, "the node does not know the block"};
    for (const auto& set : sets) {
      const auto block = set.is_object() ? set.find("block") : set.end();
      if (block != set.end() && block->is_string()) {
        const auto hash = crypto::hex_decode_array<32>(block->get_ref<const std::string&>());
        if (!hash.ok() || *hash != at) return Error{ErrorCode::kMalformed, std::string(kMethod) + " was answered for another block"};
      }
      if (!set.is_object() || !set.contains("changes") || !set["changes"].is_array()) return unexpected(kMethod);
      for (const auto& change : set["changes"]) {
        if (!change.is_array() || change.size() != 2 || !change[0].is_string()) return unexpected(kMethod);
        if (change[1].is_null()) continue;
        BRAINLOCK_ASSIGN(auto bytes, hex_of(kMethod, change[1]));
        found[change[0].get<std::string>()] = std::move(bytes);
      }
    }
  }
  std::vector<std::optional<Bytes>> out;
  out.reserve(names.size());
  for (const auto& name : names) out.push_back(found[name]);
  return out;
}

Result<Bytes> Rpc::call(std::string_view method, ByteView arguments, const BlockHash& at) {
  return bytes_of("state_call", json::array({std::string(method), crypto::hex_encode_0x(arguments),
                                             crypto::hex_encode_0x(at)})
                                    .dump());
}

Result<std::uint32_t> Rpc::next_nonce(std::string_view ss58) {
  constexpr std::string_view kMethod = "system_accountNextIndex";
  BRAINLOCK_ASSIGN(const auto text, result_of(kMethod, json::array({std::string(ss58)}).dump()));
  BRAINLOCK_ASSIGN(const auto value, parse(kMethod, text));
  BRAINLOCK_ASSIGN(const auto number, number_of(kMethod, value));
  if (number > 0xffffffffu) return unexpected(kMethod);
  return static_cast<std::uint32_t>(number);
}

Result<std::vector<Bytes>> Rpc::block_extrinsics(const BlockHash& at) {
  constexpr std::string_view kMethod = "chain_getBlock";
  BRAINLOCK_ASSIGN(const auto text, result_of(kMethod, json::array({crypto::hex_encode_0x(at)}).dump()));
  BRAINLOCK_ASSIGN(const auto value, parse(kMethod, text));
  if (value.is_null()) return Error{ErrorCode::kNotFound, "the node does not know the block"};
  if (!value.is_object() || !value.contains("block") || !value["block"].is_object() ||
      !value["block"].contains("extrinsics") || !value["block"]["extrinsics"].is_array()) {
    return unexpected(kMethod);
  }
  std::vector<Bytes> out;
  for (const auto& extrinsic : value["block"]["extrinsics"]) {
    BRAINLOCK_ASSIGN(auto bytes, hex_of(kMethod, extrinsic));
    out.push_back(std::move(bytes));
  }
  return out;
}

}  // namespace brainlock::chain
