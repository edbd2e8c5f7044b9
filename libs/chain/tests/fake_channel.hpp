// A message channel that a test scripts: canned answers, delays, garbage, a cut.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "message_channel.hpp"

namespace brainlock::chain {

/// Each sent message goes to `on_send`, which may push any messages to `inbox`.
struct FakeChannelScript {
  std::function<void(const std::string&, FakeChannelScript&)> on_send;
  std::deque<std::string> inbox;
  std::vector<std::string> sent;
  bool cut = false;  ///< the connection is gone once the inbox is empty
};

class FakeChannel : public MessageChannel {
 public:
  explicit FakeChannel(std::shared_ptr<FakeChannelScript> script) : script_(std::move(script)) {}
  Status send(std::string_view text, Milliseconds) override {
    script_->sent.emplace_back(text);
    if (script_->on_send) script_->on_send(std::string(text), *script_);
    return {};
  }
  Result<std::string> receive(Milliseconds) override {
    if (script_->inbox.empty()) {
      if (script_->cut) return Error{ErrorCode::kUnavailable, "cut"};
      return Error{ErrorCode::kTimeout, "nothing"};
    }
    std::string text = std::move(script_->inbox.front());
    script_->inbox.pop_front();
    return text;
  }
  std::string describe() const override { return "fake"; }

 private:
  std::shared_ptr<FakeChannelScript> script_;
};

}  // namespace brainlock::chain
