// Miners that do as they please before the honest service behind them is asked.
#pragma once

#include <deque>

#include "fake_subnet.hpp"

namespace brainlock::test {

/// A server that answers some requests itself and leaves the others to the miner.
class Hindering final : public net::Application {
 public:
  using Hinder = std::function<std::optional<net::Response>(const net::RequestHead&)>;
  Hindering(std::shared_ptr<net::Application> miner, Hinder hinder) : miner_(std::move(miner)), hinder_(std::move(hinder)) {}
  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead& head) override {
    if (auto response = hinder_(head)) return std::move(*response);
    return miner_->begin(head);
  }

 private:
  std::shared_ptr<net::Application> miner_;
  Hinder hinder_;
};

inline bool is_key_part(const net::RequestHead& head) { return head.method == "PUT"; }
inline bool is_key_state(const net::RequestHead& head) { return head.method == "GET" && head.target.find("/keys/") != std::string::npos; }

inline net::Response refusal(protocol::Refusal refusal) {
  return {protocol::refusal_http_status(refusal), "application/json", {}, net::text_bytes(protocol::refusal_body(refusal, ""))};
}

class HinderedSubnet : public testing::Test {
 protected:
  void SetUp() override { ledger->add(self.account(), true, 1000); }

  FakeMiner& add(const std::string& name, Hindering::Hinder hinder = {}, std::unique_ptr<FakeEngine> engine = std::make_unique<FakeEngine>()) {
    const auto uid = ledger->add(person(name).account(), false, 0);
    miners.push_back(start_miner(name, ledger, std::move(engine), folder.path));
    if (hinder) put_before(miners.back(), std::move(hinder));
    ledger->serve(uid, miners.back().server->port());
    return miners.back();
  }
  /// Another server for the miner.
  static void put_before(FakeMiner& miner, Hindering::Hinder hinder, net::ServerOptions options = {.address = "127.0.0.1"}) {
    miner.server.reset();
    options.tls = miner::make_server_tls(miner.self.signer).value();
    miner.server = std::move(net::Server::start(options, std::make_shared<Hindering>(miner.service, std::move(hinder)))).value();
  }
  store::RequestRow newest(const validator::Validator& validator) const { return validator.parts().store->requests({}).value().at(0); }
  static std::vector<store::RequestRow> rows_of(const validator::Validator& validator, const ledger::AccountId& miner) {
    store::RequestFilter filter;
    filter.miner = miner;
    return validator.parts().store->requests(filter).value();
  }
  /// Ended just now.
  void record(const validator::Validator& validator, const ledger::AccountId& miner, protocol::Reason reason, double response_s, int count) {
    std::vector<store::RequestRow> rows(static_cast<std::size_t>(count));
    for (auto& row : rows) {
      row.uuid = protocol::make_uuid();
      row.validator = self.account();
      row.miner = miner;
      row.package = protocol::content_id_text(kPackage);
      row.finished_ms = validator.parts().clock();
      row.success = reason == protocol::Reason::kOk;
      row.reason = protocol::reason_name(reason);
      row.response_s = response_s;
    }
    ASSERT_EQ(validator.parts().store->record_requests(rows).value(), rows.size());
  }

  const TemporaryFolder folder;
  const std::shared_ptr<FakeLedger> ledger = std::make_shared<FakeLedger>();
  const Person self = person("validator");
  std::deque<FakeMiner> miners;   // references stay good
};

}  // namespace brainlock::test
