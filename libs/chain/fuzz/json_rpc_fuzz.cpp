// Arbitrary text as what a node sends, line by line: each as a message of its own, then as the answers to the client's
// requests over the real connection, through the typed methods that read them, and as a refusal. And as an endpoint.
#include <deque>
#include <nlohmann/json.hpp>
#include <string>

#include "brainlock/chain/refusal.hpp"
#include "brainlock/chain/rpc.hpp"
#include "json_rpc.hpp"

namespace {

using namespace brainlock;
using namespace brainlock::chain;

// A line that begins with '#' is sent as it is; any other is the result of the request that waits. When the lines are
// out the connection is cut.
class Lines : public MessageChannel {
 public:
  explicit Lines(std::string_view text) {
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      lines_.emplace_back(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  Status send(std::string_view, Milliseconds) override {
    ++id_;
    return {};
  }
  Result<std::string> receive(Milliseconds) override {
    if (lines_.empty()) return Error{ErrorCode::kUnavailable, "cut"};
    const std::string line = std::move(lines_.front());
    lines_.pop_front();
    if (line.starts_with('#')) return line.substr(1);
    return "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id_) + ",\"result\":" + line + "}";
  }
  std::string describe() const override { return "lines"; }

 private:
  std::deque<std::string> lines_;
  std::uint64_t id_ = 0;
};

void ask_everything(std::string_view text) {
  const std::shared_ptr<Transport> transport = make_json_rpc(std::make_unique<Lines>(text));
  Rpc rpc(transport, Milliseconds{5});
  const BlockHash at{};
  const std::vector<crypto::Bytes> keys{{1}, {2, 3}};
  (void)rpc.best_hash();
  (void)rpc.header(at);
  (void)rpc.runtime_version(at);
  (void)rpc.storage(keys[0], at);
  (void)rpc.storage_batch(keys, at);
  (void)rpc.next_nonce("5");
  (void)rpc.block_extrinsics(at);
  (void)rpc.metadata(at);
  const auto reply = transport->subscribe("s", "[]", "u", Milliseconds{5});
  if (!reply.ok() || !reply->subscription) return;
  for (int i = 0; i < 4; ++i) (void)reply->subscription->next(Milliseconds{5});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_endpoint(text);
  if (const auto message = parse_message(text); message.ok() && message->reply.error) {
    // Goes on into JSON, which takes whole characters only.
    (void)nlohmann::json(refusal_from_rpc(*message->reply.error).to_string()).dump();
    (void)to_error(*message->reply.error, "m");
  }
  ask_everything(text);
  return 0;
}
