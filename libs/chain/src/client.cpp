#include "brainlock/chain/client.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

namespace brainlock::chain {
namespace {

using crypto::Bytes;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

// Between looks for a transaction: development nodes make its block at once, others within seconds.
constexpr Milliseconds kFirstPoll{50}, kLongestPoll{1000};

Milliseconds left_until(Clock::time_point deadline) {
  return std::max(Milliseconds{0}, std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()));
}

// Name and content of a transaction status: "ready", {"ready":null}, {"inBlock":"0x.."}, {"invalid":{"custom":6}}.
struct PoolStatus {
  std::string name;
  std::string text;
  bool has_content = false;
};

PoolStatus parse_status(const std::string& notification) {
  const json value = json::parse(notification, nullptr, false);
  PoolStatus out;
  if (value.is_string()) out.name = value.get<std::string>();
  if (value.is_object() && !value.empty()) {
    const auto first = value.begin();
    out.name = first.key();
    out.has_content = !first.value().is_null();
    if (first.value().is_string()) out.text = first.value().get<std::string>();
  }
  // Names begin with a small letter; not all nodes write them so.
  if (!out.name.empty() && out.name.front() >= 'A' && out.name.front() <= 'Z') out.name.front() = static_cast<char>(out.name.front() + 32);
  return out;
}

// The dispatch error of extrinsic `index` in a block's decoded events; null when it succeeded.
Result<const Value*> failure_of(const Value& events, std::size_t index) {
  for (const auto& record : events.items()) {
    const auto phase = record.field("phase");
    const auto event = record.field("event");
    if (!phase.ok() || !event.ok()) return Error{ErrorCode::kUnsupported, "events have an unknown shape"};
    if ((*phase)->name() != "ApplyExtrinsic" || (*phase)->items().size() != 1) continue;
    if (const auto applied = (*phase)->items().front().as_u64(); !applied.ok() || *applied != index) continue;
    if ((*event)->name() != "System" || (*event)->items().size() != 1) continue;
    const Value& system = (*event)->items().front();
    if (system.name() == "ExtrinsicSuccess") return static_cast<const Value*>(nullptr);
    if (system.name() != "ExtrinsicFailed") continue;
    if (const auto error = system.field("dispatch_error"); error.ok()) return *error;
    if (!system.items().empty()) return &system.items().front();
  }
  return Error{ErrorCode::kNotFound, "the block's events say nothing of the transaction"};
}

// The node answered, but not with what was asked for: it has no such method or will not say.
bool is_refusal(const Error& error) {
  return error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kDenied || error.code == ErrorCode::kNotFound;
}

// Version 14, which every node answers with when it is not asked for another: enough for everything but runtime calls. For
// a version 15 that cannot be read, whose error is returned when this does not work either.
Result<Metadata> older_metadata(Rpc& rpc, const BlockHash& hash, const Error& error) {
  const auto reply = rpc.transport().request("state_getMetadata", json::array({crypto::hex_encode_0x(hash)}).dump(), rpc.timeout());
  if (!reply.ok() || reply->error) return error;
  const json text = json::parse(reply->result, nullptr, false);
  if (!text.is_string()) return error;
  const auto bytes = crypto::hex_decode(text.get_ref<const std::string&>());
  return bytes.ok() ? Metadata::decode(*bytes) : Result<Metadata>(error);
}

// The key of one item. Keys too few would be a prefix, under which nothing is stored: the item would seem to be absent.
Result<Bytes> item_key(const BlockView& view, std::string_view pallet, std::string_view entry,
                       const std::vector<Value>& keys) {
  BRAINLOCK_ASSIGN(const auto* known, view.metadata->storage(pallet, entry));
  if (keys.size() != known->keys.size()) {
    return Error{ErrorCode::kUnsupported, "storage " + known->name + " takes " + std::to_string(known->keys.size()) +
                                              " keys in this runtime, " + std::to_string(keys.size()) +
                                              " are known; a newer release is needed"};
  }
  return storage_key(*view.metadata, pallet, entry, keys);
}

}  // namespace

Result<BlockHash> ChainClient::genesis() {
  {
    const std::lock_guard lock(mutex_);
    if (genesis_) return *genesis_;
  }
  BRAINLOCK_ASSIGN(const auto hash, rpc_.block_hash(0));
  const std::lock_guard lock(mutex_);
  genesis_ = hash;
  return hash;
}

Result<BlockView> ChainClient::best() {
  BRAINLOCK_ASSIGN(const auto hash, rpc_.best_hash());
  return at(hash);
}

Result<BlockView> ChainClient::at(const BlockHash& hash) {
  BlockView view;
  view.hash = hash;
  BRAINLOCK_ASSIGN(const auto header, rpc_.header(hash));
  view.number = header.number;
  BRAINLOCK_ASSIGN(view.version, rpc_.runtime_version(hash));
  {
    const std::lock_guard lock(mutex_);
    if (cached_metadata_ && cached_version_ == view.version) {
      view.metadata = cached_metadata_;
      return view;
    }
  }
  BRAINLOCK_ASSIGN(const auto bytes, rpc_.metadata(hash));
  auto metadata = Metadata::decode(bytes);
  if (!metadata.ok()) metadata = older_metadata(rpc_, hash, metadata.error());
  if (!metadata.ok()) return metadata.error();
  view.metadata = std::make_shared<const Metadata>(std::move(*metadata));
  const std::lock_guard lock(mutex_);
  cached_version_ = view.version;
  cached_metadata_ = view.metadata;
  return view;
}

Result<Value> ChainClient::read(const BlockView& view, std::string_view pallet, std::string_view entry,
                                const std::vector<Value>& keys) {
  BRAINLOCK_ASSIGN(const auto key, item_key(view, pallet, entry, keys));
  BRAINLOCK_ASSIGN(const auto bytes, rpc_.storage(key, view.hash));
  return decode_storage(*view.metadata, pallet, entry, bytes);
}

Result<std::vector<Value>> ChainClient::read_many(const BlockView& view, std::string_view pallet, std::string_view entry,
                                                  const std::vector<std::vector<Value>>& keys) {
  std::vector<Bytes> names;
  for (const auto& key : keys) {
    BRAINLOCK_ASSIGN(auto name, item_key(view, pallet, entry, key));
    names.push_back(std::move(name));
  }
  BRAINLOCK_ASSIGN(const auto found, rpc_.storage_batch(names, view.hash));
  std::vector<Value> out;
  for (const auto& bytes : found) {
    BRAINLOCK_ASSIGN(auto value, decode_storage(*view.metadata, pallet, entry, bytes));
    out.push_back(std::move(value));
  }
  return out;
}

Result<std::vector<std::optional<Value>>> ChainClient::read_items(const BlockView& view, std::string_view pallet,
                                                                  const std::vector<Item>& items) {
  std::vector<Bytes> names;
  std::vector<std::size_t> present;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!view.metadata->storage(pallet, items[i].entry).ok()) continue;
    BRAINLOCK_ASSIGN(auto name, item_key(view, pallet, items[i].entry, items[i].keys));
    names.push_back(std::move(name));
    present.push_back(i);
  }
  BRAINLOCK_ASSIGN(const auto found, rpc_.storage_batch(names, view.hash));
  std::vector<std::optional<Value>> out(items.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    BRAINLOCK_ASSIGN(out[present[i]], decode_storage(*view.metadata, pallet, items[present[i]].entry, found[i]));
  }
  return out;
}

Result<Value> ChainClient::call(const BlockView& view, std::string_view api, std::string_view method,
                                const std::vector<Value>& arguments) {
  BRAINLOCK_ASSIGN(const auto encoded, encode_runtime_arguments(*view.metadata, api, method, arguments));
  BRAINLOCK_ASSIGN(const auto bytes, rpc_.call(std::string(api) + "_" + std::string(method), encoded, view.hash));
  return decode_runtime_result(*view.metadata, api, method, bytes);
}

Result<SigningContext> ChainClient::signing_context(const crypto::AccountId& account, const SubmitOptions& options) {
  SigningContext context;
  BRAINLOCK_ASSIGN(context.genesis, genesis());
  BRAINLOCK_ASSIGN(const auto view, best());
  context.spec_version = view.version.spec_version;
  context.transaction_version = view.version.transaction_version;
  // The era begins at the finalised head, which no fork takes back. Development nodes may never finalise, or not speak of it, in
  // whatever words: an era that far back would be over, so the best block stands in.
  std::uint64_t current = view.number;
  context.mortality = view.hash;
  if (const auto finalized = rpc_.finalized_hash(); finalized.ok()) {
    const auto header = rpc_.header(*finalized);
    if (!header.ok() && !is_refusal(header.error())) return header.error();
    if (header.ok() && header->number <= view.number && header->number + options.era_period / 2 >= view.number) {
      current = header->number;
      context.mortality = *finalized;
    }
  } else if (!is_refusal(finalized.error())) {
    return finalized.error();
  }
  context.era = Era::mortal(options.era_period, current);
  if (const auto birth = context.era.birth(current); birth != current) {
    BRAINLOCK_ASSIGN(context.mortality, rpc_.block_hash(birth));
  }
  auto nonce = rpc_.next_nonce(crypto::ss58_encode(account));
  if (!nonce.ok() && is_refusal(nonce.error())) {  // A node without it: as of the best block, without the pool.
    BRAINLOCK_ASSIGN(const auto info, read(view, "System", "Account", {Value::bytes(account)}));
    BRAINLOCK_ASSIGN(const auto* number, info.field("nonce"));
    nonce = number->as_u32();
  }
  if (!nonce.ok()) return nonce.error();
  context.nonce = *nonce;
  context.tip = options.tip;
  return context;
}

Result<Submission> ChainClient::submit(const ledger::Signer& signer, std::string_view pallet, std::string_view call,
                                       const Arguments& arguments, const SubmitOptions& options) {
  for (int attempt = 0;; ++attempt) {
    BRAINLOCK_ASSIGN(const auto view, best());
    BRAINLOCK_ASSIGN(const auto bytes, encode_call(*view.metadata, pallet, call, arguments));
    BRAINLOCK_ASSIGN(const auto context, signing_context(signer.account(), options));
    if (context.spec_version != view.version.spec_version) continue;  // An upgrade between the two reads.
    BRAINLOCK_ASSIGN(const auto extrinsic, sign_extrinsic(*view.metadata, bytes, context, signer));
    BRAINLOCK_ASSIGN(auto submission, submit_signed(extrinsic, options));
    if (!submission.included && submission.refusal && submission.refusal->may_retry && attempt == 0) continue;
    return submission;
  }
}

Result<Submission> ChainClient::submit_signed(const Bytes& extrinsic, const SubmitOptions& options) {
  BRAINLOCK_ASSIGN(const auto head, rpc_.best_hash());
  BRAINLOCK_ASSIGN(const auto header, rpc_.header(head));
  const std::string params = json::array({crypto::hex_encode_0x(extrinsic)}).dump();
  auto reply = rpc_.transport().subscribe("author_submitAndWatchExtrinsic", params, "author_unwatchExtrinsic", rpc_.timeout());
  const bool no_watching = reply.ok() ? reply->error && to_error(*reply->error, "").code == ErrorCode::kUnsupported
                                      : reply.error().code == ErrorCode::kUnsupported;
  if (reply.ok() && !no_watching) {
    if (!reply->error) return follow(*reply->subscription, extrinsic, header.number, options);
    Submission out;
    out.refusal = refusal_from_rpc(*reply->error);
    return out;
  }
  if (no_watching) {  // HTTP, or a node without this method: send it, then look for it in the blocks.
    BRAINLOCK_ASSIGN(const auto sent, rpc_.transport().request("author_submitExtrinsic", params, rpc_.timeout()));
    if (sent.error) {
      Submission out;
      out.refusal = refusal_from_rpc(*sent.error);
      return out;
    }
    return search(extrinsic, header.number, options.inclusion_timeout);
  }
  // The connection broke while it was sent: it may have arrived. Look for a short while before giving up.
  auto found = search(extrinsic, header.number, Milliseconds{30'000});
  if (found.ok()) return found;
  return reply.error();
}

Result<Submission> ChainClient::follow(Subscription& subscription, const Bytes& extrinsic, std::uint64_t from_block,
                                       const SubmitOptions& options) {
  const auto deadline = Clock::now() + options.inclusion_timeout;
  std::uint64_t next = from_block + 1;
  for (;;) {
    const auto left = left_until(deadline);
    if (left.count() == 0) return Error{ErrorCode::kTimeout, "the transaction was not included in time"};
    const auto notification = subscription.next(std::min(left, options.patience));
    if (!notification.ok()) {
      if (notification.error().code != ErrorCode::kTimeout) return search(extrinsic, from_block, left_until(deadline));
      // A node may lose a notification; its blocks do not lie. One that does not answer now may answer later.
      if (auto found = scan(extrinsic, next); found.ok() && *found) return std::move(**found);
      continue;
    }
    const auto status = parse_status(*notification);
    if (status.name == "inBlock" || status.name == "finalized") {
      BRAINLOCK_ASSIGN(const auto hash, crypto::hex_decode_array<32>(status.text));
      auto found = inspect_block(hash, extrinsic);
      // It is in a block: that the node does not show the block now must not turn it into a failure.
      if (!found.ok()) return search(extrinsic, from_block, left_until(deadline));
      if (*found) return std::move(**found);
      continue;  // The node named a block without it; a later status decides.
    }
    if (status.name == "invalid" || status.name == "dropped" || status.name == "usurped") {
      Submission out;
      if (status.name == "invalid" && status.has_content) {  // The reason comes along: {"invalid":{"custom":6}}.
        out.refusal = refusal_from_rpc({{}, *notification, {}});
        return out;
      }
      out.refusal.emplace();
      out.refusal->name = status.name;
      out.refusal->may_retry = status.name != "usurped";
      out.refusal->advice = status.name == "usurped" ? "another transaction with the same nonce took its place"
                            : status.name == "dropped" ? "the pool is full; try again later"
                                                       : "it became invalid before inclusion; sign anew";
      return out;
    }
  }
}

// Looks for the transaction from `next_block` to the best block, and moves `next_block` past what was seen.
Result<std::optional<Submission>> ChainClient::scan(const Bytes& extrinsic, std::uint64_t& next_block) {
  BRAINLOCK_ASSIGN(const auto head, rpc_.best_hash());
  BRAINLOCK_ASSIGN(const auto header, rpc_.header(head));
  for (; next_block <= header.number; ++next_block) {
    BRAINLOCK_ASSIGN(const auto hash, rpc_.block_hash(next_block));
    BRAINLOCK_ASSIGN(auto found, inspect_block(hash, extrinsic));
    if (found) return found;
  }
  return std::optional<Submission>{};
}

Result<Submission> ChainClient::search(const Bytes& extrinsic, std::uint64_t from_block, Milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  std::uint64_t next = from_block + 1;
  for (Milliseconds pause = kFirstPoll;; pause = std::min(2 * pause, kLongestPoll)) {
    // A node that does not answer now may answer later: only the time ends the search.
    if (auto found = scan(extrinsic, next); found.ok() && *found) return std::move(**found);
    if (left_until(deadline).count() == 0) {
      return Error{ErrorCode::kTimeout, "the transaction is in no block up to " + std::to_string(next - 1) +
                                            "; it may still be included until its era ends"};
    }
    std::this_thread::sleep_for(std::min(pause, left_until(deadline)));
  }
}

Result<std::optional<Submission>> ChainClient::inspect_block(const BlockHash& hash, const Bytes& extrinsic) {
  BRAINLOCK_ASSIGN(const auto extrinsics, rpc_.block_extrinsics(hash));
  const auto at_index = std::find(extrinsics.begin(), extrinsics.end(), extrinsic);
  if (at_index == extrinsics.end()) return std::optional<Submission>{};
  Submission out;
  out.included = true;
  out.block = hash;
  BRAINLOCK_ASSIGN(const auto view, at(hash));
  out.block_number = view.number;
  // Inclusion is certain from here on: an unreadable event list must not turn it into an error.
  if (const auto events = read(view, "System", "Events"); events.ok()) {
    const auto failure = failure_of(*events, static_cast<std::size_t>(at_index - extrinsics.begin()));
    out.events_known = failure.ok();
    if (failure.ok() && *failure != nullptr) {
      out.refusal = refusal_from_dispatch(dispatch_error_name(*view.metadata, **failure));
    }
  }
  return std::optional<Submission>(std::move(out));
}

}  // namespace brainlock::chain
