// A chain in memory behind the transport interface: genuine metadata, storage by real keys, signatures checked, one
// block for each accepted extrinsic. The rules are the few that the tests need, written from the chain's documentation.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "brainlock/chain/extrinsic.hpp"
#include "brainlock/chain/runtime.hpp"
#include "brainlock/chain/transport.hpp"

namespace brainlock::chain {

class FakeChain : public Transport {
 public:
  explicit FakeChain(std::shared_ptr<const Metadata> metadata, crypto::Bytes metadata_blob);

  // Transport.
  Result<RpcReply> request(std::string_view method, std::string_view params, Milliseconds timeout) override;
  Result<SubscribeReply> subscribe(std::string_view method, std::string_view params, std::string_view unsubscribe,
                                   Milliseconds timeout) override;
  std::string describe() const override { return "fake chain"; }

  // What a test arranges.
  void put(const char* pallet, const char* entry, const std::vector<Value>& keys, const Value& value);
  void add_subnet(std::uint16_t netuid, std::size_t neurons);
  crypto::AccountId neuron_key(std::size_t uid) const;
  void mine(std::uint64_t blocks);
  std::uint64_t number() const { return blocks_.size() - 1; }

  bool http_only = false;  ///< no subscriptions
  bool silent_errors =
      false;  ///< refusals as JSON in the message and without data, as the test peer of the chain gives them
  bool checks_late = false;     ///< votes are judged in their block, not in the pool, as runtime 293 does
  bool epochs_counted = false;  ///< the chain numbers its epochs (50 blocks each), as newer runtimes do
  std::uint64_t frozen_blocks = 0;   ///< before the end of an epoch, in which no rule changes; root is not even told
  std::uint64_t owner_interval = 0;  ///< blocks between an owner's changes of one rule
  bool lose_connection_after_submit = false;
  bool never_finalizes = false;
  std::set<std::string> missing_methods;                 ///< that the node does not have
  std::string missing_words = "Unknown method";          ///< how it says so, without a code
  bool wants_block_numbers = false;                      ///< chain_getBlockHash without a number is refused
  int failing_requests = 0;                              ///< after a submission so many requests find no connection
  bool forget_notifications = false;                     ///< only "ready" is ever told
  bool fail_in_pool_later = false;                       ///< taken at first, then reported as invalid with its reason
  crypto::Bytes metadata_15;                             ///< answered to requests for version 15, when not empty
  std::map<std::string, crypto::Bytes> runtime_answers;  ///< of runtime calls, by "Api_method"
  std::chrono::milliseconds block_delay{0};  ///< from a transaction to its block, where that does not come at once
  int requests = 0;
  int failed_requests = 0;
  int submitted = 0;
  std::string last_call;                                 ///< the name of the call that was applied last
  std::function<void(crypto::Bytes&)> tamper;  ///< changes an extrinsic on its way in

 private:
  struct Block {
    BlockHash hash{};
    std::map<std::string, crypto::Bytes> storage;
    std::vector<crypto::Bytes> extrinsics;
  };
  struct Parsed;

  std::optional<RpcError> take(crypto::Bytes extrinsic);
  Result<Value> decode_call(const Parsed& parsed, bool& of_subtensor) const;
  void include(const Parsed& parsed, const Value& call, const crypto::Bytes& extrinsic);
  void settle();
  std::optional<RpcError> judge(const crypto::AccountId& signer, const Value& call) const;
  Result<Parsed> parse(const crypto::Bytes& extrinsic) const;
  std::string dispatch(const crypto::AccountId& signer, const std::string& call, const Value& arguments);
  Value get(const char* pallet, const char* entry, const std::vector<Value>& keys) const;
  std::uint64_t number_of(const char* entry, const Value& netuid) const;
  std::uint64_t epoch(const Value& netuid, std::uint64_t block) const;
  std::uint64_t reveal_epoch(const Value& netuid, const Value& commit) const;
  bool too_fast(const Value& netuid, const Value& uid, std::uint64_t block) const;
  std::string vote_error(const Value& n, const Value& key, const std::vector<Value>& uids,
                         const std::vector<Value>& values, std::uint64_t version, bool rate) const;
  crypto::Hash256 hash_of_reveal(const crypto::AccountId& signer, const Value& call) const;
  std::vector<Value> live_commits(const Value& netuid, const Value& key) const;
  bool set_rule(const std::string& call, const Value& arguments);
  void set_account(const Value& account, const char* field, const Value& value);
  bool pay(const Value& account, std::uint64_t rao);
  void remove(const char* pallet, const char* entry, const std::vector<Value>& keys);
  void append_block();
  void set_events(const std::string& failure);
  RpcError refuse(int custom) const;
  RpcError refuse(const char* camel, const char* words) const;
  const Block* find(std::string_view hash) const;

  std::mutex mutex_;
  std::shared_ptr<const Metadata> metadata_;
  crypto::Bytes metadata_blob_;
  std::vector<Block> blocks_;
  std::map<std::string, crypto::Bytes> storage_;
  std::map<crypto::AccountId, std::uint32_t> nonces_;
  std::map<std::string, std::uint64_t> owner_changes_;  ///< the block of the last one, by call
  std::vector<std::uint16_t> subnets_;
  std::deque<std::pair<std::chrono::steady_clock::time_point, crypto::Bytes>> waiting_;  ///< accepted, not yet in a block
};

}  // namespace brainlock::chain
