// The node side of FakeChain, see fake_chain.hpp; it holds no tests of its own.
#include "fake_chain.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "brainlock/crypto/hash.hpp"
#include "brainlock/scale_codec/decoder.hpp"

namespace brainlock::chain {

using crypto::Bytes;
using nlohmann::json;

struct FakeChain::Parsed {
  crypto::AccountId signer{};
  SigningContext context;
  crypto::Sr25519Signature signature{};
  Bytes call;
};

namespace {

constexpr const char* kPallet = "SubtensorModule";

BlockHash hash_of_number(std::uint64_t number) {
  return crypto::blake2b_256(crypto::as_bytes("fake block " + std::to_string(number)));
}

class FakeSubscription : public Subscription {
 public:
  explicit FakeSubscription(std::vector<std::string> messages, bool lost) : messages_(std::move(messages)), lost_(lost) {}
  Result<std::string> next(Milliseconds) override {
    if (lost_ && at_ == 0) return Error{ErrorCode::kUnavailable, "connection lost"};
    if (at_ == messages_.size()) return Error{ErrorCode::kTimeout, "nothing more"};
    return messages_[at_++];
  }

 private:
  std::vector<std::string> messages_;
  bool lost_;
  std::size_t at_ = 0;
};

}  // namespace

FakeChain::FakeChain(std::shared_ptr<const Metadata> metadata, Bytes metadata_blob)
    : metadata_(std::move(metadata)), metadata_blob_(std::move(metadata_blob)) {
  append_block();
}

void FakeChain::append_block() {
  Block block;
  block.hash = hash_of_number(blocks_.size());
  // A new interval of registrations.
  if (blocks_.size() % 100 == 0) {
    for (const auto netuid : subnets_) put(kPallet, "RegistrationsThisInterval", {Value::number(netuid)}, Value::number(0));
  }
  if (epochs_counted) {
    for (const auto netuid : subnets_) {
      put(kPallet, "SubnetEpochIndex", {Value::number(netuid)}, Value::number(epoch(Value::number(netuid), blocks_.size())));
      put(kPallet, "LastEpochBlock", {Value::number(netuid)}, Value::number(blocks_.size() / 50 * 50));
    }
  }
  block.storage = storage_;
  blocks_.push_back(std::move(block));
}

void FakeChain::mine(std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t i = 0; i < count; ++i) append_block();
}

void FakeChain::put(const char* pallet, const char* entry, const std::vector<Value>& keys, const Value& value) {
  const auto key = storage_key(*metadata_, pallet, entry, keys);
  const auto storage = metadata_->storage(pallet, entry);
  if (!key.ok() || !storage.ok()) std::abort();
  scale_codec::Encoder out;
  if (!encode_value(out, *metadata_, (*storage)->value, value).ok()) std::abort();
  storage_[crypto::hex_encode_0x(*key)] = out.take();
  if (!blocks_.empty()) blocks_.back().storage = storage_;
}

Value FakeChain::get(const char* pallet, const char* entry, const std::vector<Value>& keys) const {
  const auto key = storage_key(*metadata_, pallet, entry, keys);
  const auto found = storage_.find(crypto::hex_encode_0x(*key));
  return *decode_storage(*metadata_, pallet, entry,
                         found == storage_.end() ? std::optional<Bytes>{} : std::optional<Bytes>(found->second));
}

crypto::AccountId FakeChain::neuron_key(std::size_t uid) const {
  return crypto::blake2b_256(crypto::as_bytes("neuron " + std::to_string(uid)));
}

void FakeChain::add_subnet(std::uint16_t netuid, std::size_t neurons) {
  const Value n = Value::number(netuid);
  subnets_.push_back(netuid);
  put(kPallet, "NetworksAdded", {n}, Value::boolean(true));
  put(kPallet, "NetworkRegistrationAllowed", {n}, Value::boolean(true));
  put(kPallet, "CommitRevealWeightsEnabled", {n}, Value::boolean(false));
  put(kPallet, "SubnetworkN", {n}, Value::number(neurons));
  put(kPallet, "MinAllowedWeights", {n}, Value::number(1));
  put(kPallet, "MaxWeightsLimit", {n}, Value::number(65535));
  put(kPallet, "Tempo", {n}, Value::number(20));
  put(kPallet, "Burn", {n}, Value::number(500'000'000));
  std::vector<Value> flags, updates;
  for (std::size_t uid = 0; uid < neurons; ++uid) {
    const Value u = Value::number(uid), key = Value::bytes(neuron_key(uid));
    put(kPallet, "Keys", {n, u}, key);
    put(kPallet, "Uids", {n, key}, u);
    put(kPallet, "Owner", {key}, key);
    flags.push_back(Value::boolean(false));
    updates.push_back(Value::number(0));
  }
  put(kPallet, "ValidatorPermit", {n}, Value::list(flags));
  put(kPallet, "Active", {n}, Value::list(flags));
  put(kPallet, "LastUpdate", {n}, Value::list(updates));
}

const FakeChain::Block* FakeChain::find(std::string_view hash) const {
  for (const auto& block : blocks_) {
    if (crypto::hex_encode_0x(block.hash) == hash) return &block;
  }
  return nullptr;
}

RpcError FakeChain::refuse(int custom) const {
  if (silent_errors) return {1010, "{\"invalid\":{\"custom\":" + std::to_string(custom) + "}}", {}};
  return {1010, "Invalid Transaction", "Custom error: " + std::to_string(custom)};
}

RpcError FakeChain::refuse(const char* camel, const char* words) const {
  if (silent_errors) return {1010, std::string("{\"invalid\":{\"") + camel + "\":null}}", {}};
  return {1010, "Invalid Transaction", words};
}

Result<FakeChain::Parsed> FakeChain::parse(const Bytes& extrinsic) const {
  scale_codec::Decoder in(extrinsic);
  Parsed out;
  BRAINLOCK_ASSIGN(const auto size, in.length());
  if (size != in.remaining()) return Error{ErrorCode::kMalformed, "length"};
  BRAINLOCK_ASSIGN(const auto head, in.raw(2));
  BRAINLOCK_ASSIGN(const auto signer, in.raw(32));
  BRAINLOCK_ASSIGN(const auto kind, in.u8());
  BRAINLOCK_ASSIGN(const auto signature, in.raw(64));
  if (head[0] != 0x84 || head[1] != 0 || kind != 1) return Error{ErrorCode::kMalformed, "form"};
  std::copy(signer.begin(), signer.end(), out.signer.begin());
  std::copy(signature.begin(), signature.end(), out.signature.begin());
  BRAINLOCK_ASSIGN(const auto era, in.u16());
  out.context.era.period = std::uint64_t{2} << (era & 15);
  out.context.era.phase = era >> 4;
  BRAINLOCK_ASSIGN(const auto nonce, in.compact_u32());
  BRAINLOCK_ASSIGN(const auto tip, in.compact());
  BRAINLOCK_ASSIGN(const auto mode, in.u8());
  if (mode != 0) return Error{ErrorCode::kMalformed, "mode"};
  out.context.nonce = nonce;
  out.context.tip = static_cast<std::uint64_t>(tip);
  out.context.spec_version = 224;
  out.context.transaction_version = 1;
  out.context.genesis = blocks_.front().hash;
  out.context.mortality = hash_of_number(out.context.era.birth(number()));
  BRAINLOCK_ASSIGN(const auto call, in.raw(in.remaining()));
  out.call.assign(call.begin(), call.end());
  return out;
}

std::optional<RpcError> FakeChain::take(Bytes extrinsic) {
  ++submitted;
  if (tamper) tamper(extrinsic);
  const auto parsed = parse(extrinsic);
  if (!parsed.ok()) return RpcError{1002, "Verification Error", parsed.error().message};
  if (!crypto::sr25519_verify(parsed->signer, signing_payload(parsed->call, parsed->context), parsed->signature)) {
    return refuse("badProof", "Transaction has a bad signature");
  }
  const auto nonce = nonces_[parsed->signer];
  if (parsed->context.nonce < nonce) return refuse("stale", "Transaction is outdated");
  // A pool lets a transaction wait for those before it.
  if (parsed->context.nonce > nonce && waiting_.empty()) return refuse("future", "Transaction will be valid in the future");
  bool of_subtensor = false;
  const auto call = decode_call(*parsed, of_subtensor);
  if (!call.ok()) return RpcError{1002, "Verification Error", call.error().message};
  if (of_subtensor) {
    if (auto error = judge(parsed->signer, *call)) return error;
  }
  if (block_delay.count() > 0) {
    waiting_.emplace_back(std::chrono::steady_clock::now() + block_delay, std::move(extrinsic));
  } else {
    include(*parsed, *call, extrinsic);
  }
  return {};
}

// The call, through the metadata: pallet index, then the pallet's own enum.
Result<Value> FakeChain::decode_call(const Parsed& parsed, bool& of_subtensor) const {
  const auto pallet = std::find_if(metadata_->pallets().begin(), metadata_->pallets().end(),
                                   [&](const Pallet& p) { return p.index == parsed.call.front(); });
  of_subtensor = pallet->name == kPallet;
  return decode_value(*metadata_, *pallet->calls, crypto::ByteView(parsed.call).subspan(1));
}

// A block of its own for the transaction.
void FakeChain::include(const Parsed& parsed, const Value& call, const Bytes& extrinsic) {
  const auto nonce = ++nonces_[parsed.signer];
  append_block();
  set_account(Value::bytes(parsed.signer), "nonce", Value::number(nonce));
  blocks_.back().extrinsics = {Bytes{0x04, 0x00}, extrinsic};  // Something inherent comes first.
  last_call = call.name();
  const std::string failure = dispatch(parsed.signer, call.name(), call);
  set_events(failure);
  blocks_.back().storage = storage_;
}

// Makes the blocks whose time has come. What has become invalid meanwhile is dropped without a word, as a pool does.
void FakeChain::settle() {
  while (!waiting_.empty() && waiting_.front().first <= std::chrono::steady_clock::now()) {
    const Bytes extrinsic = std::move(waiting_.front().second);
    waiting_.pop_front();
    const auto parsed = parse(extrinsic);
    bool of_subtensor = false;
    const auto call = decode_call(*parsed, of_subtensor);
    if (parsed->context.nonce != nonces_[parsed->signer] || (of_subtensor && judge(parsed->signer, *call))) continue;
    include(*parsed, *call, extrinsic);
  }
}

void FakeChain::set_events(const std::string& failure) {
  const auto info = Value::record({{"weight", Value::record({{"ref_time", Value::number(1)}, {"proof_size", Value::number(0)}})},
                                   {"class", Value::variant("Normal")},
                                   {"pays_fee", Value::variant("Yes")}});
  Value event = Value::variant("ExtrinsicSuccess", {{"dispatch_info", info}});
  if (!failure.empty()) {
    const auto pallet = metadata_->pallet(kPallet);
    const auto* error = metadata_->type(*(*pallet)->errors).find_case(failure);
    const Bytes code{error->index, 0, 0, 0};
    const auto module = Value::record({{"index", Value::number((*pallet)->index)}, {"error", Value::bytes(code)}});
    event = Value::variant("ExtrinsicFailed",
                           {{"dispatch_error", Value::variant("Module", {{"", module}})}, {"dispatch_info", info}});
  }
  const auto record = [](std::uint64_t index, Value inner) {
    return Value::record({{"phase", Value::variant("ApplyExtrinsic", {{"", Value::number(index)}})},
                          {"event", Value::variant("System", {{"", std::move(inner)}})},
                          {"topics", Value::list({})}});
  };
  put("System", "Events", {},
      Value::list({record(0, Value::variant("ExtrinsicSuccess", {{"dispatch_info", info}})), record(1, event)}));
}

Result<RpcReply> FakeChain::request(std::string_view method, std::string_view params_text, Milliseconds) {
  const std::lock_guard lock(mutex_);
  ++requests;
  settle();
  if (submitted > 0 && failing_requests > 0) {
    --failing_requests;
    ++failed_requests;
    return Error{ErrorCode::kUnavailable, "connection lost"};
  }
  const json params = json::parse(params_text);
  const auto answer = [](const json& value) { return RpcReply{value.dump(), {}}; };
  const auto block_of = [&](std::size_t index) -> const Block& {
    if (params.size() <= index || params[index].is_null()) return blocks_.back();
    return *find(params[index].get<std::string>());
  };
  const std::map<std::string_view, std::size_t> with_block{{"chain_getHeader", 0},      {"state_getRuntimeVersion", 0}, {"state_getMetadata", 0},
                                                           {"state_getStorage", 1},     {"state_queryStorageAt", 1},    {"chain_getBlock", 0},
                                                           {"state_call", 2}};
  if (const auto at = with_block.find(method); at != with_block.end() && params.size() > at->second &&
                                               find(params[at->second].get<std::string>()) == nullptr) {
    // Of a block that it does not know the test peer says nothing, in words of its own.
    if (method == "state_queryStorageAt") return answer(json::array());
    if (method.starts_with("state_get")) return answer(nullptr);
    return RpcReply{"null", RpcError{1, "Block not found", {}}};
  }
  if (missing_methods.contains(std::string(method))) return RpcReply{"null", RpcError{{}, missing_words, {}}};
  if (method == "chain_getBlockHash" && params.empty() && wants_block_numbers) {
    return RpcReply{"null", RpcError{{}, "expected a number", {}}};
  }
  if (method == "chain_getBlockHash") {
    if (params.empty()) return answer(crypto::hex_encode_0x(blocks_.back().hash));
    const auto wanted = params[0].get<std::uint64_t>();
    return wanted < blocks_.size() ? answer(crypto::hex_encode_0x(blocks_[wanted].hash)) : answer(nullptr);
  }
  if (method == "chain_getFinalizedHead") {
    return answer(crypto::hex_encode_0x((never_finalizes ? blocks_.front() : blocks_.back()).hash));
  }
  if (method == "chain_getHeader") {
    const auto index = static_cast<std::uint64_t>(&block_of(0) - blocks_.data());
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(index));
    return answer({{"number", text}, {"parentHash", crypto::hex_encode_0x(hash_of_number(index - 1))}});
  }
  if (method == "state_getRuntimeVersion") {
    return answer({{"specName", "node-subtensor"}, {"specVersion", 224}, {"transactionVersion", 1}});
  }
  if (method == "state_getMetadata") return answer(crypto::hex_encode_0x(metadata_blob_));
  if (method == "state_call" && params[0] == "Metadata_metadata_at_version" && !metadata_15.empty()) {
    return answer(crypto::hex_encode_0x(scale_codec::Encoder().u8(1).bytes(metadata_15).take()));
  }
  if (method == "state_call" && runtime_answers.count(params[0].get<std::string>()) != 0) {
    return answer(crypto::hex_encode_0x(runtime_answers[params[0].get<std::string>()]));
  }
  if (method == "state_call") return RpcReply{"null", RpcError{-32000, "no such export", {}}};
  if (method == "state_getStorage") {
    const auto& storage = block_of(1).storage;
    const auto found = storage.find(params[0].get<std::string>());
    return found == storage.end() ? answer(nullptr) : answer(crypto::hex_encode_0x(found->second));
  }
  if (method == "state_queryStorageAt") {
    const auto& storage = block_of(1).storage;
    json changes = json::array();
    for (const auto& key : params[0]) {
      const auto found = storage.find(key.get<std::string>());
      changes.push_back({key, found == storage.end() ? json() : json(crypto::hex_encode_0x(found->second))});
    }
    return answer(json::array({{{"block", crypto::hex_encode_0x(block_of(1).hash)}, {"changes", changes}}}));
  }
  if (method == "system_accountNextIndex") {
    return answer(nonces_[*crypto::ss58_decode(params[0].get<std::string>())]);
  }
  if (method == "chain_getBlock") {
    json list = json::array();
    for (const auto& extrinsic : block_of(0).extrinsics) list.push_back(crypto::hex_encode_0x(extrinsic));
    return answer({{"block", {{"extrinsics", list}}}});
  }
  if (method == "dev_newBlock") {
    for (auto left = params[0]["count"].get<std::uint64_t>(); left > 0; --left) append_block();
    return answer(crypto::hex_encode_0x(blocks_.back().hash));
  }
  if (method == "dev_setStorage") {
    for (const auto& pair : params[0]) storage_[pair[0].get<std::string>()] = *crypto::hex_decode(pair[1].get<std::string>());
    blocks_.back().storage = storage_;
    return answer(crypto::hex_encode_0x(blocks_.back().hash));
  }
  if (method == "author_submitExtrinsic") {
    if (const auto error = take(*crypto::hex_decode(params[0].get<std::string>()))) return RpcReply{"null", *error};
    return answer("0x00");
  }
  return RpcReply{"null", RpcError{-32601, "Method not found", {}}};
}

Result<SubscribeReply> FakeChain::subscribe(std::string_view method, std::string_view params_text, std::string_view, Milliseconds) {
  if (http_only) return Error{ErrorCode::kUnsupported, "no subscriptions"};
  if (missing_methods.contains(std::string(method))) return SubscribeReply{nullptr, RpcError{{}, missing_words, {}}};
  const std::lock_guard lock(mutex_);
  const json params = json::parse(params_text);
  if (auto error = take(*crypto::hex_decode(params[0].get<std::string>()))) {
    if (!fail_in_pool_later) return SubscribeReply{nullptr, std::move(error)};
    return SubscribeReply{std::make_unique<FakeSubscription>(std::vector<std::string>{"{\"ready\":null}", error->message}, false), {}};
  }
  if (forget_notifications) {
    return SubscribeReply{std::make_unique<FakeSubscription>(std::vector<std::string>{"{\"ready\":null}"}, false), {}};
  }
  const std::string hash = crypto::hex_encode_0x(blocks_.back().hash);
  std::vector<std::string> messages{"{\"ready\":null}", "{\"broadcast\":[]}", "{\"inBlock\":\"" + hash + "\"}",
                                    "{\"finalized\":\"" + hash + "\"}"};
  return SubscribeReply{std::make_unique<FakeSubscription>(std::move(messages), lose_connection_after_submit), {}};
}

}  // namespace brainlock::chain
