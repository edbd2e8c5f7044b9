// A chain at hand: its metadata, reads pinned to a block, and transactions followed to their end.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/chain/extrinsic.hpp"
#include "brainlock/chain/metadata.hpp"
#include "brainlock/chain/refusal.hpp"
#include "brainlock/chain/rpc.hpp"
#include "brainlock/chain/runtime.hpp"
#include "brainlock/chain/value.hpp"

namespace brainlock::chain {

/// One block to read from, with the metadata of its runtime. Everything read through one view is of one moment.
struct BlockView {
  BlockHash hash{};
  std::uint64_t number = 0;
  RuntimeVersion version;
  std::shared_ptr<const Metadata> metadata;
};

struct SubmitOptions {
  std::uint64_t era_period = 64;        ///< blocks (12 s each) after which an unincluded transaction is dead
  std::uint64_t tip = 0;                ///< rao
  Milliseconds inclusion_timeout{180'000};
  Milliseconds patience{20'000};        ///< silence of the node after which blocks are searched for the transaction
};

/// What became of a transaction that reached the node.
struct Submission {
  bool included = false;
  BlockHash block{};                          ///< where, when included
  std::uint64_t block_number = 0;
  std::optional<TransactionRefusal> refusal;  ///< refused by the pool or failed in its block
  bool events_known = false;                  ///< false: included, but its events could not be read

  [[nodiscard]] bool succeeded() const { return included && !refusal; }
};

/// The client of one chain. Metadata is cached per runtime version and read again when that changes. Safe from many
/// threads. Errors come from the transport and the codecs; refusals by the chain are values, not errors.
class ChainClient {
 public:
  explicit ChainClient(std::shared_ptr<Transport> transport, Milliseconds timeout = Milliseconds{30'000})
      : rpc_(std::move(transport), timeout) {}

  [[nodiscard]] Rpc& rpc() { return rpc_; }
  [[nodiscard]] Result<BlockHash> genesis();
  /// The node's best block.
  [[nodiscard]] Result<BlockView> best();
  [[nodiscard]] Result<BlockView> at(const BlockHash& hash);

  /// One item; kUnsupported when this runtime keeps it under more keys, or fewer, than are given.
  [[nodiscard]] Result<Value> read(const BlockView& view, std::string_view pallet, std::string_view entry,
                                   const std::vector<Value>& keys = {});
  /// The same item under many keys, in few requests.
  [[nodiscard]] Result<std::vector<Value>> read_many(const BlockView& view, std::string_view pallet,
                                                     std::string_view entry,
                                                     const std::vector<std::vector<Value>>& keys);
  /// Several items of one pallet in few requests, in the order given. An item that this runtime lacks is absent.
  struct Item {
    std::string_view entry;
    std::vector<Value> keys;
  };
  [[nodiscard]] Result<std::vector<std::optional<Value>>> read_items(const BlockView& view, std::string_view pallet,
                                                                     const std::vector<Item>& items);
  /// A runtime call described by the metadata.
  [[nodiscard]] Result<Value> call(const BlockView& view, std::string_view api, std::string_view method,
                                   const std::vector<Value>& arguments);

  /// Signs, sends and follows a call until it is in a block or refused, then reads its events. A stale nonce or era is
  /// signed anew once. kTimeout when it was neither included nor refused in time; kUnavailable when the connection was lost
  /// and the block search did not find it.
  [[nodiscard]] Result<Submission> submit(const ledger::Signer& signer, std::string_view pallet, std::string_view call,
                                          const Arguments& arguments, const SubmitOptions& options = {});
  /// The same for encoded bytes and a given context (tests of refusals use it).
  [[nodiscard]] Result<Submission> submit_signed(const crypto::Bytes& extrinsic, const SubmitOptions& options = {});

  /// Context for signing now: versions, genesis, era at the finalised head, next nonce.
  [[nodiscard]] Result<SigningContext> signing_context(const crypto::AccountId& account, const SubmitOptions& options);

 private:
  Result<Submission> follow(Subscription& subscription, const crypto::Bytes& extrinsic, std::uint64_t from_block,
                            const SubmitOptions& options);
  Result<Submission> search(const crypto::Bytes& extrinsic, std::uint64_t from_block, Milliseconds timeout);
  Result<std::optional<Submission>> scan(const crypto::Bytes& extrinsic, std::uint64_t& next_block);
  Result<std::optional<Submission>> inspect_block(const BlockHash& hash, const crypto::Bytes& extrinsic);

  Rpc rpc_;
  std::mutex mutex_;
  std::optional<BlockHash> genesis_;
  RuntimeVersion cached_version_;
  std::shared_ptr<const Metadata> cached_metadata_;
};

}  // namespace brainlock::chain
