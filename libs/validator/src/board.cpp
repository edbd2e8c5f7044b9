#include "brainlock/validator/board.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "page.hpp"

namespace brainlock::validator {
namespace {

using nlohmann::json;

constexpr std::int64_t kHourMs = 3'600'000;
/// Points of the chart per miner.
constexpr std::int64_t kBuckets = 96;

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

class Board final : public net::Application {
 public:
  Board(Validator& validator, std::string version) : validator_(validator), version_(std::move(version)) {}

  std::variant<net::Response, std::unique_ptr<net::Exchange>> begin(const net::RequestHead& request) override {
    const bool known = request.target == "/" || request.target == "/api/status" || request.target == "/api/board" || request.target == "/metrics";
    if (!known) return net::Response{404, "text/plain", {}, net::text_bytes("not here\n")};
    if (request.method != "GET" || request.content_length != 0) return net::Response{405, "text/plain", {}, net::text_bytes("GET only\n")};
    if (request.target == "/") {
      // The page loads nothing from elsewhere and runs no script but its own.
      return net::Response{200, "text/html; charset=utf-8",
                           {{"Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:"},
                            {"X-Content-Type-Options", "nosniff"}},
                           net::text_bytes(leaderboard_page())};
    }
    if (request.target == "/api/status") {
      // Costs nothing, however long the history: for whoever watches over the process.
      const Activity activity = validator_.activity();
      const json status = {{"version", version_}, {"state", activity.state}, {"since_ms", activity.since_ms}, {"rounds", activity.rounds}, {"block", activity.block}};
      return net::Response{200, "application/json", {{"Cache-Control", "no-store"}}, net::text_bytes(status.dump(-1, ' ', false, json::error_handler_t::replace))};
    }
    const bool metrics = request.target == "/metrics";
    const std::lock_guard lock(mutex_);
    Cached& cached = metrics ? metrics_ : board_;
    const auto now = std::chrono::steady_clock::now();
    // At most once a second, and at most a tenth of the time: a long history costs the validator little, however many look.
    if (cached.text.empty() || now - cached.at > std::max<std::chrono::steady_clock::duration>(std::chrono::seconds(1), 10 * cached.cost)) {
      auto text = metrics ? board_metrics(validator_) : board_json(validator_);
      if (text.ok() && metrics && !version_.empty()) {
        *text += "# HELP brainlock_validator_build_info The program's version.\n# TYPE brainlock_validator_build_info gauge\nbrainlock_validator_build_info{version=\"" + version_ + "\"} 1\n";
      }
      if (!text.ok()) return net::Response{503, "text/plain", {}, net::text_bytes(text.error().to_string() + "\n")};
      cached = {std::move(*text), now, std::chrono::steady_clock::now() - now};
    }
    return net::Response{200, metrics ? "text/plain; version=0.0.4; charset=utf-8" : "application/json", {{"Cache-Control", "no-store"}}, net::text_bytes(cached.text)};
  }

 private:
  struct Cached {
    std::string text;
    std::chrono::steady_clock::time_point at{};
    std::chrono::steady_clock::duration cost{};
  };
  Validator& validator_;
  const std::string version_;
  std::mutex mutex_;
  Cached board_, metrics_;
};

}  // namespace

Result<std::string> board_json(Validator& validator, double hours) {
  BRAINLOCK_ASSIGN(const auto miners, validator.standings());
  store::Store& store = *validator.parts().store;
  const std::int64_t now_ms = validator.parts().clock();
  const auto span_ms = static_cast<std::int64_t>(hours * static_cast<double>(kHourMs));
  const std::int64_t since_ms = now_ms - span_ms;

  json out;
  out["time_ms"] = now_ms;
  out["validator"] = crypto::ss58_encode(validator.parts().self.account);
  out["ledger"] = validator.parts().ledger->describe();
  out["netuid"] = validator.parts().ledger->netuid();
  const Activity activity = validator.activity();
  out["activity"] = {{"state", activity.state}, {"since_ms", activity.since_ms}, {"rounds", activity.rounds}, {"block", activity.block},
                     {"blocks_until_vote", activity.blocks_until_vote}, {"last_vote", activity.last_vote}};
  const RejectedInputs rejected = validator.rejected_inputs();
  out["rejected_inputs"] = {{"beyond_limit", rejected.beyond_limit}, {"wraps", rejected.wrapping}};
  for (const Task& task : validator.parts().tasks) {
    out["tasks"].push_back({{"name", task.name}, {"package", protocol::content_id_text(task.package)}, {"error_bound", task.error_bound}});
  }
  out["miners"] = json::array();
  std::size_t rank = 0;
  for (const auto& miner : miners) {
    json reasons = json::object();
    store::RequestFilter filter;
    filter.miner = miner.hotkey;
    filter.since_ms = since_ms;
    BRAINLOCK_ASSIGN(const auto counted, store.reasons(filter));
    for (const auto& [reason, count] : counted) reasons[reason] = count;
    out["miners"].push_back({{"rank", ++rank},
                             {"uid", miner.uid},
                             {"hotkey", crypto::ss58_encode(miner.hotkey)},
                             {"score", miner.standing.score},
                             {"confidence", miner.confidence},
                             {"base_score", miner.standing.base_score},
                             {"divisor", miner.standing.divisor},
                             {"median_response_s", miner.standing.median_response_s},
                             {"requests", miner.standing.requests},
                             {"failures", miner.standing.failures},
                             {"failure_rate", miner.standing.failure_rate},
                             {"last_reason", miner.last_reason},
                             {"zero_because", miner.zero_because},
                             {"weight_sent", miner.weight_sent},
                             {"weight_on_ledger", miner.weight_on_ledger},
                             {"incentive", miner.incentive},
                             {"reasons", std::move(reasons)}});
  }
  // Short histories get short buckets, so that the first minutes show something already.
  BRAINLOCK_ASSIGN(const auto first, store.first_request_ms(since_ms));
  const std::int64_t first_ms = first.value_or(now_ms);
  const std::int64_t bucket_ms = std::max<std::int64_t>(1'000, (now_ms - first_ms) / kBuckets);
  BRAINLOCK_ASSIGN(const auto buckets, store.time_buckets(first_ms, now_ms + 1, bucket_ms));
  out["chart"] = json::array();
  for (const auto& bucket : buckets) {
    out["chart"].push_back({{"hotkey", crypto::ss58_encode(bucket.miner)}, {"start_ms", bucket.start_ms}, {"successes", bucket.successes},
                            {"failures", bucket.failures}, {"median_s", bucket.median_s}, {"fastest_s", bucket.fastest_s}});
  }
  out["bucket_ms"] = bucket_ms;
  BRAINLOCK_ASSIGN(const auto votes, store.votes(10));
  out["votes"] = json::array();
  for (const auto& vote : votes) {
    out["votes"].push_back({{"time_ms", vote.time_ms}, {"block", vote.block}, {"accepted", vote.accepted}, {"reason", vote.reason},
                            {"detail", vote.detail}, {"confirmed", vote.confirmed_block.has_value()}, {"weights", vote.weights}});
  }
  store::RequestFilter newest;
  newest.since_ms = since_ms;
  newest.limit = 30;
  BRAINLOCK_ASSIGN(const auto rows, store.requests(newest));
  out["recent"] = json::array();
  for (const auto& row : rows) {
    // How far a decryption lies from the truth is a function of the secret key, and the answer is the miner's own making: to read it
    // here would let miners ask about the key (SECURITY.md). Accepted or not is all that anybody learns.
    const bool from_decryption = protocol::reason_from_name(row.reason) == protocol::Reason::kWrongOutput;
    out["recent"].push_back({{"finished_ms", row.finished_ms}, {"uid", row.miner_uid}, {"success", row.success}, {"reason", row.reason},
                             {"sentence", protocol::reason_sentence(protocol::reason_from_name(row.reason))}, {"detail", from_decryption ? std::string() : row.detail},
                             {"response_s", row.response_s}, {"network_s", row.network_s}, {"input", row.input_kind}});
  }
  return out.dump();
}

Result<std::string> board_metrics(Validator& validator) {
  BRAINLOCK_ASSIGN(const auto miners, validator.standings());
  const Activity activity = validator.activity();
  std::string out;
  const auto head = [&out](const char* name, const char* kind, const char* help) {
    out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(kind).append("\n");
  };
  const auto per_miner = [&](const char* name, const char* help, const std::function<double(const MinerStanding&)>& value) {
    head(name, "gauge", help);
    for (const auto& miner : miners) {
      out.append(name).append("{uid=\"").append(std::to_string(miner.uid)).append("\",hotkey=\"").append(crypto::ss58_encode(miner.hotkey)).append("\"} ");
      out.append(number(value(miner))).append("\n");
    }
  };
  per_miner("brainlock_validator_miner_score", "Final score, no unit; 40 s is 1.", [](const auto& m) { return m.standing.score; });
  per_miner("brainlock_validator_miner_confidence", "What a vote multiplies the score by, 0 to 1: less than 1 after few requests.", [](const auto& m) { return m.confidence; });
  per_miner("brainlock_validator_miner_response_seconds", "Median response time of the successes that count.", [](const auto& m) { return m.standing.median_response_s; });
  per_miner("brainlock_validator_miner_failure_ratio", "Failed part of the requests that count, 0 to 1.", [](const auto& m) { return m.standing.failure_rate; });
  per_miner("brainlock_validator_miner_window_requests", "Requests that count.", [](const auto& m) { return static_cast<double>(m.standing.requests); });
  per_miner("brainlock_validator_miner_weight_sent", "Weight of the last accepted vote, 65535 is the largest.", [](const auto& m) { return double{static_cast<double>(m.weight_sent)}; });
  per_miner("brainlock_validator_miner_weight_on_ledger", "Weight read back from the ledger.", [](const auto& m) { return static_cast<double>(m.weight_on_ledger); });
  head("brainlock_validator_requests", "gauge", "Recorded requests by reason.");
  BRAINLOCK_ASSIGN(const auto reasons, validator.parts().store->reasons({}));
  for (const auto& [reason, count] : reasons) out += "brainlock_validator_requests{reason=\"" + reason + "\"} " + std::to_string(count) + "\n";
  head("brainlock_validator_rounds_total", "counter", "Finished rounds.");
  out += "brainlock_validator_rounds_total " + std::to_string(activity.rounds) + "\n";
  head("brainlock_validator_rejected_inputs_total", "counter", "Inputs drawn and not asked: an honest answer to them may be wrong.");
  const RejectedInputs rejected = validator.rejected_inputs();
  out += "brainlock_validator_rejected_inputs_total{why=\"beyond_limit\"} " + std::to_string(rejected.beyond_limit) + "\n";
  out += "brainlock_validator_rejected_inputs_total{why=\"wraps\"} " + std::to_string(rejected.wrapping) + "\n";
  head("brainlock_validator_excused_total", "counter", "Failures that were this validator's own outage: neither a miner nor the ledger was heard.");
  out += "brainlock_validator_excused_total " + std::to_string(activity.excused) + "\n";
  head("brainlock_ledger_block", "gauge", "Block number last seen.");
  out += "brainlock_ledger_block " + std::to_string(activity.block) + "\n";
  return out;
}

std::shared_ptr<net::Application> make_board(Validator& validator, std::string version) {
  return std::make_shared<Board>(validator, std::move(version));
}

}  // namespace brainlock::validator
