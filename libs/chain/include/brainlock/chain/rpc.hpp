// The JSON-RPC methods that the client needs, typed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/chain/transport.hpp"
#include "brainlock/crypto/bytes.hpp"
#include "brainlock/crypto/hash.hpp"

namespace brainlock::chain {

using BlockHash = crypto::Hash256;

struct Header {
  std::uint64_t number = 0;
  BlockHash parent{};
};

struct RuntimeVersion {
  std::string spec_name;
  std::uint32_t spec_version = 0;
  std::uint32_t transaction_version = 0;
  bool operator==(const RuntimeVersion&) const = default;
};

/// A node's refusal of a request as an Error: kUnsupported for a method it does not have, else kDenied with its words.
[[nodiscard]] Error to_error(const RpcError& error, std::string_view method);

/// Typed requests over a transport. Safe from many threads. Errors of the transport, kMalformed for an answer of another
/// shape, and to_error() of refusals. `at` pins a read to one block; without it the node's best block is meant.
class Rpc {
 public:
  explicit Rpc(std::shared_ptr<Transport> transport, Milliseconds timeout = Milliseconds{30'000})
      : transport_(std::move(transport)), timeout_(timeout) {}

  [[nodiscard]] Transport& transport() const { return *transport_; }
  [[nodiscard]] Milliseconds timeout() const { return timeout_; }

  [[nodiscard]] Result<BlockHash> best_hash();
  [[nodiscard]] Result<BlockHash> finalized_hash();
  /// kNotFound when the chain is not that long.
  [[nodiscard]] Result<BlockHash> block_hash(std::uint64_t number);
  [[nodiscard]] Result<Header> header(const BlockHash& at);
  [[nodiscard]] Result<RuntimeVersion> runtime_version(const BlockHash& at);
  /// Metadata version 15 where the runtime offers it, else 16, else what the node gives unasked (14).
  [[nodiscard]] Result<crypto::Bytes> metadata(const BlockHash& at);
  [[nodiscard]] Result<std::optional<crypto::Bytes>> storage(crypto::ByteView key, const BlockHash& at);
  /// Many keys in few requests, in the order given.
  [[nodiscard]] Result<std::vector<std::optional<crypto::Bytes>>> storage_batch(const std::vector<crypto::Bytes>& keys,
                                                                                const BlockHash& at);
  /// A runtime call ("Api_method") with its encoded arguments.
  [[nodiscard]] Result<crypto::Bytes> call(std::string_view method, crypto::ByteView arguments, const BlockHash& at);
  /// The account's next nonce, extrinsics in the pool counted.
  [[nodiscard]] Result<std::uint32_t> next_nonce(std::string_view ss58);
  /// The extrinsics of a block, each with its length prefix.
  [[nodiscard]] Result<std::vector<crypto::Bytes>> block_extrinsics(const BlockHash& at);

 private:
  Result<Header> header_of(std::string_view params);
  Result<std::string> result_of(std::string_view method, std::string_view params);
  Result<BlockHash> hash_of(std::string_view method, std::string_view params);
  Result<crypto::Bytes> bytes_of(std::string_view method, std::string_view params);
  std::shared_ptr<Transport> transport_;
  Milliseconds timeout_;
};

}  // namespace brainlock::chain
